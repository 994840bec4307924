"""Parse: `SourceFile` -> `Parsed`.

Takes any text at all and never raises. Every syntax error becomes a diagnostic, and what can be read of the rest still becomes
declarations, so that one run reports every mistake of a file.
"""

from dataclasses import dataclass
from functools import cache

from meshc import ast
from meshc.collector import uncollected
from meshc.diagnostics import Diagnostic
from meshc.source import SourceFile
from meshc.syntax.build import CALLBACKS
from meshc.syntax.comments import Comment
from meshc.syntax.machine import Machine
from meshc.syntax.recover import read
from meshc.syntax.screen import screen
from meshc_grammar import tables

__all__ = ["Comment", "Parsed", "parse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a text says. `comments` and `diagnostics` stand in the order of the text."""

    file: ast.File
    comments: tuple[Comment, ...]
    diagnostics: tuple[Diagnostic, ...]


def parse(source: SourceFile) -> Parsed:
    """Read one file. With errors, `file` has those declarations that could be understood."""
    text, found = screen(source)
    spoilt = {diagnostic.span.line for diagnostic in found}
    with uncollected():
        declarations, comments, errors = read(machine(), source, text)
    found += (error for error in errors if error.span.line not in spoilt)
    found.sort(key=lambda diagnostic: diagnostic.span.start)
    file = ast.File(path=source.path, declarations=declarations)
    return Parsed(file=file, comments=comments, diagnostics=tuple(found))


@cache
def machine() -> Machine:
    """The grammar's tables, made ready once a process."""
    return Machine(tables(), CALLBACKS)
