"""The manifest: `manifest.json`, what a folder of compiled files holds and what it was made from.

Its format is `schemas/manifest.schema.json`. It is the same, byte for byte, for the same files, whatever their order.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final

from meshc.output.model import ManifestInfo, OutputError, OutputFile
from meshc.output.places import Folder, check_path
from meshc.source import BUILTIN, Span

MANIFEST: Final = "manifest.json"
VERSION: Final = 1


def render_contents(files: Sequence[OutputFile], info: ManifestInfo) -> Mapping[str, bytes]:
    """The bytes of every file by its path, sorted, and of the manifest, last. Raises OutputError for an impossible path."""
    ordered = sorted(files, key=lambda file: file.path)
    contents: dict[str, bytes] = {}
    for file in ordered:
        if check_path(file.path) in contents:
            raise OutputError(f"two files would be written to `{file.path}`")
        if file.path == MANIFEST:
            raise OutputError(f"`{MANIFEST}` is the manifest's own name, and cannot be a compiled file's")
        contents[file.path] = file.text.encode()
    manifest = {
        "version": VERSION,
        "compiler": info.compiler,
        "program": info.program,
        "environment": info.environment,
        "files": [
            {
                "path": file.path,
                "sha256": hashlib.sha256(contents[file.path]).hexdigest(),
                "sources": _lines(file.sources),
            }
            for file in ordered
        ],
    }
    contents[MANIFEST] = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    return contents


def _lines(sources: Sequence[Span]) -> list[str]:
    places = {(span.path, span.line) for span in sources if span.path != BUILTIN.path}
    return [f"{path}:{line}" for path, line in sorted(places)]


def listed_files(folder: Folder) -> frozenset[str]:
    """The files that the folder's manifest lists; none if there is no manifest.

    Raises OutputError for one that is damaged, not ours, or lists a path outside of the folder: then nothing may be removed.
    """
    text = folder.read(MANIFEST)
    if text is None:
        return frozenset()
    place = folder.path / MANIFEST
    advice = "restore it, or remove it if what the folder holds may stay"
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise OutputError(f"`{place}` is no manifest of meshc ({reason}); {advice}") from error
    version = manifest.get("version") if isinstance(manifest, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise OutputError(f"`{place}` is no manifest of meshc that this version knows; a newer one wrote it")
    paths = _paths(manifest) if version == VERSION else None
    if paths is None:
        raise OutputError(f"`{place}` is no manifest of meshc; {advice}")
    return frozenset(check_path(path) for path in paths)


def _paths(manifest: Mapping[str, object]) -> list[str] | None:
    """The paths of a manifest, None if any is not a text."""
    entries = manifest.get("files")
    if not isinstance(entries, list):
        return None
    paths = [entry.get("path") if isinstance(entry, dict) else None for entry in entries]
    texts = [path for path in paths if isinstance(path, str)]
    return texts if len(texts) == len(paths) else None
