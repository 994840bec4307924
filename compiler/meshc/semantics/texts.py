"""Tests of one string, compiled to functions."""

from collections.abc import Callable
from functools import lru_cache
from typing import assert_never

import re2

from meshc.ir import Contains, EndsWith, Equals, IsPresent, Matches, StartsWith, TextTest

TextCheck = Callable[[str], bool]


@lru_cache(maxsize=4096)
def fullmatcher(pattern: str) -> TextCheck:
    """A test for texts that match an RE2 pattern as a whole.

    Texts are matched byte by byte, as Envoy does: a character beyond ASCII counts as the bytes of its UTF-8 form. Raises
    ValueError for a pattern that is not RE2 syntax.
    """
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        search = re2.compile(pattern.encode(), options).fullmatch
    except (re2.error, UnicodeEncodeError) as error:
        raise ValueError(f"`{pattern}` is not RE2 syntax: {error}") from None
    return lambda text: search(_bytes(text)) is not None


def _bytes(text: str) -> bytes:
    """What a text is on the wire; a byte that is no UTF-8 is a lone surrogate in it (PEP 383)."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def text_check(test: TextTest) -> TextCheck:
    """A test of one text; `IsPresent` holds for each. Raises ValueError for a pattern that is not RE2 syntax."""
    match test:
        case Equals(value=value):
            return value.__eq__
        case StartsWith(value=value):
            return lambda text: text.startswith(value)
        case EndsWith(value=value):
            return lambda text: text.endswith(value)
        case Matches(pattern=pattern):
            return fullmatcher(pattern)
        case IsPresent():
            return _always
        case _:
            assert_never(test)


def _always(_text: str) -> bool:
    return True


def claim_check(test: TextTest | Contains) -> Callable[[object], bool]:
    """A test of one claim's value.

    Of a list its strings count, whatever else it holds, for `Contains` and `IsPresent` alone. Raises ValueError for a
    pattern that is not RE2 syntax.
    """
    match test:
        case Contains(value=wanted):
            return lambda claim: wanted in claim.split(" ") if isinstance(claim, str) else wanted in _strings(claim)
        case IsPresent():
            return lambda claim: isinstance(claim, str) or bool(_strings(claim))
        case _:
            check = text_check(test)
            return lambda claim: isinstance(claim, str) and check(claim)


def _strings(claim: object) -> list[str]:
    """The strings of a list; of anything else, none."""
    return [item for item in claim if isinstance(item, str)] if isinstance(claim, list) else []
