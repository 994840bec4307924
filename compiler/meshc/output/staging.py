"""Staging: the changes of one compile, prepared beside the files that they replace, then made, or undone."""

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from meshc.output.model import OutputError
from meshc.output.places import Folder, check_path

STAGING: Final = ".meshc-staging"
_JOURNAL: Final = "journal.json"
_NEW, _OLD = ".new", ".old"


def is_staging(folder: Folder) -> bool:
    """Whether a killed compile has left its staging folder. Raises OutputError."""
    return folder.place(f"{STAGING}/{_JOURNAL}").parent.is_dir()


def journaled_files(folder: Folder) -> frozenset[str]:
    """The files that a compile which was killed may have put in place. Raises OutputError."""
    text = folder.read(f"{STAGING}/{_JOURNAL}")
    if text is None:
        return frozenset()
    try:
        paths = json.loads(text)
    except (ValueError, RecursionError):
        return frozenset()  # killed while it was being written: nothing was put in place yet
    return (
        frozenset(check_path(path) for path in paths if isinstance(path, str))
        if isinstance(paths, list)
        else frozenset()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What happens to one file. `new` is None to remove it; `old` holds what was there, None if nothing was."""

    target: Path
    new: Path | None
    old: Path | None


@dataclass(slots=True)
class Staging:
    """The changes of one compile, in the order in which they are made. The folder's lock is held."""

    folder: Folder
    _changes: list[_Change] = field(default_factory=list)
    _made: list[Path] = field(default_factory=list)
    _is_mixed: bool = False

    def open(self, paths: Iterable[str]) -> None:
        """Make the staging folder, free of what a killed compile left; `paths` are the files that this one will own."""
        self._root.mkdir(exist_ok=True)
        for place in self._leftovers():
            if place.name != _JOURNAL:
                place.unlink()
        # Replaced as a whole: until then, the journal of the killed compile counts.
        fresh = self._root / f"{_JOURNAL}{_NEW}"
        _write(fresh, json.dumps(sorted(paths)).encode())
        _sync(fresh)
        fresh.replace(self._root / _JOURNAL)

    def put(self, path: str, content: bytes) -> None:
        """Prepare a file."""
        new = self._root / f"{len(self._changes)}{_NEW}"
        _write(new, content)
        self._changes.append(_Change(target=self.folder.place(path), new=new, old=self._keep(path)))

    def remove(self, path: str) -> None:
        """Prepare a removal."""
        self._changes.append(_Change(target=self.folder.place(path), new=None, old=self._keep(path)))

    def commit(self) -> None:
        """Make all changes. Raises what stopped it, after undoing those that were made."""
        for change in self._changes:
            if change.new is not None:
                _sync(change.new)
        _sync_folder(self._root)
        done: list[_Change] = []
        try:
            for change in self._changes:
                self._make_parents(change.target)
            for change in self._changes:
                done.append(change)
                _make(change)
        except BaseException:
            self._undo(done)
            raise
        for place in {change.target.parent for change in self._changes}:
            _sync_folder(place)

    def close(self) -> None:
        """Remove the staging folder; but where undoing has failed, the next compile needs it."""
        if self._is_mixed:
            return
        for place in self._leftovers():
            with suppress(OSError):
                place.unlink()
        with suppress(OSError):
            self._root.rmdir()

    @property
    def _root(self) -> Path:
        return self.folder.place(f"{STAGING}/{_JOURNAL}").parent

    def _leftovers(self) -> list[Path]:
        """The files in the staging folder that bear names of ours."""
        if not self._root.is_dir():
            return []
        names = (place for place in self._root.iterdir() if place.name == _JOURNAL or place.suffix in {_NEW, _OLD})
        return [place for place in names if place.is_symlink() or place.is_file()]

    def _keep(self, path: str) -> Path | None:
        """Give the file that is there now a second name, to undo a change with."""
        place = self.folder.place(path)
        if not place.exists():
            return None
        old = self._root / f"{len(self._changes)}{_OLD}"
        try:
            os.link(place, old)
        except OSError:
            shutil.copy2(place, old)  # a file system without hard links
        return old

    def _make_parents(self, target: Path) -> None:
        missing = []
        place = target.parent
        while not place.exists():
            missing.append(place)
            place = place.parent
        for folder in reversed(missing):
            folder.mkdir()
            self._made.append(folder)

    def _undo(self, done: list[_Change]) -> None:
        try:
            for change in reversed(done):
                if change.old is not None and change.old.exists():
                    change.old.replace(change.target)
                elif change.old is None:
                    change.target.unlink(missing_ok=True)
            for folder in reversed(self._made):
                folder.rmdir()
        except OSError as error:
            self._is_mixed = True
            raise OutputError(
                f"cannot write `{self.folder.path}`, nor put it back as it was: {error.strerror}; "
                f"it holds files of two compiles until the next one succeeds"
            ) from error


def _make(change: _Change) -> None:
    if change.new is None:
        change.target.unlink(missing_ok=True)
    else:
        change.new.replace(change.target)


def _write(place: Path, content: bytes) -> None:
    """Write a new file, with the permissions that the user's umask gives."""
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)


def _sync(place: Path) -> None:
    # After all are written, so that the first call flushes most of them at once.
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(place: Path) -> None:
    """Sync a folder's names, as far as the file system can."""
    with suppress(OSError):
        _sync(place)
