"""Query parameters, which RBAC cannot read by itself: the first value of a name, as sent.

Fixed texts are tested by one regular expression over the `:path` header, which steps over parameters of other names. A
pattern cannot be put into it, since it could itself match the `&` that ends the value; Envoy's router does read raw values,
so a pattern is a match of the route, which then carries metadata for RBAC: one route for each set of patterns that may hold.
"""

import re
from collections.abc import Iterable
from itertools import combinations
from typing import Final, assert_never

from meshc import ir
from meshc.target import Json
from meshc_envoy.shapes import Object
from meshc_envoy.text_matchers import quote, regex

MAX_PATTERNS: Final = 6
"""How many different query patterns one port may have: there are 2 ** n routes for n of them."""

METADATA: Final = "meshc.queries"
"""The namespace of the routes' metadata."""

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9._~-]+")


def is_plain_query_name(name: str) -> bool:
    """Whether a parameter of this name can be tested."""
    return _PLAIN_NAME.fullmatch(name) is not None


def query_matcher(query: ir.QueryIs) -> Object | None:
    """A permission or principal for the test; None if it can match nothing."""
    if isinstance(query.test, ir.Matches):
        path: list[Json] = [{"key": pattern_key(query.name, query.test.pattern)}]
        matcher: Json = {"filter": METADATA, "path": path, "value": {"bool_match": True}}
        return {"sourced_metadata": {"metadata_matcher": matcher, "metadata_source": "ROUTE"}}
    expression = query_expression(query.name, query.test)
    if expression is None:
        return None
    return {"header": {"name": ":path", "string_match": regex(expression)}}


def query_expression(name: str, test: ir.Equals | ir.StartsWith | ir.EndsWith | ir.IsPresent) -> str | None:
    """A regular expression for targets whose first parameter of this name passes; None if none can."""
    value = _value(test)
    if value is None:
        return None
    return rf"[^?]*\?(?:{_other_parameter(name)}&)*{quote(name)}{value}(?:&\C*)?"


def _value(test: ir.Equals | ir.StartsWith | ir.EndsWith | ir.IsPresent) -> str | None:
    match test:
        case ir.IsPresent():
            return r"(?:=[^&]*)?"
        case ir.Equals(text) | ir.StartsWith(text) | ir.EndsWith(text) if "&" in text or "#" in text:
            return None
        case ir.Equals(text):
            return f"={quote(text)}" if text else "=?"
        case ir.StartsWith(text):
            return f"={quote(text)}[^&]*" if text else "(?:=[^&]*)?"
        case ir.EndsWith(text):
            return f"=[^&]*{quote(text)}" if text else "(?:=[^&]*)?"
        case _:
            assert_never(test)


def _other_parameter(name: str) -> str:
    """A parameter of any name but this: it ends early, or differs in some character, or goes on."""
    expression = "[^&=][^&]*"
    for character in reversed(name):
        excluded = "\\-" if character == "-" else character
        expression = f"(?:=[^&]*|[^&={excluded}][^&]*|{quote(character)}{expression})?"
    return expression


def pattern_key(name: str, pattern: str) -> str:
    """The metadata key that says whether a pattern holds."""
    return f"{name}={pattern}"


def query_patterns(atoms: Iterable[ir.Atom]) -> tuple[tuple[str, str], ...]:
    """Each parameter's name and pattern that some rule tests, sorted."""
    tests = [(atom.name, atom.test) for atom in atoms if isinstance(atom, ir.QueryIs)]
    return tuple(sorted({(name, test.pattern) for name, test in tests if isinstance(test, ir.Matches)}))


def routes_by_patterns(route: Object, patterns: tuple[tuple[str, str], ...]) -> list[Json]:
    """The route once for each set of patterns, the larger sets first; the last one is the route itself."""
    return [
        _with_patterns(route, chosen)
        for size in range(len(patterns), -1, -1)
        for chosen in combinations(patterns, size)
    ]


def _with_patterns(route: Object, patterns: tuple[tuple[str, str], ...]) -> Object:
    match = route["match"]
    if not patterns or not isinstance(match, dict):
        return route
    own = match.get("query_parameters")
    tests: list[Json] = [*(own if isinstance(own, list) else [])]
    tests += [{"name": name, "string_match": regex(pattern)} for name, pattern in patterns]
    holds: Object = {pattern_key(name, pattern): True for name, pattern in patterns}
    return {
        "match": match | {"query_parameters": tests},
        **{key: value for key, value in route.items() if key != "match"},
        "metadata": {"filter_metadata": {METADATA: holds}},
    }
