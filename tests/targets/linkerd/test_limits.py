"""What Linkerd cannot say is an error at its place, with what to write instead."""

import pytest

from meshc.targets import find_target
from meshc_harness.compare import analyze_text

BASE = """namespace shop
service web in shop
service cart in shop { port 8080 http }
"""


def errors(text: str) -> list[tuple[int, str]]:
    mesh = analyze_text(text).mesh
    assert mesh is not None
    emission = find_target("linkerd").emit(mesh, {})
    wrong = [(one.span.line, one.message) for one in emission.diagnostics if one.severity.value == "error"]
    assert bool(emission.documents) == (not wrong)
    return wrong


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ('deny web to GET when header "x-a" is present allow web', "header `x-a` holds a value beyond ASCII"),
        ('allow web when header "x-a" == "1" and header "x-a" == "2"', "several different tests of header `x-a`"),
        ('allow web when host starts with "a"', "host starts with"),
        ("allow anyone to /a deny web", ""),
        ('allow identity "spiffe://cluster.local/ns/*"', ""),
        ('allow identity "spiffe://cluster.local/other/*"', "identities by a prefix other than a namespace's"),
    ],
)
def test_rules(rule: str, reason: str) -> None:
    wrong = errors(f"{BASE}access cart {{ {rule} }}")
    if not reason:
        assert not wrong
    else:
        assert len(wrong) == 1
        assert wrong[0][0] == 4
        assert reason in wrong[0][1]


def test_plaintext_callers_cannot_be_told_from_the_rest() -> None:
    text = f"{BASE}authenticate cart {{ mtls permissive }}\naccess cart {{ allow anyone except web }}"
    ((_, message),) = errors(text)
    assert "cannot refuse identities at `shop.cart:8080` and let in callers without one" in message


def test_services_that_share_pods() -> None:
    text = """namespace shop
service a in shop { port 80 http labels app = "x" }
service b in shop { port 80 http labels app = "x" }
service web in shop
"""
    assert not errors(text)
    text += "access a { allow web }"
    assert any("linkerd has one policy for a port of a pod" in message for _, message in errors(text))


@pytest.mark.parametrize("limit", ["100/m", "30/m", "10/s burst 5"])
def test_limits_that_are_no_whole_seconds(limit: str) -> None:
    assert any("whole requests per second" in message for _, message in errors(f"{BASE}rate-limit cart {{ {limit} }}"))


def test_a_route_for_the_root_keeps_the_retries_of_the_rest() -> None:
    text = BASE + "traffic cart { retry 2 on 503 { unsafe } route / { retry never } }"
    ((_, message),) = errors(text)
    assert "cannot tell a route for `/` from the rest" in message


@pytest.mark.parametrize(
    "services",
    ["service cart-v2 in shop", "service cart-v2 in shop { version b } traffic cart-v2 { split cart-v2@b 100% }"],
)
def test_a_version_is_no_other_service(services: str) -> None:
    text = (
        BASE.replace("8080 http }", "8080 http version v1 version v2 }")
        + "traffic cart { split cart@v1 50%, cart@v2 50% }\n"
    )
    assert not errors(text)
    text += services.replace("shop {", "shop { port 80 http ")
    assert any("`cart-v2`, and so is service `shop.cart-v2`" in message for _, message in errors(text))


def test_two_versions_are_two_services() -> None:
    text = """namespace shop
service a in shop { port 80 http version b-c version d }
service a-b in shop { port 80 http version c version d }
service web in shop
traffic a { split a@b-c 50%, a@d 50% }
traffic a-b { split a-b@c 50%, a-b@d 50% }
"""
    ((line, message),) = errors(text)
    assert line == 3
    assert "version `c` of `shop.a-b` is a Service `a-b-c`, and so is version `b-c` of `shop.a`" in message


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ('header "x-a" == "é"', "the header `x-a` for text beyond ASCII"),
        ('header "x-a" matches re"a\\bb"', "word ends"),
        ('query "q" matches re"[^a]\\b"', "the query parameter `q`"),
    ],
)
def test_routes_that_linkerd_would_ignore(condition: str, reason: str) -> None:
    text = BASE.replace("8080 http }", "8080 http version v1 version v2 }")
    ((_, message),) = errors(f"{text}traffic cart {{ route /a when {condition} -> cart@v1 }}")
    assert reason in message


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ('\nset request header "x-a" ""', 5),
        ('\ntimeout 1s\nset request header "x-a" "1"\nadd request header "x-a" "2"', 7),
        ("\nroute /a\nroute PURGE /b { timeout 1s }", 6),
        ('\nroute /a { timeout 2s }\nroute /b { redirect "/c" status 308 }', 6),
    ],
)
def test_routes_are_blamed_where_they_stand(said: str, line: int) -> None:
    assert [one for one, _ in errors(f"{BASE}traffic cart {{ {said} }}")] == [line]
