"""Routes, annotations and limits of Linkerd as people write them: objects in, what the model does with calls out, and what is not known."""

import pytest

from meshc.ir import Mesh
from meshc.reading import Aspect, Reading, bare, objects_of_source
from meshc.request import Decision, Request
from meshc.semantics import Evaluator
from meshc.source import SourceFile
from meshc_harness.compare import analyze_text
from meshc_linkerd.read import read

PROGRAM = """
namespace shop
namespace bank
service web in shop
service pay in bank
service cart in shop { port 80 http target 8080 labels app = "cart" version v1 { labels version = "v1" } version v2 { labels version = "v2" } }
service stock in shop { port 80 http }
service db in shop { port 5432 tcp }
external books in shop { host "books.example" port 443 https }
"""
VERSION = """apiVersion: v1
kind: Service
metadata: {name: cart-canary, namespace: shop}
spec: {selector: {app: cart, version: v2}, ports: [{port: 80, targetPort: 8080}]}
---
"""
CART = "backendRefs: [{name: cart, port: 80}]"


def _known() -> Mesh:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None, [one.message for one in analyze_text(PROGRAM).diagnostics]
    return bare(mesh)


def _read(text: str) -> Reading:
    objects, wrong = objects_of_source(SourceFile("live.yaml", text))
    assert not wrong
    return read(objects, _known(), {})


def route(
    rules: str, *, name: str = "r", namespace: str = "shop", parent: str = "", notes: str = "", more: str = ""
) -> str:
    group = "gateway.networking.k8s.io/v1"
    parent = parent or "group: core, kind: Service, name: cart, port: 80"
    return (
        f"apiVersion: {group}\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: {namespace}, annotations: {{{notes}}}{more}}}\n"
        f"spec: {{parentRefs: [{{{parent}}}], rules: [{rules}]}}\n---\n"
    )


def call(
    reading: Reading, path: str = "/", *, by: str = "shop/sa/web", method: str = "GET", service: str = "cart"
) -> Decision:
    request = Request(
        identity=f"spiffe://cluster.local/ns/{by}", namespace="shop", service=service, port=80, method=method, path=path,
        source_ip="10.0.0.1",
    )  # fmt: skip
    return Evaluator(reading.mesh).decide(request)


def to(decision: Decision) -> list[tuple[str, str | None, float]]:
    return [(one.service, one.version, one.weight) for one in decision.destinations]


def test_without_routes_calls_go_to_the_service() -> None:
    reading = _read(VERSION)
    assert not reading.unknown
    assert to(call(reading)) == [("cart", None, 100.0)]


def test_what_no_rule_takes_is_not_found() -> None:
    reading = _read(route(f"{{matches: [{{path: {{type: Exact, value: /a}}}}], {CART}}}"))
    assert to(call(reading, "/a")) == [("cart", None, 100.0)]
    assert call(reading, "/b").status == 404


def test_shares_of_versions_and_of_others() -> None:
    rules = "{backendRefs: [{name: cart-canary, port: 80, weight: 1}, {name: stock, port: 80, weight: 3}, {name: cart, port: 80, weight: 0}]}"
    reading = _read(VERSION + route(rules))
    assert not reading.unknown
    assert to(call(reading)) == [("cart", "v2", 25.0), ("stock", None, 75.0)]


def test_the_weight_of_a_single_backend_is_nothing() -> None:
    assert to(call(_read(route("{backendRefs: [{name: stock, port: 80, weight: 0}]}")))) == [("stock", None, 100.0)]


def test_the_more_specific_path_comes_first_wherever_it_stands() -> None:
    rules = (
        "{backendRefs: [{name: cart, port: 80}]},"
        "{matches: [{path: {type: PathPrefix, value: /a}}], backendRefs: [{name: stock, port: 80}]},"
        "{matches: [{path: {type: PathPrefix, value: /a/b}}], backendRefs: [{name: cart, port: 80}], timeouts: {request: 3s}}"
    )
    reading = _read(route(rules))
    assert [to(call(reading, path))[0][0] for path in ("/", "/a", "/a/c", "/a/b/c")] == [
        "cart",
        "stock",
        "stock",
        "cart",
    ]
    assert call(reading, "/a/b").timeout_ms == 3000
    assert call(reading, "/").timeout_ms is None


def test_of_two_rules_that_are_alike_the_first_counts() -> None:
    rules = "{backendRefs: [{name: stock, port: 80}]}, {backendRefs: [{name: cart, port: 80}]}"
    assert to(call(_read(route(rules))))[0][0] == "stock"


def test_of_two_routes_that_are_alike_the_older_counts_if_ages_are_told() -> None:
    new = route(f"{{{CART}}}", name="a", more=", creationTimestamp: '2026-02-01T00:00:00Z'")
    old = route(
        "{backendRefs: [{name: stock, port: 80}]}", name="b", more=", creationTimestamp: '2026-01-01T00:00:00Z'"
    )
    assert to(call(_read(new + old)))[0][0] == "stock"
    assert (
        "age"
        in _read(route(f"{{{CART}}}", name="a") + route("{backendRefs: [{name: stock, port: 80}]}", name="b"))
        .unknown[0]
        .message
    )


def test_routes_of_a_caller_are_for_its_namespace() -> None:
    parent = "group: core, kind: Service, name: cart, namespace: shop, port: 80"
    reading = _read(route("{backendRefs: [{name: stock, namespace: shop, port: 80}]}", namespace="bank", parent=parent))
    assert not reading.unknown
    assert to(call(reading, by="bank/sa/pay"))[0][0] == "stock"
    # Callers elsewhere have no route, and so the service itself.
    assert to(call(reading, by="shop/sa/web"))[0][0] == "cart"


def test_a_parent_without_a_group_is_no_service() -> None:
    reading = _read(route("{backendRefs: [{name: stock, port: 80}]}", parent="kind: Service, name: cart, port: 80"))
    assert to(call(reading))[0][0] == "cart"


def test_another_port_is_not_routed() -> None:
    reading = _read(
        route("{backendRefs: [{name: stock, port: 80}]}", parent="group: '', kind: Service, name: cart, port: 81")
    )
    assert to(call(reading))[0][0] == "cart"


def test_annotations_of_routes_and_services() -> None:
    service = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop, annotations: {retry.linkerd.io/http: '503,5xx', "
        "retry.linkerd.io/limit: '2', timeout.linkerd.io/request: 5s, balancer.linkerd.io/failure-accrual: consecutive, "
        "balancer.linkerd.io/failure-accrual-consecutive-max-failures: '3', "
        "balancer.linkerd.io/failure-accrual-consecutive-min-penalty: 20s, "
        "balancer.linkerd.io/failure-accrual-consecutive-max-penalty: 20s}}\n---\n"
    )
    reading = _read(service)
    assert not reading.unknown
    assert (call(reading).timeout_ms, call(reading).retries) == (5000, 2)
    port = next(one for one in reading.mesh.workloads if one.name == "cart").ports[0]
    outlier = port.settings.outlier_detection
    assert outlier is not None
    assert (outlier.consecutive_5xx, outlier.ejection_ms) == (3, 20_000)
    own = route(f"{{{CART}, timeouts: {{request: 1s}}}}", notes="retry.linkerd.io/limit: '7'")
    reading = _read(service + own)
    assert (call(reading).timeout_ms, call(reading).retries) == (1000, 0)


def test_a_duration_of_two_parts_is_none() -> None:
    assert call(_read(route(f"{{{CART}, timeouts: {{request: 1m30s}}}}"))).timeout_ms is None


def test_redirects_and_headers() -> None:
    rules = (
        "{matches: [{path: {type: Exact, value: /old}}], filters: [{type: RequestRedirect, requestRedirect: {path: "
        "{type: ReplaceFullPath, replaceFullPath: /new}, statusCode: 301}}]},"
        f"{{filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: X-A, value: b}}]}}}}], {CART}}}"
    )
    reading = _read(route(rules))
    assert not reading.unknown
    assert (call(reading, "/old").redirect, call(reading, "/old").status) == ("/new", 301)
    last = next(one for one in reading.mesh.workloads if one.name == "cart").ports[0].routes[-1]
    assert [(one.operation, one.direction, one.name, one.value) for one in last.settings.header_changes] == [
        ("set", "response", "x-a", "b")
    ]


def test_limits_are_those_of_the_server() -> None:
    text = (
        "apiVersion: policy.linkerd.io/v1beta3\nkind: Server\nmetadata: {name: s, namespace: shop}\n"
        "spec: {podSelector: {matchLabels: {app: cart}}, port: 8080, proxyProtocol: HTTP/1, accessPolicy: all-unauthenticated}\n---\n"
        "apiVersion: policy.linkerd.io/v1alpha1\nkind: HTTPLocalRateLimitPolicy\nmetadata: {name: l, namespace: shop}\n"
        "spec: {targetRef: {group: policy.linkerd.io, kind: Server, name: s}, total: {requestsPerSecond: 9}, identity: {requestsPerSecond: 3}}\n"
    )
    reading = _read(text)
    limits = next(one for one in reading.mesh.workloads if one.name == "cart").ports[0].limits
    assert [(one.tokens, one.per_ms, one.burst, one.per) for one in limits] == [
        (9, 1000, 9, None),
        (3, 1000, 3, "source"),
    ]


def test_an_egress_network_closes_what_is_outside() -> None:
    text = (
        "apiVersion: policy.linkerd.io/v1alpha1\nkind: EgressNetwork\nmetadata: {name: e, namespace: shop}\n"
        "spec: {trafficPolicy: Deny}\n"
    )
    request = Request(
        identity="spiffe://cluster.local/ns/shop/sa/web", namespace="shop", service="books", port=443, method="GET", path="/",
        source_ip="10.0.0.1",
    )  # fmt: skip
    assert not Evaluator(_read(text).mesh).decide(request).allowed
    assert Evaluator(_read(VERSION).mesh).decide(request).allowed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (route(f"{{filters: [{{type: URLRewrite, urlRewrite: {{hostname: a}}}}], {CART}}}"), "ignores a route with the filter `URLRewrite`"),
        (route("{backendRefs: [{name: cart, port: 81}]}"), "`cart` has no port 81 that is known"),
        (route("{matches: [{path: {value: /a}}]}"), "sends its requests nowhere"),
        (route(f"{{{CART}, sessionPersistence: {{}}}}"), "the field `sessionPersistence` is not understood"),
        (route(f"{{{CART}}}", notes="retry.linkerd.io/http: \'teapot\'"), "as `teapot` is not understood"),
        (route(f"{{{CART}}}", notes="timeout.linkerd.io/response: 1s"), "`timeout.linkerd.io/response` cannot be said"),
        (route(f"{{matches: [{{method: GET}}], {CART}}}, {{matches: [{{headers: [{{name: a, value: b}}]}}], backendRefs: [{{name: stock, port: 80}}]}}"), "depends on the release"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_said_of_its_port(text: str, message: str) -> None:
    (unknown,) = _read(text).unknown
    assert message in unknown.message
    assert unknown.ports == (("shop", "cart", 80),)
    assert Aspect.ACCESS not in unknown.aspects
