"""Where a span begins and ends, as numbers for other programs."""

from collections.abc import Mapping
from dataclasses import dataclass

from meshc.source import BUILTIN, SourceFile, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Lines and columns count from 1 in characters; the end is the first character that no longer belongs.

    `file` is None for what no file declares, the numbers then too. The end is None where the file's text is not known.
    """

    file: str | None
    line: int | None
    column: int | None
    end_line: int | None
    end_column: int | None


def position_of(span: Span, sources: Mapping[str, SourceFile]) -> Position:
    """The place of a span."""
    if span.path == BUILTIN.path:
        return Position(file=None, line=None, column=None, end_line=None, end_column=None)
    source = sources.get(span.path)
    if source is None:
        return Position(file=span.path, line=span.line, column=span.column, end_line=None, end_column=None)
    end_line, end_column = source.position(min(max(span.start, span.end), len(source.text)))
    end_line, end_column = max((end_line, end_column), (span.line, span.column))
    return Position(file=span.path, line=span.line, column=span.column, end_line=end_line, end_column=end_column)
