"""What a slip sees, and what it makes of it."""

import re
from dataclasses import dataclass

from meshc.syntax.run import Run, Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """A slip's message, and how to go on: feed `tokens`, then read from `resume`.

    `start` and `end` are the place of the message. With `is_invented`, the tokens say something that the user did not, so that the
    declaration around them must not reach later stages.
    """

    start: int
    end: int
    message: str
    help: str
    resume: int
    tokens: tuple[Token, ...] = ()
    is_invented: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run stopped: the refused token, what was expected, and the user's word there."""

    run: Run
    token: Token
    expected: frozenset[str]
    word: str

    @property
    def start(self) -> int:
        return self.token.start

    @property
    def end(self) -> int:
        """Where the word ends."""
        return self.token.start + len(self.word)

    def rest(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Match a pattern at the place."""
        return pattern.match(self.run.text, self.start)

    def is_on_line_of_last(self) -> bool:
        """Whether the symbol before stands on the same line."""
        run = self.run
        return bool(run.ends) and "\n" not in run.text[run.ends[-1] : self.start]

    def last(self) -> object:
        """The symbol before: a syntax tree, or the text of a fixed word; None at the start."""
        return self.run.values[-1] if self.run.values else None

    def mend(self, message: str, advice: str, end: int, tokens: tuple[Token, ...] = ()) -> Mend:
        """A mend of what stands from here to `end`, which `tokens` replace."""
        return Mend(start=self.start, end=end, message=message, help=advice, resume=end, tokens=tokens)

    def replaced(self, kind: str, text: str, end: int | None = None) -> tuple[Token, ...]:
        """One token to stand for what is here."""
        return (Token(kind=kind, text=text, start=self.start, end=self.end if end is None else end),)
