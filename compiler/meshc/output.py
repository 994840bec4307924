"""Output: compiled files, written so that a folder is never left with half of them unnoticed.

Every file is first written in full to a temporary sibling; only when all are there are they renamed into place, one by one,
the manifest last. A compile that fails before the renames has changed nothing. One that is killed between two renames leaves
whole files of both compiles, and a manifest whose hashes tell: `--check` reports them, the next compile mends them.

Nothing outside the folder is touched, no symbolic link in it followed, no file removed that no manifest lists.
"""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from meshc.source import Span

MANIFEST: Final = "manifest.json"
_LOCK: Final = ".meshc.lock"
_TEMPORARY: Final = ".meshc-"
_VERSION: Final = 1


class OutputError(Exception):
    """The folder cannot be written, or is not one that meshc may write; the text is meant for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """One file: `path` is relative to the folder, with forward slashes; `sources` are the places that it comes from."""

    path: str
    text: str
    sources: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestInfo:
    """What the manifest says of the compile: meshc's version, a digest of the program, and the environment, if any."""

    compiler: str
    program: str
    environment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write did: paths whose content changed, and paths removed."""

    changed: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How a folder differs from what a compile would write."""

    missing: tuple[str, ...]
    different: tuple[str, ...]
    stale: tuple[str, ...]

    @property
    def has_any(self) -> bool:
        """Whether there is any difference."""
        return bool(self.missing or self.different or self.stale)


def write_output(directory: Path, files: Sequence[OutputFile], info: ManifestInfo) -> Written:
    """Write files and their manifest, and remove what the former manifest lists and this compile does not make.

    Raises OutputError; before the first rename, everything is as it was.
    """
    contents = _contents(files, info)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _locked(directory):
            former = _former_files(directory)
            _sweep(directory)
            changed = tuple(path for path, content in contents.items() if not _is_content(directory, path, content))
            _replace_all(directory, {path: contents[path] for path in changed})
            removed = tuple(path for path in former if path not in contents and _remove(directory, path))
    except OSError as error:
        place = error.filename or directory
        raise OutputError(f"cannot write `{place}`: {error.strerror or error}") from error
    return Written(changed=tuple(path for path in changed if path != MANIFEST), removed=removed)


def compare_output(directory: Path, files: Sequence[OutputFile], info: ManifestInfo) -> Drift:
    """Compare a folder with what a compile would write; writes nothing. Raises OutputError."""
    contents = _contents(files, info)
    try:
        former = _former_files(directory) if directory.is_dir() else ()
        missing = tuple(path for path in contents if not (directory / path).exists())
        different = tuple(
            path
            for path, content in contents.items()
            if path not in missing and not _is_content(directory, path, content)
        )
        stale = tuple(path for path in former if path not in contents and (directory / path).exists())
    except OSError as error:
        raise OutputError(f"cannot read `{error.filename or directory}`: {error.strerror or error}") from error
    return Drift(missing=missing, different=different, stale=stale)


def _contents(files: Sequence[OutputFile], info: ManifestInfo) -> Mapping[str, bytes]:
    """The bytes of every file, the manifest last."""
    ordered = sorted(files, key=lambda file: file.path)
    contents = {_checked(file.path): file.text.encode() for file in ordered}
    manifest = {
        "version": _VERSION,
        "compiler": info.compiler,
        "program": info.program,
        "environment": info.environment,
        "files": [
            {
                "path": file.path,
                "sha256": hashlib.sha256(contents[file.path]).hexdigest(),
                "sources": sorted({str(span) for span in file.sources}),
            }
            for file in ordered
        ],
    }
    contents[MANIFEST] = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    return contents


def _checked(path: str) -> str:
    """A path that stays inside the folder. Raises OutputError for any other."""
    pure = PurePosixPath(path)
    parts = pure.parts
    if not parts or pure.is_absolute() or ".." in parts or "\\" in path or "\0" in path or str(pure) != path:
        raise OutputError(f"`{path}` is no path inside of the output folder")
    return path


def _former_files(directory: Path) -> tuple[str, ...]:
    """The files that the folder's manifest lists. Raises OutputError if it is none of ours, so that nothing is removed."""
    file = directory / MANIFEST
    if not file.exists() and not file.is_symlink():
        return ()
    _refuse_links(directory, MANIFEST)
    advice = "remove it if the folder is meant for meshc"
    try:
        manifest = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise OutputError(f"`{file}` is no manifest of meshc: {error}; {advice}") from error
    listed = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(listed, list) or manifest.get("version") != _VERSION:
        raise OutputError(f"`{file}` is no manifest of meshc, or one of another version; {advice}")
    paths = [entry.get("path") if isinstance(entry, dict) else None for entry in listed]
    return tuple(_checked(path) for path in paths if isinstance(path, str))


def _refuse_links(directory: Path, path: str) -> None:
    """Raise OutputError if a part of the path below the folder is a symbolic link: it could lead anywhere."""
    place = directory
    for part in PurePosixPath(path).parts:
        place = place / part
        if place.is_symlink():
            raise OutputError(f"`{place}` is a symbolic link, which meshc does not follow; remove it")


def _is_content(directory: Path, path: str, content: bytes) -> bool:
    _refuse_links(directory, path)
    file = directory / path
    return file.is_file() and file.read_bytes() == content


def _replace_all(directory: Path, contents: Mapping[str, bytes]) -> None:
    """Write every file to a temporary sibling, then rename them in order."""
    written: dict[str, Path] = {}
    made: list[Path] = []
    try:
        for path, content in contents.items():
            _refuse_links(directory, path)
            made.extend(_make_parents(directory, path))
            written[path] = _write_temporary((directory / path).parent, content)
        for path, temporary in written.items():
            temporary.replace(directory / path)
    except BaseException:
        for temporary in written.values():
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        raise
    for folder in {(directory / path).parent for path in contents}:
        _sync(folder)


def _make_parents(directory: Path, path: str) -> Iterator[Path]:
    place = directory
    for part in PurePosixPath(path).parts[:-1]:
        place = place / part
        if not place.exists():
            place.mkdir()
            yield place


def _write_temporary(folder: Path, content: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=_TEMPORARY)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # As an ordinary file would be: mkstemp makes them for the owner alone.
        Path(name).chmod(0o666 & ~_umask())
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    return Path(name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(directory: Path, path: str) -> bool:
    """Remove a file and the folders that it leaves empty; whether there was one."""
    _refuse_links(directory, path)
    file = directory / path
    if not file.is_file():
        return False
    file.unlink()
    for folder in file.parents:
        if folder == directory:
            break
        try:
            folder.rmdir()
        except OSError:
            break  # not empty: somebody else's files are in it
    return True


def _sweep(directory: Path) -> None:
    """Remove the temporary files of a compile that was killed."""
    for folder, names, files in os.walk(directory):
        names[:] = [name for name in names if not Path(folder, name).is_symlink()]
        for name in files:
            if name.startswith(_TEMPORARY):
                Path(folder, name).unlink(missing_ok=True)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep other compiles out of the folder. The lock ends with the process, however it ends."""
    file = directory / _LOCK
    _refuse_links(directory, _LOCK)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before has removed the file on leaving; a lock on a removed file excludes nobody.
            is_held = os.fstat(descriptor).st_nlink > 0
        except BlockingIOError:
            is_held = False
        if not is_held:
            raise OutputError(f"another compile is writing to `{directory}`; try again when it is done")
        try:
            yield
        finally:
            with suppress(OSError):
                file.unlink()
    finally:
        os.close(descriptor)
