"""Pairs of routes: which of them one request can match, and with which request that is shown."""

import pytest

from meshc_harness.compare import analyze_text

SHOP = """namespace shop
service web in shop
service cart in shop { port 8080 http }
access cart { allow web }
"""


def ambiguities(*routes: str) -> list[str]:
    body = "\n".join(f"route {route} {{ respond {200 + number} }}" for number, route in enumerate(routes))
    found = analyze_text(f"{SHOP}traffic cart {{\n{body}\n}}\n").diagnostics
    assert {one.name for one in found} <= {"ambiguous-route"}, found
    return [one.message for one in found]


@pytest.mark.parametrize(
    ("first", "second", "request_"),
    [
        ("/a/{x}", "/{y}/b", "GET /a/b"),
        ("/a/{x}/**", "/{y}/b/**", "GET /a/b"),
        ("GET|POST /a", "HEAD|POST /a", "POST /a"),
        ('/a when header "a" == "1"', '/a when header "b" == "1"', 'GET /a with header "a" "1", header "b" "1"'),
        ('/a when header "a" == "1"', '/a when header "a" == "2"', 'GET /a with header "a" "1", header "a" "2"'),
        ('/a when header "a" starts with "x"', '/a when header "a" != "x"', 'GET /a with header "a" "xa"'),
        ('/a when query "a" == "1"', '/a when query "b" in ("2", "3")', 'GET /a with query "a" "1", query "b" "2"'),
        ('/a when query "a" != "1"', '/a when query "b" is absent', "GET /a"),
        ('/a when host == "a.b"', '/a when host ends with ".b"', 'GET /a with host "a.b"'),
        ('re"/a/[0-9]+"', 're"/a/[0-9a-f]+"', "GET /a/0"),
        ("/a by web", "/a by namespace shop", "GET /a` by `spiffe://cluster.local/ns/shop/sa/web"),
    ],
)
def test_a_request_that_both_match_is_shown(first: str, second: str, request_: str) -> None:
    message = f"two routes match `{request_}`, and neither is more specific"
    assert ambiguities(first, second) == [message]
    assert len(ambiguities(second, first)) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/a/{x}", "/b/{y}"),
        ("/a/{x}", "/a/b"),
        ("/a/{x}/**", "/a/**"),
        ("/**", "/a"),
        ("GET /a", "POST /a"),
        ("GET /a", "/a"),
        ('/a when header "a" == "1"', '/a when header "a" != "1"'),
        ('/a when header "a" == "1"', '/a when header "a" == "2" and header "a" != "1"'),
        ('/a when query "a" == "1"', '/a when query "a" == "2"'),
        ('/a when host == "a.b"', '/a when host ends with ".c"'),
        ('re"/a/[0-9]+"', 're"/b/[0-9]+"'),
        ("/a by web", "/a"),
    ],
)
def test_routes_that_never_meet_or_are_decided_are_fine(first: str, second: str) -> None:
    assert ambiguities(first, second) == []
    assert ambiguities(second, first) == []


def test_operations_of_one_route_may_meet() -> None:
    assert ambiguities("GET /a/{x}, GET /{y}/b") == []
