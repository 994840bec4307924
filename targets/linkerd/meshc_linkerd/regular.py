r"""Regular expressions as Linkerd reads them: sets of bytes and RE2 expressions -> Rust syntax.

The `regex` crate reads some spellings otherwise than RE2 does (`&&`, `--` and `~~` in classes, Unicode in `\d` and `.`), so
nothing that users wrote is passed on: it is read, and printed in the few forms that mean the same to both.
"""

from collections.abc import Iterable
from typing import Final, assert_never

from meshc.semantics.languages.nfa import ANY_BYTE
from meshc.semantics.languages.re2_syntax import Assertion, Bytes, Choice, Expression, Repeat, Sequence

MAX_LENGTH: Final = 1024
"""The longest path and query value of the Gateway API; header values may have 4096 characters."""

_SPECIAL: Final = frozenset(r"\.+*?()|[]{}^$#&-~")
_ASSERTIONS: Final = {Assertion.BEGIN_TEXT: r"\A", Assertion.END_TEXT: r"\z"}
_ASCII: Final = (1 << 128) - 1


class UnprintableError(ValueError):
    """An expression that says something about bytes beyond ASCII or about word ends, which Linkerd reads otherwise."""


def quoted(text: str) -> str:
    """An expression for one text, which is ASCII."""
    return "".join(f"\\{char}" if char in _SPECIAL else char for char in text)


def byte_class(members: int) -> str:
    """An expression for one of some ASCII bytes; not empty. Raises UnprintableError for others."""
    if members == ANY_BYTE:
        return "(?s:.)"
    if members & ~_ASCII and members & ~_ASCII != ANY_BYTE & ~_ASCII:
        raise UnprintableError
    if members & ~_ASCII:  # all bytes but some ASCII ones
        return f"[^{_ranges(_ASCII & ~members)}]"
    numbers = [byte for byte in range(128) if members >> byte & 1]
    return quoted(chr(numbers[0])) if len(numbers) == 1 and numbers[0] > 0x20 else f"[{_ranges(members)}]"


def _ranges(members: int) -> str:
    shown: list[str] = []
    byte = 0
    while byte < 128:
        if not members >> byte & 1:
            byte += 1
            continue
        last = byte
        while members >> (last + 1) & 1 and last < 127:
            last += 1
        shown.append(_range(byte, last))
        byte = last + 1
    return "".join(shown)


def _range(first: int, last: int) -> str:
    if last - first < 2:
        return "".join(_in_class(byte) for byte in range(first, last + 1))
    return f"{_in_class(first)}-{_in_class(last)}"


def _in_class(byte: int) -> str:
    char = chr(byte)
    if not char.isprintable():
        return f"\\x{byte:02x}"
    return f"\\{char}" if char in _SPECIAL else char


def alternatives(branches: Iterable[str]) -> str:
    """An expression for any of some; not empty."""
    some = list(branches)
    return some[0] if len(some) == 1 else f"(?:{'|'.join(some)})"


def printed(expression: Expression) -> str:
    """An RE2 expression in Rust syntax, to stand between others. Raises UnprintableError.

    Bytes beyond ASCII stand for characters beyond ASCII only where all of them may.
    """
    match expression:
        case Bytes(members=0):
            return r"[^\s\S]"
        case Bytes(members=members):
            return byte_class(members)
        case Sequence(parts=parts):
            return "".join(f"(?:{printed(part)})" if isinstance(part, Choice) else printed(part) for part in parts)
        case Choice(branches=branches):
            return "|".join(printed(branch) for branch in branches)
        case Repeat(body=body, least=least, most=most):
            shown = printed(body)
            return f"{shown if isinstance(body, Bytes) else f'(?:{shown})'}{_count(least, most)}"
        case Assertion():
            if expression not in _ASSERTIONS:
                raise UnprintableError
            return _ASSERTIONS[expression]
        case _:
            assert_never(expression)


def _count(least: int, most: int | None) -> str:
    match least, most:
        case 0, None:
            return "*"
        case 1, None:
            return "+"
        case 0, 1:
            return "?"
        case _, None:
            return f"{{{least},}}"
        case _:
            return f"{{{least}}}" if least == most else f"{{{least},{most}}}"
