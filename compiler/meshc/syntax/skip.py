"""Skip the rest of a statement that cannot be understood."""

import re
from typing import Final

from meshc.syntax import explain
from meshc.syntax.run import Run, Token

_PIECE: Final = re.compile(
    r'(?P<SPACE>\s+)|(?P<COMMENT>#[^\n]*)|(?P<WORD>[^\s{}"#]+)|"(?:[^"\\\n]|\\[^\n])*"|(?P<BRACE>[{}])|.'
)

_KEYWORD: Final = re.compile(r"[a-z][a-z0-9-]*")


def is_first_on_line(text: str, offset: int) -> bool:
    """Whether nothing but white space stands before an offset on its line."""
    return not text[text.rfind("\n", 0, offset) + 1 : offset].strip()


def indent(text: str, offset: int) -> int:
    """How many characters of white space its line starts with."""
    start = text.rfind("\n", 0, offset) + 1
    end = start
    while end < len(text) and text[end] in " \t":
        end += 1
    return end - start


def skip_statement(run: Run, stop: Token) -> None:
    """Forget the unfinished statement, and move to where the next one of its block starts, or to the `}` of the block."""
    run.finish_statement()
    brace, size = run.frame()
    dropped = run.values[size:]
    run.truncate(size)
    run.pending = []
    run.seek(stop.start)
    _Skip(run, brace).skip(sum(type(value) is str and value == "{" for value in dropped), may_stop=bool(dropped))


class _Skip:
    """The search for the next statement of one block."""

    def __init__(self, run: Run, brace: int) -> None:
        self.run = run
        opening = run.places[brace][0] if brace >= 0 else 0
        self.is_top = brace < 0
        self.block_indent = 0 if self.is_top else indent(run.text, opening)
        self.is_one_line = not self.is_top and "\n" not in run.text[opening : run.position]
        self.starts = explain.statement_starts(run)

    def skip(self, depth: int, *, may_stop: bool) -> None:
        """Move on; `depth` counts the braces that the statement has opened. Without `may_stop`, the first word is part of it."""
        run = self.run
        is_first = is_first_on_line(run.text, run.position)
        while (piece := _PIECE.match(run.text, run.position)) is not None:
            group, text = piece.lastgroup, piece[0]
            if group == "COMMENT":
                run.comment(*piece.span())
                continue
            if group == "SPACE":
                is_first = is_first or "\n" in text
            elif (text == "}" and depth == 0 and not self.is_top) or (
                may_stop and group == "WORD" and self._starts_statement(text, is_first=is_first, depth=depth)
            ):
                return
            else:
                depth = max(0, depth + (text == "{") - (text == "}"))
                is_first, may_stop = False, True
            run.seek(piece.end())

    def _starts_statement(self, text: str, *, is_first: bool, depth: int) -> bool:
        found = _KEYWORD.match(text)
        word = found[0] if found else ""
        column = self.run.position - self.run.line_start
        if is_first and word in explain.DECLARATIONS and column <= self.block_indent:
            return True
        if depth > 0 or not (is_first or self.is_one_line):
            return False
        return word in self.starts or (is_first and self._is_pattern(text, word))

    def _is_pattern(self, text: str, word: str) -> bool:
        """Whether a statement that starts with a name or a literal may start so."""
        if text[0] == "$" or text[0].isdigit():
            return bool(self.starts & {"QUANTITY", "VAR"})
        return bool(word) and "NAME" in self.starts
