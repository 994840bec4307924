"""Routes that no request takes, and who takes what they match."""

import pytest

from meshc_harness.compare import analyze_text

BASE = """namespace a
service b in a { port 80 http version v1 version v2 }
service c in a
service d in a
access b { allow c, d }
traffic b {
  split b@v1 100%
"""


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        (
            ['route /x when header "a" is present -> b@v2', 'route /x when header "a" is absent -> b@v2', "route /x { timeout 1s }"],
            [(3, (1, 2))],
        ),
        (["route GET /x -> b@v2", "route /x { timeout 1s }"], []),
        (['route /y when query "q" == "1" and query "q" == "2" -> b@v2'], [(1, ())]),
        (['route /y when header "q" == "1" and header "q" == "2" -> b@v2'], []),
        (["route /x by c -> b@v2", "route /x by d -> b@v2", "route /x { timeout 1s }"], []),
        (["route /x -> b@v2", "route /x/** -> b@v2", "route /** { timeout 1s }"], []),
        (
            ['route /x when header "a" is present -> b@v2', 'route /x when header "a" is absent -> b@v2', "route /x, /y { timeout 1s }"],
            [],
        ),
    ],
)  # fmt: skip
def test_dead_routes_and_who_takes_their_requests(
    routes: list[str], expected: list[tuple[int, tuple[int, ...]]]
) -> None:
    found = analyze_text(BASE + "".join(f"  {route}\n" for route in routes) + "}\n").diagnostics
    dead = [one for one in found if one.name == "dead-route"]
    lines = [(one.span.line - 7, tuple(label.span.line - 7 for label in one.labels)) for one in dead]
    assert lines == expected
