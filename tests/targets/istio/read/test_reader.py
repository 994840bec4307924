"""Istio as people write it by hand: objects in, decisions of the model out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from meshc.ir import Mesh
from meshc.reading import Aspect, Reading, bare, objects_of_source
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc.source import SourceFile
from meshc_harness.compare import analyze_text
from meshc_istio.read import read

PROGRAM = """
namespace shop
namespace bank
service web in shop
service mail in shop
service pay in bank
service cart in shop { port 80 http target 8080 port 5432 tcp labels app = "cart" }
"""
CONFIG = "meshConfig: {pathNormalization: {normalization: MERGE_SLASHES}}\n---\n"
WEB, MAIL, PAY = (f"spiffe://cluster.local/ns/{one}" for one in ("shop/sa/web", "shop/sa/mail", "bank/sa/pay"))


def _known() -> Mesh:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    return bare(mesh)


def _read(text: str, *, config: str = CONFIG) -> Reading:
    objects, wrong = objects_of_source(SourceFile("live.yaml", config + text))
    assert not wrong
    return read(objects, _known(), {})


def _policy(spec: str, *, name: str = "p", namespace: str = "shop", annotations: str = "{}") -> str:
    return (
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        f"metadata: {{name: {name}, namespace: {namespace}, annotations: {annotations}}}\nspec: {spec}\n---\n"
    )


CALL = Request(identity=None, namespace="shop", service="cart", port=80, method="GET", path="/", source_ip="10.0.0.1")


def _is_allowed(reading: Reading, identity: str | None, call: Request = CALL) -> bool | None:
    return Evaluator(reading.mesh).decide(replace(call, identity=identity)).allowed


@pytest.mark.parametrize(
    ("spec", "identity", "parts", "expected"),
    [
        ("{}", WEB, {}, False),
        ("{rules: [{}]}", None, {}, True),
        ("{action: DENY, rules: [{}]}", WEB, {}, False),
        ("{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}", WEB, {}, True),
        ("{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}", MAIL, {}, False),
        ("{rules: [{from: [{source: {principals: ['*']}}]}]}", None, {}, False),
        ("{rules: [{from: [{source: {namespaces: [bank]}}]}]}", PAY, {}, True),
        ("{rules: [{from: [{source: {namespaces: [bank]}}]}]}", WEB, {}, False),
        ("{action: DENY, rules: [{from: [{source: {namespaces: [bank]}}]}]}", None, {}, True),
        ("{action: DENY, rules: [{from: [{source: {notPrincipals: [cluster.local/ns/shop/sa/web]}}]}]}", None, {}, False),
        ("{rules: [{from: [{source: {serviceAccounts: [web, bank/pay]}}]}]}", WEB, {}, True),
        ("{rules: [{from: [{source: {serviceAccounts: [web, bank/pay]}}]}]}", PAY, {}, True),
        ("{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8], notIpBlocks: [10.0.0.1]}}]}]}", WEB, {}, False),
        ("{rules: [{to: [{operation: {ports: ['8080']}}]}]}", WEB, {}, True),
        ("{rules: [{to: [{operation: {ports: ['80']}}]}]}", WEB, {}, False),
        ("{rules: [{to: [{operation: {methods: [GET], notPaths: [/admin*]}}]}]}", WEB, {"path": "/administrator"}, False),
        ("{rules: [{to: [{operation: {paths: [/a*]}}]}]}", WEB, {"path": "/abc"}, True),
        ("{rules: [{to: [{operation: {paths: [/a/*]}}]}]}", WEB, {"path": "/a"}, False),
        ("{rules: [{to: [{operation: {paths: [/a/*]}}]}]}", WEB, {"path": "/a/"}, True),
        ("{rules: [{to: [{operation: {paths: ['*.js']}}]}]}", WEB, {"path": "/x/y.js"}, True),
        ("{rules: [{to: [{operation: {paths: ['/a/{*}/c']}}]}]}", WEB, {"path": "/a/b/c"}, True),
        ("{rules: [{to: [{operation: {paths: ['/a/{*}/c']}}]}]}", WEB, {"path": "/a/b/b/c"}, False),
        ("{rules: [{to: [{operation: {paths: ['/a/{**}']}}]}]}", WEB, {"path": "/a"}, False),
        ("{rules: [{to: [{operation: {paths: ['/a/{**}']}}]}]}", WEB, {"path": "/a/b/c"}, True),
        ("{rules: [{when: [{key: 'request.headers[x-a]', values: ['1*']}]}]}", WEB, {"headers": (("x-a", "12"),)}, True),
        ("{rules: [{when: [{key: 'request.headers[x-a]', notValues: ['1']}]}]}", WEB, {}, True),
        ("{rules: [{to: [{operation: {methods: [GET]}}, {operation: {methods: [PUT]}}]}]}", WEB, {"method": "PUT"}, True),
    ],
)  # fmt: skip
def test_rules_mean_what_istio_documents(
    spec: str, identity: str | None, parts: Mapping[str, Any], *, expected: bool
) -> None:
    reading = _read(_policy(spec))
    assert not reading.unknown, reading.unknown
    assert _is_allowed(reading, identity, replace(CALL, **parts)) is expected


def test_policies_are_a_flat_union_over_namespaces_and_the_root() -> None:
    web = "{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}"
    everybody = "{rules: [{from: [{source: {principals: ['*']}}]}]}"
    assert _is_allowed(_read(_policy(web) + _policy(everybody, name="q", namespace="istio-system")), MAIL) is True
    assert _is_allowed(_read(_policy(web) + _policy(everybody, name="q", namespace="bank")), MAIL) is False
    deny = "{action: DENY, rules: [{}]}"
    assert _is_allowed(_read(_policy(web) + _policy(deny, name="q", namespace="istio-system")), WEB) is False


def test_a_selector_picks_pods_by_all_of_its_labels() -> None:
    spec = "{selector: {matchLabels: {app: cart, tier: gold}}}"
    assert _is_allowed(_read(_policy(spec)), WEB) is True
    assert _is_allowed(_read(_policy("{selector: {matchLabels: {app: cart}}}")), WEB) is False


def test_a_dry_run_decides_nothing() -> None:
    reading = _read(_policy("{action: DENY, rules: [{}]}", annotations="{istio.io/dry-run: 'true'}"))
    assert _is_allowed(reading, WEB) is True
    cart = next(one for one in reading.mesh.workloads if one.name == "cart")
    assert [stage.shadow for stage in cart.ports[0].access] == [True]


def test_rules_about_requests_on_tcp_ports_fail_in_different_directions() -> None:
    def on_tcp(spec: str) -> bool | None:
        request = Request(identity=WEB, namespace="shop", service="cart", port=5432, source_ip="10.0.0.1")
        return Evaluator(_read(_policy(spec)).mesh).decide(request).allowed

    assert on_tcp("{action: DENY, rules: [{to: [{operation: {methods: [DELETE]}}]}]}") is False
    assert on_tcp("{rules: [{to: [{operation: {methods: [GET]}}]}]}") is False
    assert on_tcp("{rules: [{to: [{operation: {ports: ['5432']}}]}]}") is True


@pytest.mark.parametrize(
    ("objects", "modes"),
    [
        ("", ["permissive", "permissive"]),
        (("istio-system", "{mtls: {mode: STRICT}}"), ["strict", "strict"]),
        (("shop", "{mtls: {mode: DISABLE}}"), ["off", "off"]),
        (
            ("shop", "{selector: {matchLabels: {app: cart}}, mtls: {mode: STRICT}, portLevelMtls: {'8080': {mode: PERMISSIVE}}}"),
            ["permissive", "strict"],
        ),
        (("shop", "{selector: {matchLabels: {app: cart}}, mtls: {mode: UNSET}}"), ["permissive", "permissive"]),
    ],
)  # fmt: skip
def test_mtls_is_inherited_from_wider_policies(objects: tuple[str, str] | str, modes: list[str]) -> None:
    text = ""
    if isinstance(objects, tuple):
        namespace, spec = objects
        text = f"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: p, namespace: {namespace}}}\nspec: {spec}\n"
    reading = _read(text)
    cart = next(one for one in reading.mesh.workloads if one.name == "cart")
    assert [port.mtls.value for port in cart.ports] == modes


def test_a_mode_that_is_none_is_not_guessed() -> None:
    text = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, namespace: shop}\nspec: {mtls: 3}\n"
    assert "`p`: `spec.mtls` is no mapping, so that it is refused as a whole" in {
        one.message for one in _read(text).unknown
    }


def test_a_missing_token_passes_unless_a_rule_refuses_it() -> None:
    trusted = (
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: r, namespace: shop}\n"
        "spec: {jwtRules: [{issuer: https://id.example, jwksUri: https://id.example/keys}]}\n---\n"
    )
    assert _is_allowed(_read(trusted), WEB) is True
    required = _policy("{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}")
    reading = _read(trusted + required)
    assert _is_allowed(reading, WEB) is False
    assert _is_allowed(reading, WEB, replace(CALL, claims={"iss": "https://id.example", "sub": "x"})) is True


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("{action: CUSTOM, provider: {name: x}, rules: [{}]}", "CUSTOM"),
        ("{rules: [{from: [{source: {principals: ['*/sa/web']}}]}]}", "callers by the pattern"),
        ("{rules: [{from: [{source: {trustDomains: [x]}}]}]}", "`trustDomains`"),
        ("{rules: [{when: [{key: experimental.envoy.filters.a, values: [b]}]}]}", "the key"),
        ("{action: DENY, rules: [{to: [{operation: {hosts: [cart]}}]}]}", "hosts without all of their ports"),
        ("{rules: [{to: [{operation: {}}]}]}", "which Istio refuses"),
        ("{rules: [{to: []}]}", "which Istio refuses"),
        ("{surprise: 1}", "`surprise` is not known"),
        ("{rules: {a: b}}", "`spec.rules` is no list"),
        ("{rules: [1]}", "`spec.rules[0]` is no mapping"),
        ("{rules: [{from: 3}]}", "`spec.rules[0].from` is no list"),
        ("{rules: [{from: [{source: 4}]}]}", "`spec.rules[0].from[0].source` is no mapping"),
        ("{rules: [{when: [{key: 3, values: [a]}]}]}", "when[0].key` is no text"),
        ("3", "`spec` is no mapping"),
    ],
)
def test_what_is_not_understood_is_said_with_its_place(spec: str, words: str) -> None:
    reading = _read(_policy(spec))
    assert reading.unknown
    assert all(words in one.message for one in reading.unknown)
    assert {key for one in reading.unknown for key in one.ports or ()} >= {("shop", "cart", 80)}
    assert reading.unknown[0].span.path == "live.yaml"


def test_paths_that_istio_does_not_normalize_leave_every_decision_open() -> None:
    reading = _read(_policy("{}"), config="meshConfig: {trustDomain: cluster.local}\n---\n")
    assert [one.ports for one in reading.unknown] == [None]
    assert [one.text for one in _read(_policy("{}"), config="").assumptions] == [
        "Istio normalizes paths with MERGE_SLASHES"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: w}\nspec: {}\n",
            "WasmPlugin `w`",
        ),
        (
            (
                "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: e}\n"
                "spec: {configPatches: [{applyTo: HTTP_FILTER, patch: {operation: REMOVE}}]}\n"
            ),
            "EnvoyFilter `e`",
        ),
    ],
)
def test_what_may_decide_anything_leaves_every_decision_open(text: str, words: str) -> None:
    (found,) = _read(text).unknown
    assert words in found.message
    assert found.ports is None


def test_filters_that_decide_nothing_are_passed_over() -> None:
    head = "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: e}\nspec: {configPatches: "
    assert not _read(f"{head}[{{applyTo: HTTP_FILTER, match: {{context: GATEWAY}}}}]}}\n").unknown


def test_filters_that_let_nobody_in_leave_access_known() -> None:
    head = "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: e, namespace: shop}\nspec: {configPatches: "
    limit = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
    for patch in (
        "{applyTo: CLUSTER, match: {context: SIDECAR_OUTBOUND}}",
        f"{{applyTo: HTTP_FILTER, patch: {{operation: INSERT_BEFORE, value: {{typed_config: {{'@type': {limit}}}}}}}}}",
    ):
        (found,) = _read(f"{head}[{patch}]}}\n").unknown
        assert Aspect.ACCESS not in found.aspects


def test_aliases_of_the_trust_domain_are_not_understood() -> None:
    config = "meshConfig: {trustDomainAliases: [old], pathNormalization: {normalization: MERGE_SLASHES}}\n---\n"
    assert "aliases" in _read(_policy("{}"), config=config).unknown[0].message


@pytest.mark.parametrize(
    "fields",
    [
        "methods: [], ports: ['8080']",
        "hosts: [], ports: ['8080']",
        "ports: [], paths: [/]",
        "paths: [], notMethods: [PUT]",
    ],
)
def test_an_empty_list_says_nothing(fields: str) -> None:
    allowed = _read(_policy(f"{{rules: [{{to: [{{operation: {{{fields}}}}}]}}]}}"))
    assert not allowed.unknown
    assert _is_allowed(allowed, WEB) is True
    denied = _read(_policy(f"{{action: DENY, rules: [{{to: [{{operation: {{{fields}}}}}]}}]}}"))
    assert _is_allowed(denied, WEB) is False
    sources = _read(_policy("{rules: [{from: [{source: {principals: [], namespaces: [bank]}}]}]}"))
    assert (_is_allowed(sources, PAY), _is_allowed(sources, WEB)) == (True, False)


@pytest.mark.parametrize(
    ("listed", "assumed"),
    [
        ("a.example, 'a.example:*', a.example., 'a.example.:*'", set()),
        (
            "a.example, 'a.example:80', 'a.example:8080', a.example., 'a.example.:80', 'a.example.:8080'",
            {"a Host names no port but the service's and the workload's"},
        ),
        ("a.example, 'a.example:80'", {"a Host names no port, and does not end with a dot"}),
        ("a.example", {"a Host names no port, and does not end with a dot"}),
    ],
)
def test_what_is_assumed_of_hosts_that_are_not_spelled_in_every_way(listed: str, assumed: set[str]) -> None:
    reading = _read(_policy(f"{{rules: [{{to: [{{operation: {{hosts: [{listed}]}}}}]}}]}}"))
    assert not reading.unknown
    assert {one.text for one in reading.assumptions if "Host" in one.text} == assumed
    assert _is_allowed(reading, WEB, replace(CALL, host="a.example")) is True
    assert _is_allowed(reading, WEB, replace(CALL, host="b.example")) is False


@pytest.mark.parametrize(
    ("forms", "claims", "expected"),
    [
        ("[https://id.example/anna]", {"iss": "https://id.example", "sub": "anna"}, True),
        ("[https://id.example/anna]", {"iss": "https://id.example", "sub": "bert"}, False),
        ("[https://id.example/anna]", None, False),
        ("['https://id.example/*']", {"iss": "https://id.example", "sub": "bert"}, True),
        ("['https://other.example/*']", {"iss": "https://id.example", "sub": "bert"}, False),
        ("['*/anna']", {"iss": "https://id.example", "sub": "anna"}, True),
        ("['*/anna']", {"iss": "https://id.example", "sub": "bert"}, False),
        ("['*/anna', '*/bert']", {"iss": "https://id.example", "sub": "bert"}, True),
        ("['*']", {"iss": "https://id.example", "sub": "bert"}, True),
        ("['*']", None, False),
    ],
)
def test_principals_of_tokens(forms: str, claims: Mapping[str, Any] | None, *, expected: bool) -> None:
    trusted = (
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: r, namespace: shop}\n"
        "spec: {jwtRules: [{issuer: https://id.example, jwksUri: https://id.example/keys}]}\n---\n"
    )
    call = replace(CALL, claims=claims)
    allowed = _read(trusted + _policy(f"{{rules: [{{from: [{{source: {{requestPrincipals: {forms}}}}}]}}]}}"))
    assert not allowed.unknown, allowed.unknown
    assert _is_allowed(allowed, WEB, call) is expected
    refusing = f"{{action: DENY, rules: [{{from: [{{source: {{notRequestPrincipals: {forms}}}}}]}}]}}"
    denied = _read(trusted + _policy(refusing))
    assert not denied.unknown
    assert _is_allowed(denied, WEB, call) is expected


@pytest.mark.parametrize("form", ["https*", "*.example/anna", "anna", "https://id.example/a*"])
def test_patterns_of_tokens_are_not_guessed(form: str) -> None:
    reading = _read(_policy(f"{{rules: [{{from: [{{source: {{requestPrincipals: ['{form}']}}}}]}}]}}"))
    assert reading.unknown
    assert all("tokens by the pattern" in one.message for one in reading.unknown)
