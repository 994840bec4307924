"""The callers' side of Linkerd as people write it by hand: where calls go, and with which settings."""

from dataclasses import replace
from typing import Any

import pytest

from linkerd_calls import (
    ACCRUAL,
    CALL,
    CART,
    PAY,
    PREFIX,
    PROFILE,
    SERVER,
    TO_CART,
    TO_PAY,
    V1,
    a_limit,
    a_route,
    a_service,
    annotated,
    read_live,
)
from meshc import ir
from meshc.reading import Reading
from meshc.request import Decision
from meshc.semantics import Evaluator


def _decide(reading: Reading, **parts: Any) -> Decision:
    assert reading.unknown == ()
    return Evaluator(reading.mesh).decide(replace(CALL, **parts))


def _where(decision: Decision) -> Any:
    if decision.redirect is not None:
        return decision.status, decision.redirect
    if not decision.destinations:
        return decision.status
    return [(one.service, one.version, round(one.weight, 3)) for one in decision.destinations]


@pytest.mark.parametrize(
    ("texts", "parts", "expected"),
    [
        ([], {}, [("cart", None, 100)]),
        ([a_route(f"[{{{TO_PAY}}}]")], {}, [("pay", None, 100)]),
        # A route for one port is for no other; one without a port is for all of them.
        ([a_route(f"[{{{TO_PAY}}}]")], {"port": 81}, [("cart", None, 100)]),
        (
            [a_route(f"[{{{TO_PAY}}}]", parent="{kind: Service, group: '', name: cart}")],
            {"port": 81},
            [("pay", None, 100)],
        ),
        # Once there is a route, what none takes is answered with 404.
        ([a_route(PREFIX.format("/a", TO_PAY))], {"path": "/a/b"}, [("pay", None, 100)]),
        ([a_route(PREFIX.format("/a", TO_PAY))], {"path": "/ab"}, 404),
        # Exact before prefix, the longer prefix first, whatever the order and the age.
        (
            [a_route(PREFIX.format("/", TO_PAY)), a_route(PREFIX.format("/a", TO_CART), name="s")],
            {"path": "/a"},
            [("cart", None, 100)],
        ),
        (
            [a_route(f"[{{{TO_PAY}}}, {{matches: [{{headers: [{{name: X-A, value: '1'}}]}}], {TO_CART}}}]")],
            {"headers": (("x-a", "1"),)},
            [("cart", None, 100)],
        ),
        (
            [
                a_route(
                    f"[{{{TO_PAY}}}, {{matches: [{{method: POST}}, {{queryParams: [{{name: q, value: z}}]}}], {TO_CART}}}]"
                )
            ],
            {"path": "/x?q=z"},
            [("cart", None, 100)],
        ),
        # Of two that tie, the first of an object, and the older of two objects.
        ([a_route(f"[{{{TO_PAY}}}, {{{TO_CART}}}]")], {}, [("pay", None, 100)]),
        (
            [
                a_route(f"[{{{TO_PAY}}}]", metadata="creationTimestamp: '2026-02-01T00:00:00Z'"),
                a_route(f"[{{{TO_CART}}}]", name="z", metadata="creationTimestamp: '2026-01-01T00:00:00Z'"),
            ],
            {},
            [("cart", None, 100)],
        ),
        (
            [
                a_route(f"[{{{TO_PAY}}}]", metadata="creationTimestamp: '2026-01-01T00:00:00Z'", name="b"),
                a_route(f"[{{{TO_CART}}}]", metadata="creationTimestamp: '2026-01-01T00:00:00Z'", name="a"),
            ],
            {},
            [("cart", None, 100)],
        ),
        # Weights: a share of all; of an only backend it counts for nothing, and 0 is nothing.
        (
            [V1, a_route("[{backendRefs: [{name: cart, port: 80, weight: 3}, {name: blue, port: 1}]}]")],
            {},
            [("cart", None, 75), ("cart", "v1", 25)],
        ),
        ([a_route("[{backendRefs: [{name: cart, port: 81, weight: 0}]}]")], {}, [("cart", None, 100)]),
        (
            [V1, a_route("[{backendRefs: [{name: cart, port: 80, weight: 0}, {name: blue, port: 1}]}]")],
            {},
            [("cart", "v1", 100)],
        ),
        ([a_route("[{backendRefs: [{name: gone, port: 80}]}]")], {}, 500),
        # Routes of a namespace of callers are for these, beside those for all.
        (
            [a_route(f"[{{{TO_PAY}}}]", namespace="bank", parent=CART.replace("}", ", namespace: shop}"))],
            {},
            [("cart", None, 100)],
        ),
        (
            [a_route(f"[{{{TO_PAY}}}]", namespace="bank", parent=CART.replace("}", ", namespace: shop}"))],
            {"identity": PAY},
            [("pay", None, 100)],
        ),
        (
            [
                a_route(PREFIX.format("/a", TO_PAY), namespace="bank", parent=CART.replace("}", ", namespace: shop}")),
                a_route(f"[{{{TO_CART}}}]"),
            ],
            {"identity": PAY},
            [("cart", None, 100)],
        ),
        (
            [a_route(PREFIX.format("/a", TO_PAY), namespace="bank", parent=CART.replace("}", ", namespace: shop}"))],
            {"identity": PAY},
            404,
        ),
        # Redirects: what is not named stays as it is.
        (
            [
                a_route(
                    PREFIX.format("/a", "filters: [{type: RequestRedirect, requestRedirect: {hostname: New.example}}]")
                )
            ],
            {"path": "/a/b"},
            (302, "http://new.example/a/b"),
        ),
        (
            [
                a_route(
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
            [a_route(f"[{{{TO_PAY}}}]"), a_route(f"[{{{TO_CART}}}]", kind="GRPCRoute", name="g")],
            {"method": "POST", "path": "/s.S/M"},
            [("cart", None, 100)],
        ),
        (
            [
                a_route(
                    f"[{{matches: [{{method: {{service: s.S}}}}], {TO_PAY}}}, "
                    f"{{matches: [{{method: {{service: s.S, method: M}}}}], {TO_CART}}}]",
                    kind="GRPCRoute",
                )
            ],
            {"method": "POST", "path": "/s.S/M"},
            [("cart", None, 100)],
        ),
        ([a_route(f"[{{{TO_PAY}}}]", version="policy.linkerd.io/v1beta3")], {}, [("pay", None, 100)]),
    ],
)
def test_where_calls_go(texts: list[str], parts: dict[str, Any], expected: Any) -> None:
    assert _where(_decide(read_live(*texts), **parts)) == expected


def test_the_share_of_a_service_that_is_not_there_is_answered_500() -> None:
    reading = read_live(a_route("[{backendRefs: [{name: cart, port: 80, weight: 3}, {name: gone, port: 80}]}]"))
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
        ([a_route(f"[{{{TO_CART}, timeouts: {{request: 5s}}}}]")], (5000, None)),
        ([a_route(f"[{{{TO_CART}, timeouts: {{request: 0s}}}}]")], (None, None)),
        # One of several units is no timeout, and the annotation comes first.
        ([a_route(f"[{{{TO_CART}, timeouts: {{request: 1m30s}}}}]")], (None, None)),
        (
            [
                a_route(
                    f"[{{{TO_CART}, timeouts: {{request: 5s}}}}]", metadata=annotated("timeout.linkerd.io/request: 2s")
                )
            ],
            (2000, None),
        ),
        ([a_route(f"[{{{TO_CART}}}]", metadata=annotated("timeout.linkerd.io/idle: 3m"))], (None, 180_000)),
        # The Service's are for rules without any.
        ([a_service(notes="timeout.linkerd.io/request: 7s")], (7000, None)),
        ([a_service(notes="timeout.linkerd.io/request: 7s"), a_route(f"[{{{TO_CART}}}]")], (7000, None)),
        (
            [
                a_service(notes="timeout.linkerd.io/request: 7s"),
                a_route(f"[{{{TO_CART}}}]", metadata=annotated("timeout.linkerd.io/idle: 1s")),
            ],
            (None, 1000),
        ),
    ],
)
def test_timeouts(texts: list[str], timeouts: tuple[int | None, int | None]) -> None:
    settings = _first(read_live(*texts)).settings
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
    for texts in ([a_route(f"[{{{TO_CART}}}]", metadata=annotated(notes))], [a_service(notes=notes)]):
        retry = _first(read_live(*texts)).settings.retry
        found = retry and (retry.attempts, retry.conditions, retry.statuses, retry.per_try_ms)
        assert found == expected


def test_routes_of_grpc_retry_on_its_statuses() -> None:
    notes = annotated("retry.linkerd.io/grpc: 'unavailable,cancelled', retry.linkerd.io/http: 5xx")
    retry = _first(read_live(a_route(f"[{{{TO_CART}}}]", kind="GRPCRoute", metadata=notes))).settings.retry
    assert retry is not None
    assert (retry.conditions, retry.statuses) == (("cancelled", "unavailable"), ())


def test_an_object_with_any_word_on_retries_has_none_of_its_service() -> None:
    service = a_service(notes="retry.linkerd.io/http: 5xx")
    assert _first(read_live(service, a_route(f"[{{{TO_CART}}}]"))).settings.retry is not None
    own = annotated("retry.linkerd.io/limit: '4'")
    assert _first(read_live(service, a_route(f"[{{{TO_CART}}}]", metadata=own))).settings.retry is None


def test_changes_of_headers_are_in_their_order() -> None:
    rules = (
        f"[{{{TO_CART}, filters: [{{type: RequestHeaderModifier, requestHeaderModifier: "
        "{set: [{name: X-A, value: '1'}], add: [{name: x-b, value: '2'}], remove: [X-C]}}, "
        "{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-d, value: '3'}]}}]}]"
    )
    changes = _first(read_live(a_route(rules))).settings.header_changes
    assert [(one.direction, one.operation, one.name, one.value) for one in changes] == [
        ("request", "add", "x-b", "2"),
        ("request", "set", "x-a", "1"),
        ("request", "remove", "x-c", None),
        ("response", "set", "x-d", "3"),
    ]


def test_ejection_is_an_annotation_of_the_service() -> None:
    penalties = ", ".join(f"{ACCRUAL}-consecutive-{one}-penalty: 20s" for one in ("min", "max"))
    reading = read_live(
        a_service(notes=f"{ACCRUAL}: consecutive, {ACCRUAL}-consecutive-max-failures: '4', {penalties}")
    )
    assert reading.unknown == ()
    cart = next(one for one in reading.mesh.workloads if one.name == "cart")
    found = [port.settings.outlier_detection for port in cart.ports]
    assert [(one.consecutive_5xx, one.ejection_ms) for one in found if one] == [(4, 20_000)] * 2
    plain = read_live(a_service(notes=f"{ACCRUAL}: consecutive"))
    assert any("stay out for longer" in one.text for one in plain.assumptions)
    first = next(one for one in plain.mesh.workloads if one.name == "cart").ports[0].settings.outlier_detection
    assert first is not None
    assert (first.consecutive_5xx, first.ejection_ms) == (7, 1000)


def test_callers_keep_to_endpoints_near_them_where_the_service_says_so() -> None:
    reading = read_live(a_service(spec="{trafficDistribution: PreferClose}"))
    cart = next(one for one in reading.mesh.workloads if one.name == "cart")
    assert cart.ports[0].settings.locality is not None


def test_limits_are_those_of_the_server() -> None:
    reading = read_live(SERVER, a_limit("total: {requestsPerSecond: 100}, identity: {requestsPerSecond: 10}"))
    assert reading.unknown == ()
    ports = next(one for one in reading.mesh.workloads if one.name == "cart").ports
    assert [(one.tokens, one.per_ms, one.burst, one.per) for one in ports[0].limits] == [
        (100, 1000, 100, None),
        (10, 1000, 10, "source"),
    ]
    assert ports[1].limits == ()


def test_a_profile_counts_in_the_place_of_routes() -> None:
    condition = "{all: [{pathRegex: '/a/[0-9]+'}, {not: {method: POST}}]}"
    profile = PROFILE.format(f"{{routes: [{{name: a, condition: {condition}, timeout: 2s}}]}}")
    reading = read_live(profile, a_route(f"[{{{TO_PAY}}}]"), a_service(notes=f"{ACCRUAL}: consecutive"))
    assert _where(_decide(reading, path="/a/1")) == [("cart", None, 100)]
    assert [_decide(reading, path=path).timeout_ms for path in ("/a/1", "/a/1/b")] == [2000, None]
    assert _decide(reading, path="/a/1", method="POST").timeout_ms is None
    assert next(one for one in reading.mesh.workloads if one.name == "cart").ports[0].settings.outlier_detection is None


def test_a_profile_without_routes_changes_nothing() -> None:
    reading = read_live(
        PROFILE.format("{retryBudget: {retryRatio: 0.2, minRetriesPerSecond: 10, ttl: 10s}}"),
        a_route(f"[{{{TO_PAY}}}]"),
    )
    assert _where(_decide(reading)) == [("pay", None, 100)]
