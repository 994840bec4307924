"""DestinationRules and externals of Istio as people write them by hand: objects in, settings and decisions out."""

from dataclasses import replace
from typing import Any

import pytest

from meshc import ir
from meshc.ir import BalancePolicy
from meshc.reading import Aspect, Reading
from meshc.semantics import Evaluator
from meshc_harness.istio_live import (
    CALL,
    CART,
    CONFIG,
    ENTRY,
    MAIL,
    TLS,
    object_text,
    port_of,
    read_live,
)


def _policy(policy: str, **more: Any) -> ir.Settings:
    reading = read_live(object_text("DestinationRule", f"{{host: cart, trafficPolicy: {policy}}}", **more))
    assert not reading.unknown, reading.unknown
    return port_of(reading).settings


def test_settings_of_connections() -> None:
    plain = port_of(read_live("")).settings
    assert plain.load_balance is not None
    assert plain.load_balance.policy is BalancePolicy.LEAST_REQUEST
    assert _policy("{loadBalancer: {simple: ROUND_ROBIN}}").load_balance is None
    pool = (
        "{connectionPool: {tcp: {maxConnections: 7, connectTimeout: 3s}, http: {http2MaxRequests: 9, maxRetries: 2}}}"
    )
    found = _policy(pool)
    assert found.connect_timeout_ms == 3000
    assert found.circuit_breaker is not None
    bounds = found.circuit_breaker
    assert (bounds.connections, bounds.pending, bounds.requests, bounds.retries) == (7, None, 9, 2)
    hashed = _policy("{loadBalancer: {consistentHash: {httpHeaderName: X-User}}}").load_balance
    assert hashed is not None
    assert (hashed.policy, hashed.hash_kind, hashed.hash_name) == (BalancePolicy.RING_HASH, "header", "x-user")


def test_ejection_has_defaults_and_turns_nearness_on() -> None:
    found = _policy("{outlierDetection: {consecutiveGatewayErrors: 3}}")
    assert found.outlier_detection is not None
    outlier = found.outlier_detection
    assert (outlier.consecutive_5xx, outlier.consecutive_gateway_errors, outlier.max_ejected) == (5, 3, 10.0)
    assert found.locality is not None
    assert found.locality.prefer
    off = "{outlierDetection: {interval: 1s}, loadBalancer: {localityLbSetting: {enabled: false}}}"
    assert _policy(off).locality is None


def test_settings_of_a_port_replace_all_others() -> None:
    text = "{connectionPool: {tcp: {maxConnections: 7}}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}"
    found = _policy(text)
    assert found.circuit_breaker is None
    assert found.load_balance is not None
    assert found.load_balance.policy is BalancePolicy.RANDOM


def test_the_service_s_namespace_comes_before_the_root() -> None:
    def rule(namespace: str, simple: str) -> str:
        spec = f"{{host: {CART}, trafficPolicy: {{loadBalancer: {{simple: {simple}}}}}}}"
        return object_text("DestinationRule", spec, namespace=namespace, name=namespace)

    both = read_live(rule("istio-system", "RANDOM") + rule("shop", "ROUND_ROBIN"))
    assert not both.unknown
    assert port_of(both).settings.load_balance is None
    root = port_of(read_live(rule("istio-system", "RANDOM"))).settings.load_balance
    assert root is not None
    assert root.policy is BalancePolicy.RANDOM
    found = read_live(rule("bank", "RANDOM")).unknown
    assert [one.ports for one in found] == [(("shop", "cart", 80),), (("shop", "cart", 5432),)]
    assert all("callers in `bank` alone" in one.message and one.aspects == {Aspect.SETTINGS} for one in found)


def test_callers_that_speak_otherwise_than_the_server_are_not_understood() -> None:
    for mode, is_fine in (("ISTIO_MUTUAL", True), ("DISABLE", False), ("SIMPLE", False)):
        reading = read_live(object_text("DestinationRule", f"{{host: cart, trafficPolicy: {{tls: {{mode: {mode}}}}}}}"))
        assert (not reading.unknown) is is_fine
        assert all(Aspect.ACCESS in one.aspects for one in reading.unknown)


TO_BOOKS = "route: [{destination: {host: books.example, port: {number: 80}}}]"
BOOKS = replace(CALL, service="books", port=443)


def _books(http: str) -> Reading:
    return read_live(object_text("VirtualService", f"{{hosts: [books.example], http: {http}}}", name="books"))


def test_a_bare_403_is_a_rule_about_what_leaves() -> None:
    reading = _books(
        f"[{{match: [{{uri: {{prefix: /v1/}}, sourceLabels: {{app: web}}}}], {TO_BOOKS}}}, {{directResponse: {{status: 403}}}}]"
    )
    assert not reading.unknown, reading.unknown
    evaluator = Evaluator(reading.mesh)
    assert evaluator.decide(replace(BOOKS, path="/v1/x")).allowed is True
    assert evaluator.decide(replace(BOOKS, path="/v2")).allowed is False
    assert evaluator.decide(replace(BOOKS, path="/v1/x", identity=MAIL)).allowed is False


def test_rules_of_externals_need_a_mesh_that_lets_nothing_else_out() -> None:
    text = object_text("VirtualService", "{hosts: [books.example], http: [{directResponse: {status: 403}}]}")
    reading = read_live(text, config=CONFIG.replace("REGISTRY_ONLY", "ALLOW_ANY"))
    assert "REGISTRY_ONLY" in reading.unknown[0].message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("resolution: DNS", "resolution: STATIC"),
        ("targetPort: 443", "targetPort: 444"),
        ("protocol: HTTP", "protocol: TCP"),
    ],
)
def test_an_entry_of_another_kind_leaves_the_external_unknown(old: str, new: str) -> None:
    text = (ENTRY + object_text("DestinationRule", TLS)).replace(old, new)
    assert any(one.ports == (("shop", "books", 443),) for one in read_live(text, has_books=False).unknown)


def test_servers_outside_that_nobody_verifies_are_not_understood() -> None:
    for old, new in (
        ("mode: SIMPLE", "mode: DISABLE"),
        ("subjectAltNames: [books.example]", "subjectAltNames: [evil.example]"),
    ):
        assert read_live(ENTRY + object_text("DestinationRule", TLS.replace(old, new)), has_books=False).unknown


@pytest.mark.parametrize(
    ("aside", "field"),
    [
        ("connectionPool: {http: {maxRequestsPerConnection: 1, http2MaxRequests: 7}}", "maxRequestsPerConnection"),
        ("connectionPool: {http: {idleTimeout: 1m, http2MaxRequests: 7}}", "idleTimeout"),
        ("connectionPool: {http: {maxConcurrentStreams: 5, http2MaxRequests: 7}}", "maxConcurrentStreams"),
        ("connectionPool: {tcp: {maxConnectionDuration: 1h}, http: {http2MaxRequests: 7}}", "maxConnectionDuration"),
        (
            "connectionPool: {http: {http2MaxRequests: 7}}, outlierDetection: {minHealthPercent: 20}",
            "minHealthPercent",
        ),
    ],
)
def test_what_stands_beside_other_settings_leaves_them_known(aside: str, field: str) -> None:
    reading = read_live(object_text("DestinationRule", f"{{host: cart, trafficPolicy: {{{aside}}}}}"))
    assert [(f"`{field}`" in one.message, one.aspects) for one in reading.unknown] == [(True, {Aspect.SETTINGS})] * 2
    breaker = port_of(reading).settings.circuit_breaker
    assert breaker is not None
    assert breaker.requests == 7


TWO_PORTS = ENTRY.replace("targetPort: 443}", "targetPort: 443}, {number: 443, name: tls, protocol: TLS}")


@pytest.mark.parametrize("host", ["books.example", "news.example"])
def test_tls_of_applications_beside_tls_that_proxies_originate(host: str) -> None:
    """Both would be port 443 of one external: the one is read, and the other named. The program knows the books alone."""
    text = (TWO_PORTS + object_text("DestinationRule", TLS)).replace("books.example", host)
    reading = read_live(text.replace("name: books,", "name: again,"), has_books=host != "books.example")
    (named,) = reading.unknown
    assert "port 443 of" in named.message
    assert "which is none of the ports of" in named.message
    assert named.ports == ()
    assert {port.protocol for one in reading.mesh.externals for port in one.ports} == {ir.Protocol.HTTPS}


def test_a_port_that_the_program_does_not_have_is_named() -> None:
    more = ENTRY.replace("targetPort: 443}", "targetPort: 443}, {number: 25, name: smtp, protocol: TCP}")
    reading = read_live(more + object_text("DestinationRule", TLS), has_books=False)
    assert [(one.message, one.ports) for one in reading.unknown] == [
        ("port 25 of `books.example`, which is none of the ports of `books`, cannot be said", ())
    ]
