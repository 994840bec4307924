"""The tokens of a text that parses, arranged in statements and blocks, each with the comments around it: what the formatter prints."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Final

from meshc import ast
from meshc.syntax.comments import Comment
from meshc.syntax.machine import Machine
from meshc.syntax.run import END, Run

_STATEMENTS: Final = frozenset(
    ("declarations", "items", "rules", "settings", "routes", "limits", "claims", "cases", "options")
)
"""The fields of the syntax tree that hold the statements of a block."""


@dataclass(slots=True)
class Piece:
    """A token with its comments: `above` stand on lines of their own before it, `beside` after it on its line.

    `lines` is how many line ends the text has between the token before (or the last comment above) and this one.
    """

    kind: str
    text: str
    start: int
    end: int
    lines: int = 0
    above: list[tuple[str, int]] = field(default_factory=list)
    beside: str = ""


@dataclass(slots=True)
class Block:
    """What stands in braces. `was_open` tells that the braces stood on different lines."""

    opening: Piece
    statements: "list[Statement]"
    closing: Piece
    was_open: bool


@dataclass(slots=True)
class Statement:
    """One statement: its own tokens, and the block that ends it, if any."""

    head: list[Piece]
    block: Block | None = None


class _Recording(Run):
    """A run that remembers its tokens."""

    def __init__(self, machine: Machine, path: str, text: str) -> None:
        super().__init__(machine, path, text)
        self.tokens: list[Piece] = []

    def _next(self) -> tuple[str, str, int, int]:
        token = super()._next()
        self.tokens.append(Piece(*token))
        return token


def arrange(machine: Machine, path: str, text: str) -> tuple[list[Statement], Piece]:
    """The statements of a text without errors, and the end of the text as a token, which has the last comments."""
    run = _Recording(machine, path, text)
    stop = run.run()
    if stop is not None:
        raise ValueError("the text does not parse")
    _attach(run.tokens, run.comments, text)
    starts = {start for declaration in run.values[0] for start in _starts(declaration)}
    reader = _Arranger(run.tokens, starts, text)
    return reader.statements(), run.tokens[-1]


def _attach(tokens: list[Piece], comments: list[Comment], text: str) -> None:
    """Give each comment to the token after it if it has its own line, else to the one before."""
    pending = iter(comments)
    comment = next(pending, None)
    before: Piece | None = None
    done = 0
    for token in tokens:
        while comment is not None and comment.span.start < token.start:
            lines = text.count("\n", done, comment.span.start)
            if comment.is_own_line or before is None:
                token.above.append((comment.text.rstrip(), lines))
            else:
                before.beside = comment.text.rstrip()
            done = comment.span.end
            comment = next(pending, None)
        token.lines = text.count("\n", done, token.start)
        before, done = token, token.end


def _starts(node: object) -> Iterator[int]:
    """The offsets at which a declaration and the statements in its blocks start."""
    if is_dataclass(node) and not isinstance(node, type):
        span = getattr(node, "span", None)
        if span is not None:
            yield span.start
        for part in fields(node):
            is_block = part.name in _STATEMENTS or (part.name == "labels" and isinstance(node, ast.Version))
            if is_block:
                for statement in getattr(node, part.name):
                    yield from _starts(statement)


class _Arranger:
    """Cuts the tokens into statements."""

    def __init__(self, tokens: list[Piece], starts: set[int], text: str) -> None:
        self._tokens = tokens
        self._starts = starts
        self._text = text
        self._at = 0

    def statements(self) -> list[Statement]:
        found: list[Statement] = []
        while (token := self._tokens[self._at]).kind not in ("}", END):
            if token.kind == "{":
                found[-1].block = self._block()
                continue
            if token.start in self._starts or not found:
                found.append(Statement(head=[]))
            found[-1].head.append(token)
            self._at += 1
        return found

    def _block(self) -> Block:
        opening = self._tokens[self._at]
        self._at += 1
        statements = self.statements()
        closing = self._tokens[self._at]
        self._at += 1
        was_open = "\n" in self._text[opening.start : closing.start]
        return Block(opening=opening, statements=statements, closing=closing, was_open=was_open)
