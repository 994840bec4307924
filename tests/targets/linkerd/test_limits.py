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
        ('deny web to GET when header "x-a" is present allow web', "a value of `x-a` beyond it would evade this"),
        ('allow web when header "x-a" == "1" and header "x-a" == "2"', "a request with two lines of it"),
        ('allow web when host starts with "a"', "host starts with"),
        ("allow anyone to /a deny web", ""),
        ('allow identity "spiffe://cluster.local/ns/*"', ""),
        ('allow identity "spiffe://cluster.local/other/*"', "no prefixes of identities"),
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
    assert "lets callers without an identity in together with everybody else" in message


def test_services_that_share_pods() -> None:
    text = """namespace shop
service a in shop { port 80 http labels app = "x" }
service b in shop { port 80 http labels app = "x" }
"""
    assert any("would both decide about port 80" in message for _, message in errors(text))


@pytest.mark.parametrize("limit", ["100/m", "10/s burst 20"])
def test_limits_that_are_no_whole_seconds(limit: str) -> None:
    assert any("whole requests a second" in message for _, message in errors(f"{BASE}rate-limit cart {{ {limit} }}"))


def test_a_route_for_the_root_keeps_the_retries_of_the_rest() -> None:
    text = BASE + "traffic cart { retry 2 on 503 { unsafe } route / { retry never } }"
    ((_, message),) = errors(text)
    assert "cannot tell a route for `/` from the rest" in message
