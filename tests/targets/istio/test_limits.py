"""What Istio cannot say is an error at its place, with what to write instead."""

from collections.abc import Mapping

import pytest

from meshc.targets import find_target
from meshc_harness.compare import analyze_text

BASE = """namespace shop
service web in shop
service cart in shop { port 8080 http }
"""


def found(text: str, options: Mapping[str, str] | None = None) -> list[tuple[str, int, str]]:
    mesh = analyze_text(text).mesh
    assert mesh is not None
    emission = find_target("istio").emit(mesh, options or {})
    wrong = [(one.severity.value, one.span.line, one.message) for one in emission.diagnostics]
    assert bool(emission.documents) == ("error" not in [severity for severity, _, _ in wrong])
    return wrong


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ('deny web when header "x-a" == "1"', "a second line would evade this"),
        ('allow web when header "x-a" != "1"', "a second line would evade this"),
        ('allow web when header "x-a" == "1,2"', "two lines could pass for this text"),
        ('allow web when header "x-a" == "a*"', "knows no escape"),
        ("deny web to /a/{id}", "takes fewer characters"),
        ('deny web when host ends with ".example"', "any port after the host"),
        ('allow web when host == "a" and host == "b"', "one host, not two"),
        (
            "allow web when " + " and ".join(f'(header "a{n}" == "1" or header "b{n}" == "1")' for n in range(7)),
            "more than 64 alternatives",
        ),
    ],
)
def test_rules(rule: str, reason: str) -> None:
    (error,) = [one for one in found(f"{BASE}access cart {{ {rule} }}") if one[0] == "error"]
    assert error[1] == 4
    assert reason in error[2]


def test_services_that_share_pods() -> None:
    text = """namespace shop
service a in shop { port 80 http labels app = "x" }
service b in shop { port 81 http labels app = "x" }
"""
    assert any("would hold for the pods of" in message for _, _, message in found(text))


def test_services_that_share_pods_with_a_version() -> None:
    text = """namespace shop
service a in shop { port 80 http version v1 version v2 }
service b in shop { port 81 http labels version = "v2" }
"""
    assert [message for kind, _, message in found(text) if kind == "error"] == [
        "on istio the rules of `shop.b` would hold for the pods of `shop.a` too: its labels pick them as well"
    ]


def test_versions_that_policies_would_not_pick() -> None:
    head = "namespace shop\nservice a in shop { port 80 http version v1 version v2"
    wrong = found(f'{head} {{ labels app = "x", version = "2" }} }}')
    assert [message for kind, _, message in wrong if kind == "error"] == [
        "on istio the rules of `shop.a` would not hold for its version `v2`, whose pods have another label `app`"
    ]
    assert not [one for one in found(f'{head} {{ labels app = "a", version = "2" }} }}') if one[0] == "error"]


def test_ports_that_lead_to_one() -> None:
    text = """namespace shop
service web in shop
service a in shop { port 80 http target 8080 port 81 http target 8080 }
access a:80 { allow web }
"""
    assert any("are one: both lead to 8080" in message for _, _, message in found(text))


def test_tokens_of_some_ports_alone() -> None:
    jwt = 'jwt {0} {{ issuer "https://{0}.example" jwks url "https://{0}.example/keys" }}'
    text = f"""namespace shop
service a in shop {{ port 80 http port 81 http }}
authenticate a:80 {{ {jwt.format("one")} }}
"""
    assert ("warning", True) in [(kind, "port 81 too" in message) for kind, _, message in found(text)]
    both = f"{text}authenticate a:81 {{ {jwt.format('two')} }}\n"
    assert any(kind == "error" and "trusts the same issuers" in message for kind, _, message in found(both))


@pytest.mark.parametrize(
    ("rule", "is_wrong"), [("allow web to GET", True), ("deny web to /a", True), ("allow web from 10.0.0.0/8", False)]
)
def test_ambient_mode_enforces_no_requests(rule: str, is_wrong: bool) -> None:  # noqa: FBT001
    errors = [one for one in found(f"{BASE}access cart {{ {rule} }}", {"dataplane": "ambient"}) if one[0] == "error"]
    assert bool(errors) is is_wrong


def test_ambient_mode_has_no_proxy_beside_the_caller() -> None:
    ambient = {"dataplane": "ambient"}
    routed = f"{BASE}access cart {{ allow web }}\ntraffic cart {{ timeout 2s }}"
    assert any("does `timeout`" in message for kind, _, message in found(routed, ambient) if kind == "error")
    outside = f'{BASE}external pay in shop {{ host "pay.example" port 443 https }}\naccess pay {{ allow web }}'
    assert any("what leaves the mesh" in message for kind, _, message in found(outside, ambient) if kind == "error")
    mesh = analyze_text(f"{BASE}access cart {{ allow web }}").mesh
    assert mesh is not None
    kinds = {
        one["kind"]
        for document in find_target("istio").emit(mesh, ambient).documents
        for one in document.resources
        if "kind" in one
    }
    assert kinds == {"AuthorizationPolicy", "PeerAuthentication", "Kustomization"}
