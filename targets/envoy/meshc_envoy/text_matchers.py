r"""Tests of one text as Envoy string matchers, and the regular expressions that the model of requests needs.

All regular expressions are RE2's, match whole texts, and use `\C` (any byte) where the language means "anything": in
RE2's UTF-8 mode a `.` does not match a byte that is no part of a character, which would let a sender evade a deny.
"""

import re
from typing import Final, assert_never

from meshc import ir
from meshc_envoy.shapes import Object

MAX_PROGRAM: Final = 10_000
"""The largest RE2 program that emitted expressions may have, written into each bootstrap as Envoy's limit."""

_BLANKS: Final = r"[ \t]*"
_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")


def quote(text: str) -> str:
    """A regular expression for exactly `text`."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def regex(pattern: str) -> Object:
    return {"safe_regex": {"regex": pattern}}


def text_matcher(test: ir.Equals | ir.StartsWith | ir.EndsWith | ir.Matches) -> Object:
    """A `StringMatcher` for a text compared as it is."""
    match test:
        case ir.Equals(value):
            return {"exact": value}
        case ir.StartsWith(value):
            return {"prefix": value} if value else regex(r"\C*")
        case ir.EndsWith(value):
            return {"suffix": value} if value else regex(r"\C*")
        case ir.Matches(pattern):
            return regex(pattern)
        case _:
            assert_never(test)


def caseless_matcher(test: ir.Equals | ir.StartsWith | ir.EndsWith | ir.Matches) -> Object | None:
    """A `StringMatcher` for a text compared in lower case, as hosts are; None if it can match nothing.

    A pattern that spells upper-case letters is refused before (`spells_upper_case`), so folding both sides is exact.
    """
    match test:
        case ir.Matches(pattern):
            return regex(f"(?i:{pattern})")
        case ir.Equals(value) | ir.StartsWith(value) | ir.EndsWith(value):
            if value != value.lower():
                return None
            matcher = text_matcher(test)
            return matcher if "safe_regex" in matcher else {**matcher, "ignore_case": True}
        case _:
            assert_never(test)


def server_name_matcher(test: ir.Equals | ir.StartsWith | ir.EndsWith | ir.Matches) -> Object | None:
    """The same for server names of TLS hellos, which may end in a dot that means nothing."""
    match test:
        case ir.Matches(pattern):
            return regex(rf"(?i:{pattern})\.?")
        case ir.Equals(value) | ir.EndsWith(value) if value == value.lower():
            before = r"\C*" if isinstance(test, ir.EndsWith) else ""
            return regex(rf"{before}(?i:{quote(value)})\.?")
        case _:
            return caseless_matcher(test)


_NOT_LETTERS: Final = re.compile(r"\(\?P?<[^>]*>|\\.")
_CASE_CLASSES: Final = re.compile(r"\[:upper:\]|\\[pPxQ0-7]")


def spells_upper_case(pattern: str) -> bool:
    """Whether a regular expression names upper-case letters, or may do so by a class or a code.

    On a lower-cased text such a pattern means something else than without regard to case.
    """
    return bool(_CASE_CLASSES.search(pattern) or re.search("[A-Z]", _NOT_LETTERS.sub("", pattern)))


def trimmed_matcher(test: ir.Equals | ir.StartsWith | ir.EndsWith | ir.Matches) -> Object | None:
    """A `StringMatcher` for a header value compared without the white space at its ends; None if it can match nothing.

    HTTP/1 parsers strip it, but over HTTP/2 Envoy keeps it, and an exact match would then be evaded. A pattern may match
    blanks itself; `meshc_envoy.requests` therefore refuses values with blanks at an end where a pattern reads the header.
    """
    match test:
        case ir.Equals(value):
            return regex(_BLANKS + quote(value) + _BLANKS) if value == value.strip(" \t") else None
        case ir.StartsWith(value):
            return _starts_with(value)
        case ir.EndsWith(value):
            return _ends_with(value)
        case ir.Matches(pattern):
            return regex(f"{_BLANKS}(?:{pattern}){_BLANKS}")
        case _:
            assert_never(test)


def _starts_with(value: str) -> Object | None:
    if value[:1] in (" ", "\t"):
        return None
    if value.rstrip(" \t") == value:
        return regex(_BLANKS + quote(value) + r"\C*")
    # The blanks at the end of the literal are inside the value, so something else must follow them.
    return regex(_BLANKS + quote(value) + r"\C*[^ \t]" + _BLANKS)


def _ends_with(value: str) -> Object | None:
    if value[-1:] in (" ", "\t"):
        return None
    if value.lstrip(" \t") == value:
        return regex(r"\C*" + quote(value) + _BLANKS)
    return regex(_BLANKS + r"[^ \t]\C*" + quote(value) + _BLANKS)
