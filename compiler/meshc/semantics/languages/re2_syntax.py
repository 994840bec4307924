"""RE2 syntax: a pattern -> an expression over bytes, as RE2 reads it in Latin-1.

Takes patterns that RE2 itself accepts, so only the structure is read here. Which bytes a class, an escape or a folded letter
stands for is asked of RE2, byte by byte; so this module knows no Unicode table and cannot disagree with it.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final

import re2

from meshc.semantics.languages.model import TooComplexError

MAX_DEPTH: Final = 100
"""How deep groups and repetitions may be nested."""


class Assertion(Enum):
    """What holds between two bytes, or at an end."""

    BEGIN_TEXT = r"\A"
    END_TEXT = r"\z"
    BEGIN_LINE = "(?m)^"
    END_LINE = "(?m)$"
    WORD = r"\b"
    NO_WORD = r"\B"


@dataclass(frozen=True, slots=True)
class Bytes:
    """One byte; bit b of `members` is set where it may be b."""

    members: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other; nothing at all if there are none."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Choice:
    branches: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """At least `least` times and at most `most` times; None is without end."""

    body: "Expression"
    least: int
    most: int | None


Expression = Bytes | Sequence | Choice | Repeat | Assertion

_TOKEN: Final = re.compile(
    rb"""
      \\Q (?P<quoted> .*? ) (?: \\E | \Z )
    | (?P<repeat> [*+?] | \{ (?P<least> 0|[1-9][0-9]{0,3} ) (?P<comma> , (?P<most> 0|[1-9][0-9]{0,3} )? )? \} ) \??
    | \(\? (?P<on> [imsU]* ) (?: - (?P<off> [imsU]+ ) )? (?P<scope> [:)] )
    | (?P<open> \( (?: \? P? < [^>]* > )? )
    | (?P<close> \) )
    | (?P<bar> \| )
    | (?P<assertion> \\[AzbB] | \^ | \$ )
    | (?P<atom>
          \\ (?: [pP] (?: \{ [^}]* \} | . ) | x (?: \{ [0-9A-Fa-f]+ \} | [0-9A-Fa-f]{2} ) | [0-7]{1,3} | . )
        | \[ \^? \]? (?: \[: [^\]]*? :\] | \\. | [^\]\\] )* \]
        | .
      )
    """,
    re.VERBOSE | re.DOTALL,
)
_ASSERTIONS: Final = {
    rb"\A": Assertion.BEGIN_TEXT,
    rb"\z": Assertion.END_TEXT,
    rb"\b": Assertion.WORD,
    rb"\B": Assertion.NO_WORD,
}
_COUNTS: Final = {b"*": (0, None), b"+": (1, None), b"?": (0, 1)}


@dataclass(slots=True)
class _Group:
    """A group that is still open: its finished branches, the parts of the current one, and the flags around it."""

    outer_flags: frozenset[str]
    branches: list[Expression] = field(default_factory=list)
    parts: list[tuple[Expression, int]] = field(default_factory=list)
    depth: int = 0

    def end_branch(self) -> None:
        expressions = tuple(one for one, _ in self.parts)
        self.depth = max((self.depth, *(depth for _, depth in self.parts)))
        self.branches.append(expressions[0] if len(expressions) == 1 else Sequence(expressions))
        self.parts = []

    def close(self) -> tuple[Expression, int]:
        self.end_branch()
        whole = self.branches[0] if len(self.branches) == 1 else Choice(tuple(self.branches))
        return whole, self.depth + 1


def read_re2(pattern: str) -> Expression:
    """Understand a pattern that RE2 accepts. Raises TooComplexError for one that is nested too deep."""
    flags: frozenset[str] = frozenset()
    groups = [_Group(flags)]
    for token in _TOKEN.finditer(pattern.encode()):
        group = groups[-1]
        match token.lastgroup:
            case "quoted":
                group.parts += ((_bytes(bytes((one,)), flags, quoted=True), 0) for one in token["quoted"])
            case "repeat":
                group.parts[-1] = _repeated(token, *group.parts[-1])
            case "scope":
                groups += (_Group(flags),) if token["scope"] == b":" else ()
                flags = (flags | set(token["on"].decode())) - set((token["off"] or b"").decode())
            case "open":
                groups.append(_Group(flags))
            case "close":
                flags = groups.pop().outer_flags
                groups[-1].parts.append(group.close())
            case "bar":
                group.end_branch()
            case "assertion":
                group.parts.append((_assertion(token["assertion"], flags), 0))
            case _:
                group.parts.append((_bytes(token["atom"], flags), 0))
    whole, depth = groups[0].close()
    if depth > MAX_DEPTH:
        raise TooComplexError(f"an expression is nested more than {MAX_DEPTH} deep")
    return whole


def _repeated(token: re.Match[bytes], body: Expression, depth: int) -> tuple[Expression, int]:
    if token["least"] is None:
        least, most = _COUNTS[token["repeat"]]
    else:
        least = int(token["least"])
        most = least if token["comma"] is None else None if token["most"] is None else int(token["most"])
    return Repeat(body, least, most), depth + 1


def _assertion(spelling: bytes, flags: frozenset[str]) -> Assertion:
    by_line = "m" in flags
    match spelling:
        case b"^":
            return Assertion.BEGIN_LINE if by_line else Assertion.BEGIN_TEXT
        case b"$":
            return Assertion.END_LINE if by_line else Assertion.END_TEXT
        case _:
            return _ASSERTIONS[spelling]


def _bytes(atom: bytes, flags: frozenset[str], *, quoted: bool = False) -> Bytes:
    if len(atom) == 1 and "i" not in flags and (quoted or atom != b"."):
        return Bytes(1 << atom[0])
    spelling = rb"\x%02x" % atom[0] if quoted else atom
    return Bytes(_members(b"(?" + "".join(sorted(flags & {"i", "s"})).encode() + b":" + spelling + b")"))


@lru_cache(maxsize=4096)
def _members(pattern: bytes) -> int:
    """The bytes that match a pattern for one byte."""
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    matches = re2.compile(pattern, options).fullmatch
    return sum(1 << byte for byte in range(256) if matches(bytes((byte,))) is not None)
