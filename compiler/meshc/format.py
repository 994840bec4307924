"""Format: `SourceFile` -> `Formatted`: the one layout, with every comment kept.

The result is parsed again. If it did not mean the same, or had other comments, there is no result: a formatter must never change what a
policy says.
"""

from dataclasses import dataclass

from meshc.collector import uncollected
from meshc.diagnostics import Diagnostic, diagnose
from meshc.parse import Parsed, machine, parse
from meshc.source import SourceFile
from meshc.syntax.layout import lay_out
from meshc.syntax.tokens import arrange

__all__ = ["Formatted", "format_source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Formatted:
    """The text in the one layout, or None with the diagnostics that say why not."""

    text: str | None
    diagnostics: tuple[Diagnostic, ...] = ()


def format_source(source: SourceFile) -> Formatted:
    """Lay out a file. A file with syntax errors is left alone: its diagnostics are those of `parse`."""
    parsed = parse(source)
    if parsed.diagnostics:
        return Formatted(text=None, diagnostics=parsed.diagnostics)
    with uncollected():
        text = lay_out(*arrange(machine(), source.path, source.text))
    if not _is_same(parsed, parse(SourceFile(source.path, text))):
        message = "the formatter would change what this file says, so it is left as it is"
        advice = "this is a mistake in meshc: please report it with the file"
        return Formatted(text=None, diagnostics=(diagnose("format-unsafe", source.span(0, 0), message, advice=advice),))
    return Formatted(text=text)


def _is_same(before: Parsed, after: Parsed) -> bool:
    """Whether two texts have the same declarations and comments; white space at the end of a comment does not count."""
    return (
        not after.diagnostics
        and before.file == after.file
        and [(c.text.rstrip(), c.is_own_line) for c in before.comments]
        == [(c.text.rstrip(), c.is_own_line) for c in after.comments]
    )
