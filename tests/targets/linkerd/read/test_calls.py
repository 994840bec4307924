"""The callers' side of Linkerd as people write it by hand: where calls go, with which settings, and what is not known."""

from dataclasses import replace
from typing import Any

import pytest

from meshc import ir
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
service pay in bank { port 80 http port 90 tcp port 70 grpc }
service cart in shop { port 80 http target 8080 port 81 http target 8081 version v1 version v2 }
external stripe in bank { host "api.stripe.com" port 80 http }
"""
WEB, PAY = (f"spiffe://cluster.local/ns/{one}" for one in ("shop/sa/web", "bank/sa/pay"))
CALL = Request(identity=WEB, namespace="shop", service="cart", port=80, method="GET", path="/", source_ip="10.0.0.1")
GATEWAY = "gateway.networking.k8s.io/v1"
CART = "{kind: Service, group: core, name: cart, port: 80}"
TO_PAY = "backendRefs: [{name: pay, namespace: bank, port: 80}]"
TO_CART = "backendRefs: [{name: cart, port: 80}]"


def _read(*texts: str) -> Reading:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    objects, wrong = objects_of_source(SourceFile("live.yaml", "\n---\n".join(texts)))
    assert not wrong
    return read(objects, bare(mesh), {})


def _route(rules: str, **parts: str) -> str:
    name, namespace = parts.get("name", "r"), parts.get("namespace", "shop")
    metadata = f"name: {name}, namespace: {namespace}" + (f", {parts['metadata']}" if "metadata" in parts else "")
    return (
        f"apiVersion: {parts.get('version', GATEWAY)}\nkind: {parts.get('kind', 'HTTPRoute')}\nmetadata: {{{metadata}}}\n"
        f"spec: {{parentRefs: [{parts.get('parent', CART)}], rules: {rules}}}"
    )


def _notes(notes: str) -> str:
    return f"annotations: {{{notes}}}"


def _service(name: str = "cart", notes: str = "", spec: str = "{}") -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop, annotations: {{{notes}}}}}\nspec: {spec}"


V1 = _service("blue", spec="{selector: {app: cart, version: v1}, ports: [{port: 1, targetPort: 8080}]}")


def _decide(reading: Reading, **parts: Any) -> Decision:
    assert reading.unknown == ()
    return Evaluator(reading.mesh).decide(replace(CALL, **parts))


def _where(decision: Decision) -> Any:
    if decision.redirect is not None:
        return decision.status, decision.redirect
    if not decision.destinations:
        return decision.status
    return [(one.service, one.version, round(one.weight, 3)) for one in decision.destinations]


PREFIX = "[{{matches: [{{path: {{type: PathPrefix, value: {0}}}}}], {1}}}]"


@pytest.mark.parametrize(
    ("texts", "parts", "expected"),
    [
        ([], {}, [("cart", None, 100)]),
        ([_route(f"[{{{TO_PAY}}}]")], {}, [("pay", None, 100)]),
        # A route for one port is for no other; one without a port is for all of them.
        ([_route(f"[{{{TO_PAY}}}]")], {"port": 81}, [("cart", None, 100)]),
        (
            [_route(f"[{{{TO_PAY}}}]", parent="{kind: Service, group: '', name: cart}")],
            {"port": 81},
            [("pay", None, 100)],
        ),
        # Once there is a route, what none takes is answered with 404.
        ([_route(PREFIX.format("/a", TO_PAY))], {"path": "/a/b"}, [("pay", None, 100)]),
        ([_route(PREFIX.format("/a", TO_PAY))], {"path": "/ab"}, 404),
        # Exact before prefix, the longer prefix first, whatever the order and the age.
        (
            [_route(PREFIX.format("/", TO_PAY)), _route(PREFIX.format("/a", TO_CART), name="s")],
            {"path": "/a"},
            [("cart", None, 100)],
        ),
        (
            [_route(f"[{{{TO_PAY}}}, {{matches: [{{headers: [{{name: X-A, value: '1'}}]}}], {TO_CART}}}]")],
            {"headers": (("x-a", "1"),)},
            [("cart", None, 100)],
        ),
        (
            [
                _route(
                    f"[{{{TO_PAY}}}, {{matches: [{{method: POST}}, {{queryParams: [{{name: q, value: z}}]}}], {TO_CART}}}]"
                )
            ],
            {"path": "/x?q=z"},
            [("cart", None, 100)],
        ),
        # Of two that tie, the first of an object, and the older of two objects.
        ([_route(f"[{{{TO_PAY}}}, {{{TO_CART}}}]")], {}, [("pay", None, 100)]),
        (
            [
                _route(f"[{{{TO_PAY}}}]", metadata="creationTimestamp: '2026-02-01T00:00:00Z'"),
                _route(f"[{{{TO_CART}}}]", name="z", metadata="creationTimestamp: '2026-01-01T00:00:00Z'"),
            ],
            {},
            [("cart", None, 100)],
        ),
        (
            [
                _route(f"[{{{TO_PAY}}}]", metadata="creationTimestamp: '2026-01-01T00:00:00Z'", name="b"),
                _route(f"[{{{TO_CART}}}]", metadata="creationTimestamp: '2026-01-01T00:00:00Z'", name="a"),
            ],
            {},
            [("cart", None, 100)],
        ),
        # Weights: a share of all; of an only backend it counts for nothing, and 0 is nothing.
        (
            [V1, _route("[{backendRefs: [{name: cart, port: 80, weight: 3}, {name: blue, port: 1}]}]")],
            {},
            [("cart", None, 75), ("cart", "v1", 25)],
        ),
        ([_route("[{backendRefs: [{name: cart, port: 81, weight: 0}]}]")], {}, [("cart", None, 100)]),
        (
            [V1, _route("[{backendRefs: [{name: cart, port: 80, weight: 0}, {name: blue, port: 1}]}]")],
            {},
            [("cart", "v1", 100)],
        ),
        ([_route("[{backendRefs: [{name: gone, port: 80}]}]")], {}, 500),
        # Routes of a namespace of callers are for these, beside those for all.
        (
            [_route(f"[{{{TO_PAY}}}]", namespace="bank", parent=CART.replace("}", ", namespace: shop}"))],
            {},
            [("cart", None, 100)],
        ),
        (
            [_route(f"[{{{TO_PAY}}}]", namespace="bank", parent=CART.replace("}", ", namespace: shop}"))],
            {"identity": PAY},
            [("pay", None, 100)],
        ),
        (
            [
                _route(PREFIX.format("/a", TO_PAY), namespace="bank", parent=CART.replace("}", ", namespace: shop}")),
                _route(f"[{{{TO_CART}}}]"),
            ],
            {"identity": PAY},
            [("cart", None, 100)],
        ),
        (
            [_route(PREFIX.format("/a", TO_PAY), namespace="bank", parent=CART.replace("}", ", namespace: shop}"))],
            {"identity": PAY},
            404,
        ),
        # Redirects: what is not named stays as it is.
        (
            [
                _route(
                    PREFIX.format("/a", "filters: [{type: RequestRedirect, requestRedirect: {hostname: New.example}}]")
                )
            ],
            {"path": "/a/b"},
            (302, "http://new.example/a/b"),
        ),
        (
            [
                _route(
                    PREFIX.format(
                        "/a",
                        "filters: [{type: RequestRedirect, requestRedirect: "
                        "{statusCode: 308, path: {type: ReplacePrefixMatch, replacePrefixMatch: /z}}}]",
                    )
                )
            ],
            {"path": "/a/b"},
            (308, "/z/b"),
        ),
        # Routes of gRPC put those of HTTP out of action.
        (
            [_route(f"[{{{TO_PAY}}}]"), _route(f"[{{{TO_CART}}}]", kind="GRPCRoute", name="g")],
            {"method": "POST", "path": "/s.S/M"},
            [("cart", None, 100)],
        ),
        (
            [
                _route(
                    f"[{{matches: [{{method: {{service: s.S}}}}], {TO_PAY}}}, "
                    f"{{matches: [{{method: {{service: s.S, method: M}}}}], {TO_CART}}}]",
                    kind="GRPCRoute",
                )
            ],
            {"method": "POST", "path": "/s.S/M"},
            [("cart", None, 100)],
        ),
        ([_route(f"[{{{TO_PAY}}}]", version="policy.linkerd.io/v1beta3")], {}, [("pay", None, 100)]),
    ],
)
def test_where_calls_go(texts: list[str], parts: dict[str, Any], expected: Any) -> None:
    assert _where(_decide(_read(*texts), **parts)) == expected


def test_the_share_of_a_service_that_is_not_there_is_answered_500() -> None:
    reading = _read(_route("[{backendRefs: [{name: cart, port: 80, weight: 3}, {name: gone, port: 80}]}]"))
    route = next(one for one in reading.mesh.workloads if one.name == "cart").ports[0].routes[0]
    assert [(one.status, one.percent) for one in route.settings.aborts] == [(500, 25.0)]
    assert isinstance(route.action, ir.Forward)
    assert any("do not exist" in one.text for one in reading.assumptions)


def _first(reading: Reading, service: str = "cart", port: int = 80) -> ir.Route:
    assert reading.unknown == ()
    workload = next(one for one in reading.mesh.workloads if one.name == service)
    return next(one for one in workload.ports if one.number == port).routes[0]


@pytest.mark.parametrize(
    ("texts", "timeouts"),
    [
        ([_route(f"[{{{TO_CART}, timeouts: {{request: 5s}}}}]")], (5000, None)),
        ([_route(f"[{{{TO_CART}, timeouts: {{request: 0s}}}}]")], (None, None)),
        # One of several units is no timeout, and the annotation comes first.
        ([_route(f"[{{{TO_CART}, timeouts: {{request: 1m30s}}}}]")], (None, None)),
        (
            [_route(f"[{{{TO_CART}, timeouts: {{request: 5s}}}}]", metadata=_notes("timeout.linkerd.io/request: 2s"))],
            (2000, None),
        ),
        ([_route(f"[{{{TO_CART}}}]", metadata=_notes("timeout.linkerd.io/idle: 3m"))], (None, 180_000)),
        # The Service's are for rules without any.
        ([_service(notes="timeout.linkerd.io/request: 7s")], (7000, None)),
        ([_service(notes="timeout.linkerd.io/request: 7s"), _route(f"[{{{TO_CART}}}]")], (7000, None)),
        (
            [
                _service(notes="timeout.linkerd.io/request: 7s"),
                _route(f"[{{{TO_CART}}}]", metadata=_notes("timeout.linkerd.io/idle: 1s")),
            ],
            (None, 1000),
        ),
    ],
)
def test_timeouts(texts: list[str], timeouts: tuple[int | None, int | None]) -> None:
    settings = _first(_read(*texts)).settings
    assert (settings.timeout_ms, settings.idle_timeout_ms) == timeouts


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ("retry.linkerd.io/http: 5xx", (1, ("5xx",), (), None)),
        ("retry.linkerd.io/http: '502-504,429', retry.linkerd.io/limit: '3'", (3, ("gateway-error",), (429,), None)),
        ("retry.linkerd.io/http: '500-599', retry.linkerd.io/timeout: 300ms", (1, ("5xx",), (), 300)),
        # Alone, a limit retries nothing; on routes of HTTP, statuses of gRPC are passed over.
        ("retry.linkerd.io/limit: '2'", None),
        ("retry.linkerd.io/grpc: unavailable", None),
    ],
)
def test_retries(notes: str, expected: Any) -> None:
    for texts in ([_route(f"[{{{TO_CART}}}]", metadata=_notes(notes))], [_service(notes=notes)]):
        retry = _first(_read(*texts)).settings.retry
        found = retry and (retry.attempts, retry.conditions, retry.statuses, retry.per_try_ms)
        assert found == expected


def test_routes_of_grpc_retry_on_its_statuses() -> None:
    notes = _notes("retry.linkerd.io/grpc: 'unavailable,cancelled', retry.linkerd.io/http: 5xx")
    retry = _first(_read(_route(f"[{{{TO_CART}}}]", kind="GRPCRoute", metadata=notes))).settings.retry
    assert retry is not None
    assert (retry.conditions, retry.statuses) == (("cancelled", "unavailable"), ())


def test_an_object_with_any_word_on_retries_has_none_of_its_service() -> None:
    service = _service(notes="retry.linkerd.io/http: 5xx")
    assert _first(_read(service, _route(f"[{{{TO_CART}}}]"))).settings.retry is not None
    own = _notes("retry.linkerd.io/limit: '4'")
    assert _first(_read(service, _route(f"[{{{TO_CART}}}]", metadata=own))).settings.retry is None


def test_changes_of_headers_are_in_their_order() -> None:
    rules = (
        f"[{{{TO_CART}, filters: [{{type: RequestHeaderModifier, requestHeaderModifier: "
        "{set: [{name: X-A, value: '1'}], add: [{name: x-b, value: '2'}], remove: [X-C]}}, "
        "{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-d, value: '3'}]}}]}]"
    )
    changes = _first(_read(_route(rules))).settings.header_changes
    assert [(one.direction, one.operation, one.name, one.value) for one in changes] == [
        ("request", "add", "x-b", "2"),
        ("request", "set", "x-a", "1"),
        ("request", "remove", "x-c", None),
        ("response", "set", "x-d", "3"),
    ]


ACCRUAL = "balancer.linkerd.io/failure-accrual"


def test_ejection_is_an_annotation_of_the_service() -> None:
    penalties = ", ".join(f"{ACCRUAL}-consecutive-{one}-penalty: 20s" for one in ("min", "max"))
    reading = _read(_service(notes=f"{ACCRUAL}: consecutive, {ACCRUAL}-consecutive-max-failures: '4', {penalties}"))
    assert reading.unknown == ()
    cart = next(one for one in reading.mesh.workloads if one.name == "cart")
    found = [port.settings.outlier_detection for port in cart.ports]
    assert [(one.consecutive_5xx, one.ejection_ms) for one in found if one] == [(4, 20_000)] * 2
    plain = _read(_service(notes=f"{ACCRUAL}: consecutive"))
    assert any("stay out for longer" in one.text for one in plain.assumptions)
    first = next(one for one in plain.mesh.workloads if one.name == "cart").ports[0].settings.outlier_detection
    assert first is not None
    assert (first.consecutive_5xx, first.ejection_ms) == (7, 1000)


def test_callers_keep_to_endpoints_near_them_where_the_service_says_so() -> None:
    reading = _read(_service(spec="{trafficDistribution: PreferClose}"))
    cart = next(one for one in reading.mesh.workloads if one.name == "cart")
    assert cart.ports[0].settings.locality is not None


SERVER = (
    "apiVersion: policy.linkerd.io/v1beta3\nkind: Server\nmetadata: {name: cart, namespace: shop}\n"
    "spec: {podSelector: {matchLabels: {app: cart}}, port: 8080, proxyProtocol: HTTP/1, accessPolicy: all-unauthenticated}"
)


def _limit(spec: str, name: str = "l", target: str = "cart") -> str:
    return (
        f"apiVersion: policy.linkerd.io/v1alpha1\nkind: HTTPLocalRateLimitPolicy\nmetadata: {{name: {name}, namespace: shop}}\n"
        f"spec: {{targetRef: {{group: policy.linkerd.io, kind: Server, name: {target}}}, {spec}}}"
    )


def test_limits_are_those_of_the_server() -> None:
    reading = _read(SERVER, _limit("total: {requestsPerSecond: 100}, identity: {requestsPerSecond: 10}"))
    assert reading.unknown == ()
    ports = next(one for one in reading.mesh.workloads if one.name == "cart").ports
    assert [(one.tokens, one.per_ms, one.burst, one.per) for one in ports[0].limits] == [
        (100, 1000, 100, None),
        (10, 1000, 10, "source"),
    ]
    assert ports[1].limits == ()


PROFILE = "apiVersion: linkerd.io/v1alpha2\nkind: ServiceProfile\nmetadata: {{name: cart.shop.svc.cluster.local, namespace: shop}}\nspec: {0}"


def test_a_profile_counts_in_the_place_of_routes() -> None:
    condition = "{all: [{pathRegex: '/a/[0-9]+'}, {not: {method: POST}}]}"
    profile = PROFILE.format(f"{{routes: [{{name: a, condition: {condition}, timeout: 2s}}]}}")
    reading = _read(profile, _route(f"[{{{TO_PAY}}}]"), _service(notes=f"{ACCRUAL}: consecutive"))
    assert _where(_decide(reading, path="/a/1")) == [("cart", None, 100)]
    assert [_decide(reading, path=path).timeout_ms for path in ("/a/1", "/a/1/b")] == [2000, None]
    assert _decide(reading, path="/a/1", method="POST").timeout_ms is None
    assert next(one for one in reading.mesh.workloads if one.name == "cart").ports[0].settings.outlier_detection is None


def test_a_profile_without_routes_changes_nothing() -> None:
    reading = _read(
        PROFILE.format("{retryBudget: {retryRatio: 0.2, minRetriesPerSecond: 10, ttl: 10s}}"), _route(f"[{{{TO_PAY}}}]")
    )
    assert _where(_decide(reading)) == [("pay", None, 100)]


def test_egress_networks_close_what_is_outside() -> None:
    egress = (
        "apiVersion: policy.linkerd.io/v1alpha1\nkind: EgressNetwork\nmetadata: {{name: out, namespace: {0}}}\n"
        "spec: {{trafficPolicy: Deny}}"
    )
    call = {"namespace": "bank", "service": "stripe", "port": 80}
    assert _decide(_read(), **call).allowed
    one = _read(egress.format("bank"))
    assert not _decide(one, **call, identity=PAY).allowed
    assert _decide(one, **call, identity=WEB).allowed
    assert not _decide(_read(egress.format("bank"), egress.format("shop")), **call, identity=WEB).allowed
    assert not _decide(_read(egress.format("linkerd-egress")), **call, identity=WEB).allowed


@pytest.mark.parametrize(
    ("texts", "message", "is_of_cart"),
    [
        ([_route(f"[{{{TO_CART}, filters: [{{type: URLRewrite, urlRewrite: {{}}}}]}}]")], "filter `URLRewrite`", True),
        ([_route(f"[{{{TO_CART}, filters: [{{type: RequestMirror}}]}}]")], "filter `RequestMirror`", True),
        (
            [
                _route(
                    f"[{{{TO_CART}, filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{}}}}]}}]",
                    version="policy.linkerd.io/v1beta3",
                )
            ],
            "filter `ResponseHeaderModifier`",
            True,
        ),
        ([_route("[{backendRefs: []}]")], "sends its requests nowhere", True),
        (
            [_route("[{backendRefs: [{name: cart, port: 80, weight: 0}, {name: pay, port: 1, weight: 0}]}]")],
            "nowhere",
            True,
        ),
        ([_route("[{backendRefs: [{name: cart, port: 99}]}]")], "`cart` has no port 99", True),
        ([_route("[{backendRefs: [{name: cart}]}]")], "needs a port", True),
        (
            [_route("[{backendRefs: [{name: x, kind: EgressNetwork, group: policy.linkerd.io, port: 1}]}]")],
            "`EgressNetwork`",
            True,
        ),
        (
            [
                _service("blue", spec="{selector: {app: none}, ports: []}"),
                _route("[{backendRefs: [{name: blue, port: 1}]}]"),
            ],
            "`blue`",
            True,
        ),
        ([_route(f"[{{{TO_CART}, novelty: 1}}]")], "`novelty` is not understood", True),
        ([_route(f"[{{{TO_CART}, timeouts: {{request: soon}}}}]")], "the duration `soon`", True),
        ([_route(f"[{{{TO_CART}}}]", metadata=_notes("retry.linkerd.io/http: '5xx, 429'"))], "as `5xx, 429`", True),
        ([_route(f"[{{{TO_CART}}}]", metadata=_notes("retry.linkerd.io/novel: x"))], "`retry.linkerd.io/novel`", True),
        ([_route(f"[{{{TO_CART}}}]", metadata=_notes("timeout.linkerd.io/response: 1s"))], "cannot be said", True),
        ([_route(f"[{{{TO_CART}}}]", metadata=_notes("timeout.linkerd.io/request: 0s"))], "as `0s`", True),
        ([_service(notes=f"{ACCRUAL}: unified")], "as `unified` cannot be said", True),
        ([_service(notes=f"{ACCRUAL}: consecutive, {ACCRUAL}-consecutive-max-failures: x")], "whole number", True),
        ([_service(notes="balancer.alpha.linkerd.io/penalize-failures: 'true'")], "penalize-failures` is not", True),
        (
            [_service(spec="{ports: [{port: 80, appProtocol: grpc}]}"), _route(f"[{{{TO_CART}}}]")],
            "as connections",
            True,
        ),
        # Which of two is older, where they tie, is not in the files.
        ([_route(f"[{{{TO_PAY}}}]"), _route(f"[{{{TO_CART}}}]", name="s")], "age of", True),
        (
            [
                _route(
                    "[{matches: [{path: {type: PathPrefix, value: /a}, headers: [{name: h, value: x}]}], "
                    + TO_CART
                    + "}]"
                ),
                _route("[{matches: [{path: {type: PathPrefix, value: /a}, method: GET}], " + TO_PAY + "}]", name="s"),
            ],
            "depends on the release of Linkerd",
            True,
        ),
        (
            [_route(f"[{{matches: [{{headers: [{{name: a, value: b}}]}}], {TO_CART}}}]", kind="GRPCRoute")],
            "with 500",
            True,
        ),
        ([PROFILE.format("{routes: [{condition: {method: GET}, isRetryable: true}]}")], "by a budget alone", True),
        ([PROFILE.format("{routes: [{condition: {method: GET}}]}")], "without a timeout", True),
        ([PROFILE.format("{dstOverrides: [{authority: x, weight: 1}]}")], "`dstOverrides`", True),
        ([SERVER, _limit("total: {requestsPerSecond: 0}")], "no number above 0", True),
        (
            [SERVER, _limit("total: {requestsPerSecond: 1}, identity: {requestsPerSecond: 2}")],
            "above that of all",
            True,
        ),
        (
            [SERVER, _limit("total: {requestsPerSecond: 1}"), _limit("total: {requestsPerSecond: 2}", "m")],
            "the oldest",
            True,
        ),
        # These are about nothing that is known.
        ([_route(f"[{{{TO_CART}}}]", parent="{name: ingress}")], "it is no service of the mesh", False),
        (
            [_route(f"[{{{TO_CART}}}]", parent="{kind: Service, group: core, name: gone}")],
            "none of the known services",
            False,
        ),
        ([_limit("total: {requestsPerSecond: 1}", target="gone")], "a limit of no server", False),
    ],
)
def test_what_is_not_understood_is_said(texts: list[str], message: str, *, is_of_cart: bool) -> None:
    reading = _read(*texts)
    found = [one for one in reading.unknown if message in one.message]
    assert found, reading.unknown
    assert all(one.aspects <= {Aspect.ROUTING, Aspect.SETTINGS} for one in found)
    touched = any(one.ports is None or ("shop", "cart", 80) in one.ports for one in found)
    assert touched is is_of_cart


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([_route(f"[{{{TO_CART}}}]"), _route(f"[{{{TO_PAY}}}]")], "two objects of one name"),
        ([_route(f"[{{{TO_CART}}}]").replace(", namespace: shop", "")], "without a namespace"),
        ([_route(f"[{{{TO_CART}}}]", kind="TCPRoute")], "a TCPRoute is not understood"),
        (
            ["apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: x, namespace: shop}"],
            "BackendTLSPolicy",
        ),
    ],
)
def test_what_may_touch_every_port(texts: list[str], message: str) -> None:
    reading = _read(*texts)
    assert any(message in one.message for one in reading.unknown), reading.unknown
