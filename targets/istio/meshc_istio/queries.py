"""Query parameters that must not pass: Istio inverts tests of headers alone, and `:path`, which holds the query, is one.

One regular expression finds the first parameter of a name, stepping over those of other names.
"""

import re
from typing import Final

from meshc import ir
from meshc_istio.obstacles import Obstacle
from meshc_istio.texts import quote

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9._~-]+")


def target_expression(name: str, test: ir.TextTest) -> str | Obstacle | None:
    """An expression for request targets whose first parameter called `name` passes; None if none can."""
    if _PLAIN_NAME.fullmatch(name) is None:
        return Obstacle(
            reason=f"test that the query parameter `{name}` does not pass",
            advice="names of letters, digits and `-._~` can be tested so",
        )
    if isinstance(test, ir.Matches):
        return Obstacle(
            reason=f"test that the query parameter `{name}` does not match a pattern",
            advice="use `!=`, or tests of how it starts or ends",
        )
    if not isinstance(test, ir.IsPresent) and ("&" in test.value or "#" in test.value):
        return None
    return rf"[^?]*\?(?:{_other_parameter(name)}&)*{quote(name)}{_value(test)}(?:&.*)?"


def _value(test: ir.Equals | ir.StartsWith | ir.EndsWith | ir.IsPresent) -> str:
    if isinstance(test, ir.IsPresent) or not test.value:
        return "=?" if isinstance(test, ir.Equals) else "(?:=[^&]*)?"
    text = quote(test.value)
    before = "[^&]*" if isinstance(test, ir.EndsWith) else ""
    after = "[^&]*" if isinstance(test, ir.StartsWith) else ""
    return f"={before}{text}{after}"


def _other_parameter(name: str) -> str:
    """A parameter of any name but this: it ends early, or differs in some character, or goes on."""
    found = "[^&=][^&]*"
    for character in reversed(name):
        excluded = "\\-" if character == "-" else character
        found = f"(?:=[^&]*|[^&={excluded}][^&]*|{quote(character)}{found})?"
    return found
