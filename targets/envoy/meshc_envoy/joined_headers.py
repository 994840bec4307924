r"""Headers whose lines Envoy joins: conditions on them, closed against a second line.

Envoy keeps some headers as one value and joins further lines to it with a comma (cookies over HTTP/2 with a semicolon)
before any filter runs; that joined value is also what the application gets. The language tests each line alone, so a deny
of `origin == "x"` would be evaded by a second `origin` line. Wherever a match refuses (in a deny, or negated in an allow),
a test therefore passes if any part of the value does. Wherever a match allows, the value is taken as the application sees it.
Seen on Envoy 1.40 by sending two lines of each.
"""

from typing import Final, assert_never

from meshc import ir
from meshc_envoy.text_matchers import quote

JOINED: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "access-control-request-headers",
        "access-control-request-method",
        "authentication",
        "authorization",
        "cache-control",
        "cdn-loop",
        "content-encoding",
        "content-type",
        "cookie",
        "expect",
        "grpc-accept-encoding",
        "grpc-timeout",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "origin",
        "pragma",
        "proxy-status",
        "referer",
        "user-agent",
        "via",
        "x-client-trace-id",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-request-id",
    }
)


def line_separators(name: str) -> str:
    """What Envoy puts between lines of the header that it joins; empty if it keeps the lines apart."""
    if name not in JOINED:
        return ""
    return ",;" if name == "cookie" else ","


def close_joined(condition: ir.Condition, *, refuses: bool) -> ir.Condition:
    """The condition, with its tests of joined headers widened where a match refuses the request."""
    match condition:
        case ir.AllOf(parts):
            return ir.AllOf(tuple(close_joined(part, refuses=refuses) for part in parts))
        case ir.AnyOf(parts):
            return ir.AnyOf(tuple(close_joined(part, refuses=refuses) for part in parts))
        case ir.Not(inner):
            return ir.Not(close_joined(inner, refuses=not refuses))
        case ir.HeaderIs(name, test) if refuses and name in JOINED and not isinstance(test, ir.IsPresent):
            return ir.HeaderIs(name, ir.Matches(_any_part(test, "[,;]" if name == "cookie" else ",")))
        case _:
            return condition


def _any_part(test: ir.Equals | ir.StartsWith | ir.EndsWith | ir.Matches, separator: str) -> str:
    """An expression for a list of values of which some one passes, or for a single value that does."""
    before, after = rf"(?:\C*{separator})?[ \t]*", rf"[ \t]*(?:{separator}\C*)?"
    match test:
        case ir.Equals(value):
            return f"{before}{quote(value)}{after}"
        case ir.StartsWith(value):
            return rf"{before}{quote(value)}\C*"
        case ir.EndsWith(value):
            return rf"\C*{quote(value)}{after}"
        case ir.Matches(pattern):
            return f"{before}(?:{pattern}){after}"
        case _:
            assert_never(test)
