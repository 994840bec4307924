"""Places in the output folder: paths that stay inside, and files that are reached without following a link."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from meshc.output.model import OutputError


def check_path(path: str) -> str:
    """A path of a file inside of the folder, in its one spelling. Raises OutputError for any other, and for hidden ones."""
    pure = PurePosixPath(path)
    is_plain = bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts and str(pure) == path
    if not is_plain or "\\" in path or not path.isprintable() or path.startswith("."):
        raise OutputError(f"`{path}` is no path inside of the output folder")
    return path


@dataclass(frozen=True, slots=True)
class Folder:
    """The output folder; paths are relative to it, with forward slashes."""

    path: Path

    def place(self, path: str) -> Path:
        """Where a file is or would be. Raises OutputError if a part of the way is a link, or what is there is no file."""
        place = self.path
        parts = PurePosixPath(path).parts
        for depth, part in enumerate(parts, 1):
            place = place / part
            mode = _mode(place)
            if mode is None:
                return self.path / path
            if stat.S_ISLNK(mode):
                raise OutputError(f"`{place}` is a symbolic link, which meshc does not follow; remove it")
            is_last = depth == len(parts)
            if not (stat.S_ISREG(mode) if is_last else stat.S_ISDIR(mode)):
                raise OutputError(f"`{place}` is in the way: meshc needs a {'file' if is_last else 'folder'} there")
        return place

    def read(self, path: str) -> bytes | None:
        """A file's content; None if there is no such file. Raises OutputError as `place` does."""
        try:
            return self.place(path).read_bytes()
        except FileNotFoundError:
            return None

    def check_writable(self, path: str) -> None:
        """Raise PermissionError if the folder that a file is in, or the nearest one that exists, cannot be changed."""
        place = (self.path / path).parent
        while not place.exists():
            place = place.parent
        if not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied", str(place))


def _mode(place: Path) -> int | None:
    try:
        return place.lstat().st_mode
    except FileNotFoundError:
        return None
