"""Watching: do something again whenever a file of a program changes, until the user stops it."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from meshc.cli.console import Console, UsageError
from meshc.cli.project import find_project_directory

_POLL_S: Final = 0.5
_WATCHED: Final = (".mesh", ".yaml", ".yml")

Stamp = tuple[tuple[str, int, int], ...]
"""Name, time of the last change in nanoseconds, and size of each file, sorted."""


def watch(path: Path | None, action: Callable[[], object], console: Console) -> None:
    """Do it now, and after every change of a file in the project around `path`. Returns when the user interrupts."""
    last: Stamp | None = None
    try:
        while True:
            stamp = take_stamp(watched_directory(path))
            if stamp != last:
                if sys.stderr.isatty():
                    sys.stderr.write("\x1b[2J\x1b[H")
                try:
                    action()
                except UsageError as error:
                    console.complain(str(error))  # half of a change may be missing: the next look sees the rest
                console.say("watching for changes; Ctrl-C ends")
                last = stamp
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        return


def watched_directory(path: Path | None) -> Path:
    """The project's directory; without one, that of the program itself."""
    project = find_project_directory(path)
    if project is not None:
        return project
    start = path or Path()
    return start if start.is_dir() else start.parent


def take_stamp(directory: Path) -> Stamp:
    """What changes when a program below the directory does; hidden folders are left out, and links to folders not followed."""
    found: list[tuple[str, int, int]] = []
    for folder, names, files in os.walk(directory):
        names[:] = [name for name in names if not name.startswith(".")]
        for name in files:
            if not name.endswith(_WATCHED):
                continue
            place = Path(folder, name)
            try:
                status = place.stat()
            except OSError:
                continue  # gone between the listing and the look: the next round sees it
            found.append((str(place), status.st_mtime_ns, status.st_size))
    return tuple(sorted(found))
