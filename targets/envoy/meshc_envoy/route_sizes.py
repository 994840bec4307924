"""What of a route is too large for Envoy: its expressions, and the headers that it changes."""

from collections.abc import Iterator
from typing import Final

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc.target import Json
from meshc_envoy.atom_limits import program_size
from meshc_envoy.header_changes import header_changes
from meshc_envoy.rewrites import redirect_action, rewritten_path
from meshc_envoy.route_matches import route_matches
from meshc_envoy.text_matchers import MAX_PROGRAM

LONGEST_HEADER: Final = 16_384
"""The most bytes in the name or in the value of a header that a route sets, as it is written for Envoy."""
MOST_HEADERS: Final = 1000
"""How many lines of headers a route may add to requests, and how many to answers."""

_SURELY_SMALL: Final = 200
"""Expressions with fewer characters are not compiled here; patterns of the program were looked at one by one."""


def check_sizes(route: ir.Route) -> Iterator[Diagnostic]:
    """Envoy would refuse the whole bootstrap for any of these."""
    changed: list[Json] = []
    if route.settings.rewrite_path is not None:
        changed.append(rewritten_path(route.path, route.settings.rewrite_path))
    if isinstance(route.action, ir.Redirect):
        changed.append(redirect_action(route.path, route.action))
    for expression in _expressions([*route_matches(route), *changed]):
        if len(expression) >= _SURELY_SMALL and (size := program_size(expression)) > MAX_PROGRAM:
            message = (
                f"this route makes a regular expression of {size} instructions for envoy, whose limit is {MAX_PROGRAM}"
            )
            yield diagnose("regex-too-large", route.span, message, advice="shorten it, or write several routes")
    yield from _headers(route)


def _expressions(value: Json) -> Iterator[str]:
    match value:
        case {"regex": str(expression)}:
            yield expression
        case dict():
            for inner in value.values():
                yield from _expressions(inner)
        case list():
            for inner in value:
                yield from _expressions(inner)


def _headers(route: ir.Route) -> Iterator[Diagnostic]:
    for change in route.settings.header_changes:
        written = (change.value or "").replace("%", "%%").encode()
        if max(len(change.name), len(written)) > LONGEST_HEADER:
            message = f"envoy sets no header whose name or value is longer than {LONGEST_HEADER} bytes"
            yield diagnose("unsupported-by-target", change.span, message, advice="shorten it")
    lines = [found for found in header_changes(route.settings.header_changes).values() if isinstance(found, list)]
    if any(len(found) > MOST_HEADERS for found in lines):
        message = f"envoy changes at most {MOST_HEADERS} headers in one route"
        yield diagnose("unsupported-by-target", route.span, message, advice="change fewer")
