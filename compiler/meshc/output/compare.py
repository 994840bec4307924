"""Compare a folder with what a compile would write into it; nothing is written."""

from collections.abc import Sequence
from pathlib import Path

from meshc.output.manifest import MANIFEST, listed_files, render_contents
from meshc.output.model import Drift, ManifestInfo, OutputError, OutputFile
from meshc.output.places import Folder
from meshc.output.staging import journaled_files


def compare_output(directory: Path, files: Sequence[OutputFile], manifest: ManifestInfo) -> Drift:
    """How the folder differs; what a killed compile left is stale. Raises OutputError where `write_output` would refuse."""
    contents = render_contents(files, manifest)
    folder = Folder(directory)
    try:
        present = {path: folder.read(path) for path in contents}
        owned = (listed_files(folder) | journaled_files(folder)) - contents.keys()
        stale = tuple(path for path in sorted(owned) if path != MANIFEST and folder.place(path).exists())
    except OSError as error:
        raise OutputError(f"cannot read `{error.filename or directory}`: {error.strerror or error}") from error
    return Drift(
        missing=tuple(path for path, content in present.items() if content is None),
        different=tuple(path for path, content in present.items() if content not in {None, contents[path]}),
        stale=stale,
    )
