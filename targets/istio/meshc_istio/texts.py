r"""Tests of one text as Istio's `StringMatch`, and the regular expressions that they need.

Istio has each expression read by Go's library when it is applied, and by RE2 in the proxy, so what only one of them knows
is an obstacle: `\C` is. It takes at most 1,024 bytes.
"""

import re
from functools import lru_cache
from typing import Final, assert_never

from meshc import ir
from meshc_istio.obstacles import Obstacle
from meshc_istio.resources.networking import StringMatch

LONGEST: Final = 1024
"""The longest regular expression that Istio takes, in bytes."""

ANYTHING: Final = ".*"
_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")
_ANY_BYTE: Final = re.compile(r"(?:[^\\]|\\[^C])*\\C")
_ONLY_HOSTS: Final = re.compile(r"(?:[a-z0-9-]|\\[.-]|\[[a-z0-9.-]+\]|\(\?:|[()|?*+]|\{[0-9,]+\})*")
_PORT: Final = "(:[0-9]+)?"

PRESENT: Final = StringMatch()
EMPTY: Final = StringMatch(regex="^$")
"""Istio takes an empty `exact`, `prefix` or `regex` for none."""

TextTest = ir.TextTest


def quote(text: str) -> str:
    """A regular expression for exactly `text`."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def expression(test: TextTest) -> str:
    """A regular expression for the texts that pass, as a whole."""
    match test:
        case ir.Equals(value):
            return quote(value)
        case ir.StartsWith(value):
            return quote(value) + ANYTHING
        case ir.EndsWith(value):
            return ANYTHING + quote(value)
        case ir.Matches(pattern):
            return f"(?:{pattern})"
        case ir.IsPresent():
            return ANYTHING
        case _:
            assert_never(test)


def string_match(test: TextTest) -> StringMatch:
    """The plainest form of the test, for a text that is there."""
    match test:
        case ir.Equals(value):
            return StringMatch(exact=value) if value else EMPTY
        case ir.StartsWith(value):
            return StringMatch(prefix=value) if value else StringMatch(regex=ANYTHING)
        case ir.EndsWith(value):
            return StringMatch(regex=ANYTHING + quote(value))
        case ir.Matches(pattern):
            return StringMatch(regex=pattern or "^$")
        case ir.IsPresent():
            return StringMatch(regex=ANYTHING)
        case _:
            assert_never(test)


def any_of(tests: tuple[TextTest, ...]) -> StringMatch:
    """A text that passes one of the tests; there is one at least."""
    if len(tests) == 1:
        return string_match(tests[0])
    return StringMatch(regex="|".join(expression(test) or "^$" for test in tests))


def host_expression(test: TextTest) -> str | Obstacle | None:
    """A regular expression for authorities whose host passes, a port or a final dot aside; None if no host can pass."""
    match test:
        case ir.IsPresent():
            return ANYTHING
        case ir.Matches(pattern):
            if _ONLY_HOSTS.fullmatch(pattern) is None:
                # What else a pattern holds might match the port or the colon before it, or mean upper-case letters.
                advice = r"use lower-case letters, digits, `-`, `\.`, classes such as `[a-z0-9-]`, and operators"
                return Obstacle(
                    reason=f'test a host for `re"{pattern}"`, because the host carries a port', advice=advice
                )
            core = f"(?:{pattern})"
        case ir.Equals(value) | ir.StartsWith(value) | ir.EndsWith(value):
            if value != value.lower():
                return None
            before = "[^:]*" if isinstance(test, ir.EndsWith) else ""
            core = before + quote(value)
            if isinstance(test, ir.StartsWith):
                return f"(?i){core}{ANYTHING}"
        case _:
            assert_never(test)
    return rf"(?i){core}\.?{_PORT}"


@lru_cache(maxsize=4096)
def regex_obstacle(pattern: str) -> Obstacle | None:
    """Why Istio would not take an expression; None if it does."""
    if len(pattern.encode()) > LONGEST:
        return Obstacle(
            reason=f"take a regular expression of {len(pattern.encode())} bytes, and at most {LONGEST}",
            advice="shorten the test, or split it into several routes",
        )
    if _ANY_BYTE.match(pattern) is not None:
        return Obstacle(reason=r"read `\C` in a regular expression", advice="write `.`")
    return None
