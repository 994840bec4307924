"""The lock that keeps two compiles from writing one folder at the same time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from meshc.output.model import OutputError
from meshc.output.places import Folder

LOCK: Final = ".meshc.lock"
_ATTEMPTS: Final = 20


@contextmanager
def locked(folder: Folder) -> Iterator[None]:
    """Hold the folder's lock, which the system gives up with the process, however that ends. Raises OutputError if it is held."""
    place = folder.place(LOCK)
    descriptor = _acquire(folder, place)
    try:
        yield
    finally:
        with suppress(OSError):
            place.unlink()
        os.close(descriptor)


def _acquire(folder: Folder, place: Path) -> int:
    for _ in range(_ATTEMPTS):
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink > 0:
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            break
        except BaseException:
            os.close(descriptor)
            raise
        # Whoever held it has removed the file on leaving; a lock on a removed file excludes nobody, so try again.
        os.close(descriptor)
    raise OutputError(f"another compile is writing to `{folder.path}`; try again when it is done")
