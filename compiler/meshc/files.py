"""Files: bytes on disk -> a `SourceFile`, or the diagnostic that says why not.

Every text that a program is made of comes through here, so that a pipe, a device, a link to itself, a wrong encoding or a name
that no output could spell is the same one-line report everywhere.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Final, NoReturn

from meshc.diagnostics import Diagnostic, diagnose
from meshc.source import SourceFile, Span

CONFIGURATION_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
"""How files of configuration are called."""

LARGEST_FILE = 32 * 1024 * 1024
"""Bytes; a larger file is refused."""


def read_source(file: Path, shown: str, blame: Span | None = None) -> SourceFile | Diagnostic:
    """The text of a file under the path that users know it by; `blame` is the place that names the file, if one does.

    Else a diagnostic: `unreadable-file` or `invalid-encoding`.
    """
    span = blame or Span(shown, 0, 0, 1, 1)
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            return diagnose("unreadable-file", span, f"cannot read `{shown}`: it is no regular file")
        if status.st_size > LARGEST_FILE:
            return diagnose("unreadable-file", span, f"`{shown}` is larger than {LARGEST_FILE // 1024**2} MiB")
        content = file.read_bytes()
    except (OSError, ValueError) as error:
        return diagnose("unreadable-file", span, f"cannot read `{shown}`: {reason(error)}")
    if not _is_unicode(shown):
        return diagnose("unreadable-file", span, f"the name of `{shown}` is not UTF-8", advice="rename the file")
    return decode_source(content, shown)


def configuration_files(folder: Path) -> tuple[Path, ...]:
    """Whatever below a folder is called as YAML or JSON is, sorted; `read_source` says which of it is no regular file.

    Raises OSError for a folder that cannot be listed, and for a link to a folder: what is not looked into must not pass for absent.
    """
    found: list[Path] = []
    for directory, inner, names in os.walk(folder, onerror=_raised):
        for name in inner:
            path = Path(directory, name)
            if path.is_symlink():
                raise OSError(errno.ELOOP, "a link to a folder, which is not followed", str(path))
        found += (Path(directory, name) for name in names if Path(name).suffix in CONFIGURATION_SUFFIXES)
    return tuple(sorted(found))


def _raised(error: OSError) -> NoReturn:
    raise error


def decode_source(content: bytes, shown: str) -> SourceFile | Diagnostic:
    """The text that bytes spell in UTF-8, else `invalid-encoding` at the first byte that is wrong."""
    try:
        return SourceFile(shown, content.decode("utf-8"))
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        place = SourceFile(shown, before).span(len(before), len(before))
        message = f"`{shown}` is not UTF-8: byte {content[error.start]:#04x} on line {place.line}"
        return diagnose("invalid-encoding", place, message, advice="save the file as UTF-8")


def reason(error: Exception) -> str:
    """Why the system refused, in its words but in our style."""
    text = error.strerror if isinstance(error, OSError) else None
    return text[0].lower() + text[1:] if text else "its path is none"


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
