"""Write compiled files into a folder, and remove what former compiles left there."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from meshc.output.lock import locked
from meshc.output.manifest import MANIFEST, listed_files, render_contents
from meshc.output.model import ManifestInfo, OutputError, OutputFile, Written
from meshc.output.places import Folder
from meshc.output.staging import Staging, is_staging, journaled_files


def write_output(directory: Path, files: Sequence[OutputFile], manifest: ManifestInfo) -> Written:
    """Write files and their manifest, and remove what the former manifest lists and this compile does not make.

    Files whose content is right already are not touched. Raises OutputError; the folder is then as it was.
    """
    contents = render_contents(files, manifest)
    is_new = not directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        folder = Folder(directory)
        with locked(folder):
            return _write(folder, contents)
    except OSError as error:
        raise OutputError(f"cannot write `{error.filename or directory}`: {error.strerror or error}") from error
    finally:
        if is_new:
            with suppress(OSError):
                directory.rmdir()  # only if it is still empty


def _write(folder: Folder, contents: Mapping[str, bytes]) -> Written:
    owned = listed_files(folder) | journaled_files(folder)
    changed = tuple(path for path, content in contents.items() if folder.read(path) != content)
    stale = tuple(path for path in sorted(owned - contents.keys()) if folder.place(path).exists())
    _refuse_foreign(folder, changed, owned)
    if changed or stale or is_staging(folder):
        _replace(folder, {path: contents[path] for path in changed}, stale, owned | (contents.keys() - {MANIFEST}))
    _remove_empty(folder, stale)
    return Written(changed=tuple(path for path in changed if path != MANIFEST), removed=stale)


def _refuse_foreign(folder: Folder, changed: Iterable[str], owned: frozenset[str]) -> None:
    for path in changed:
        if path not in owned and path != MANIFEST and folder.place(path).exists():
            raise OutputError(
                f"`{folder.path / path}` is in the way: no manifest lists it, so it may be somebody's own; move it away"
            )


def _replace(folder: Folder, contents: Mapping[str, bytes], stale: Sequence[str], owned: Iterable[str]) -> None:
    for path in (*contents, *stale):
        folder.check_writable(path)
    staging = Staging(folder)
    try:
        staging.open(owned)
        for path, content in contents.items():
            if path != MANIFEST:
                staging.put(path, content)
        for path in stale:
            staging.remove(path)
        # INVARIANT: the manifest changes last, so that an old one stands for everything unfinished.
        if MANIFEST in contents:
            staging.put(MANIFEST, contents[MANIFEST])
        staging.commit()
    finally:
        staging.close()


def _remove_empty(folder: Folder, removed: Iterable[str]) -> None:
    """Remove the folders that removals have left empty."""
    for path in removed:
        place = (folder.path / path).parent
        with suppress(OSError):
            while place != folder.path:
                place.rmdir()
                place = place.parent
