"""Keep the parse tables in the user's cache directory.

The file is JSON, never a pickle: reading it runs nothing. It is found by a hash of all that it depends on, replaced in one step, and
stands in a directory that only the user can write. A cache that cannot be read or written is as good as none.
"""

import hashlib
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from stat import S_IWGRP, S_IWOTH
from typing import Final

from meshc_grammar.tables import Tables, json_to_tables, tables_to_json

_FORMAT: Final = 1


def read_tables(grammar: str) -> Tables | None:
    """The cached tables of a grammar, or None."""
    key = _key(grammar)
    directory = _directory()
    if directory is None or not _is_private(directory):
        return None
    try:
        return json_to_tables((directory / f"tables-{key}.json").read_text(encoding="utf-8"), key)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_tables(grammar: str, tables: Tables) -> None:
    """Keep the tables of a grammar for the next start, or do nothing if that is impossible."""
    key = _key(grammar)
    directory = _directory()
    if directory is None:
        return
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_private(directory):
            _replace(directory / f"tables-{key}.json", tables_to_json(tables, key))
    except OSError:
        return


def _key(grammar: str) -> str:
    parts = (str(_FORMAT), _lark(), sys.version, grammar)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _lark() -> str:
    """The text that holds lark's version: importing lark, or its metadata, takes longer than all the rest of a start."""
    found = PathFinder.find_spec("lark")
    try:
        return Path(found.origin).read_text(encoding="utf-8") if found is not None and found.origin else ""
    except OSError:
        return ""


def _directory() -> Path | None:
    """`$XDG_CACHE_HOME/meshc`, which counts only if absolute, else `~/.cache/meshc`; None where there is no home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if base and Path(base).is_absolute():
        return Path(base) / "meshc"
    try:
        return Path.home() / ".cache" / "meshc"
    except RuntimeError:
        return None


def _is_private(directory: Path) -> bool:
    """Whether nobody else can put files there; on systems without owners, the home directory is trusted."""
    try:
        status = directory.stat()
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & (S_IWGRP | S_IWOTH)


def _replace(file: Path, text: str) -> None:
    import tempfile  # noqa: PLC0415 - costs as much as reading the cache, and only writing it needs it

    handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.stem, suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
