"""Source texts and places in them.

A `Span` is carried by every node of every stage; it is never part of a node's equality. `SourceFile` turns offsets into
lines and columns for messages. Nothing here reads a file: texts come from the driver.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of characters `[start, end)` of the file `path`.

    `path` is shown to users as it is: relative to the project's root, with forward slashes. `line` and `column` are those
    of `start`, counted from 1, so that results can name a place without the text at hand.
    """

    path: str
    start: int
    end: int
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"

    def to(self, last: "Span") -> "Span":
        """The range from the start of this span to the end of `last`, in the same file."""
        return Span(self.path, self.start, last.end, self.line, self.column)


BUILTIN: Span = Span("<builtin>", 0, 0, 1, 1)
"""The place of what no file declares, such as a mesh's defaults."""


@dataclass(frozen=True)
class SourceFile:
    """The text of one file and the path that users know it by."""

    path: str
    text: str

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        find = self.text.find
        at = find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = find("\n", at + 1)
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a character, both counted from 1."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        """The text of a line, counted from 1, without its line end; empty past the last line."""
        if line > len(self._line_starts):
            return ""
        start = self._line_starts[line - 1]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")

    def span(self, start: int, end: int) -> Span:
        """The span of a range of offsets."""
        line, column = self.position(start)
        return Span(self.path, start, end, line, column)
