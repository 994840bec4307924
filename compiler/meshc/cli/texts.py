"""Texts of programs that commands rewrite: what would change, and the change itself."""

import difflib
import os
import tempfile
from pathlib import Path
from typing import Final

from meshc.cli.console import UsageError
from meshc.files import reason
from meshc.source import SourceFile

_NEW_FILE: Final = 0o644


def text_difference(source: SourceFile, text: str) -> str:
    """A unified difference of a file and what it would become."""
    lines = difflib.unified_diff(
        source.text.splitlines(keepends=True), text.splitlines(keepends=True), source.path, source.path
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def write_text(file: Path, text: str) -> None:
    """Write a file as a whole: whoever reads it sees the old text, if there was one, or the new one. Symbolic links stay links.

    Raises UsageError.
    """
    target = file.resolve()
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        temporary = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(target.stat().st_mode if target.exists() else _NEW_FILE)
        temporary.replace(target)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise UsageError(f"cannot write `{file}`: {reason(error)}") from error
