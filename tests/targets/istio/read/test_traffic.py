"""Routes of Istio as people write them by hand: objects in, what becomes of requests out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import corpus
from meshc.reading import Aspect, Reading, bare, objects_of_source
from meshc.request import Decision
from meshc.semantics import Evaluator
from meshc.semantics.paths import capture, substitute
from meshc.source import SourceFile
from meshc_harness.compare import analyze_text
from meshc_harness.istio_live import (
    CALL,
    CART,
    CONFIG,
    MAIL,
    PAY,
    SUBSETS,
    object_text,
    port_of,
    read_live,
)
from meshc_istio.read import read


def _routes(http: str, **more: Any) -> str:
    return object_text("VirtualService", f"{{hosts: [cart], http: {http}}}", **more) + object_text(
        "DestinationRule", SUBSETS
    )


def _decide(reading: Reading, **parts: Any) -> Decision:
    return Evaluator(reading.mesh).decide(replace(CALL, **parts))


def _sent(reading: Reading, **parts: Any) -> dict[str | None, float]:
    return {one.version: one.weight for one in _decide(reading, **parts).destinations}


TO_ONE = "route: [{destination: {host: cart, subset: one}}]"
TO_TWO = "route: [{destination: {host: cart, subset: two}}]"


@pytest.mark.parametrize(
    ("match", "parts", "expected"),
    [
        ("uri: {exact: /a}", {}, "v1"),
        ("uri: {exact: /a}", {"path": "/a/"}, "v2"),
        ("uri: {prefix: /a}", {"path": "/ab"}, "v1"),
        ("uri: {prefix: /a/}", {"path": "/a"}, "v2"),
        ("uri: {prefix: /a/}", {"path": "/a/b"}, "v1"),
        ("uri: {regex: '/a/[^/]+'}", {"path": "/a/b"}, "v1"),
        ("uri: {regex: '/a/[^/]+'}", {"path": "/a/b/c"}, "v2"),
        ("uri: {regex: '/[ab]c*'}", {"path": "/bcc"}, "v1"),
        ("uri: {prefix: /A}, ignoreUriCase: true", {"path": "/abc"}, "v1"),
        ("method: {exact: POST}", {}, "v2"),
        ("method: {regex: 'GET|HEAD'}", {"method": "HEAD"}, "v1"),
        ("headers: {X-A: {exact: '1'}}", {"headers": (("x-a", "1"),)}, "v1"),
        ("headers: {x-a: {}}", {"headers": (("x-a", ""),)}, "v1"),
        ("headers: {x-a: {prefix: b}}", {"headers": (("x-a", "a"),)}, "v2"),
        ("headers: {x-a: {regex: 'a|b.*'}}", {"headers": (("x-a", "bc"),)}, "v1"),
        ("withoutHeaders: {x-a: {exact: '1'}}", {}, "v1"),
        ("withoutHeaders: {x-a: {exact: '1'}}", {"headers": (("x-a", "1"),)}, "v2"),
        ("withoutHeaders: {x-a: {}}", {"headers": (("x-a", "1"),)}, "v2"),
        ("withoutHeaders: {x-a: {regex: '.*'}}", {}, "v2"),
        ("queryParams: {q: {exact: '1'}}", {"query": (("q", "1"),)}, "v1"),
        ("queryParams: {q: {exact: '1'}}", {}, "v2"),
        ("sourceLabels: {app: web}", {}, "v1"),
        ("sourceLabels: {app: web}", {"identity": MAIL}, "v2"),
        ("sourceNamespace: bank", {"identity": PAY}, "v1"),
        ("sourceNamespace: bank", {}, "v2"),
        ("port: 80", {}, "v1"),
        ("port: 81", {}, "v2"),
        ("gateways: [mesh]", {}, "v1"),
        ("gateways: [public]", {}, "v2"),
        ("uri: {exact: /a}, method: {exact: POST}", {}, "v2"),
    ],
)
def test_matches_mean_what_istio_documents(match: str, parts: dict[str, Any], expected: str) -> None:
    reading = read_live(_routes(f"[{{match: [{{{match}}}], {TO_ONE}}}, {{{TO_TWO}}}]"))
    assert not reading.unknown, reading.unknown
    assert _sent(reading, **parts) == {expected: 100.0}


def test_the_first_route_counts_and_entries_are_alternatives() -> None:
    reading = read_live(
        _routes(f"[{{match: [{{uri: {{exact: /b}}}}, {{method: {{exact: GET}}}}], {TO_ONE}}}, {{{TO_TWO}}}]")
    )
    assert _sent(reading) == {"v1": 100.0}
    assert _sent(reading, method="PUT") == {"v2": 100.0}


def test_nothing_is_tried_after_a_route_that_takes_all() -> None:
    reading = read_live(_routes(f"[{{{TO_TWO}}}, {{match: [{{uri: {{exact: /a}}}}], {TO_ONE}}}]"))
    assert _sent(reading) == {"v2": 100.0}


def test_what_no_route_takes_is_answered_404() -> None:
    assert _decide(read_live(_routes(f"[{{match: [{{uri: {{exact: /b}}}}], {TO_ONE}}}]"))).status == 404


def test_weights_are_proportions_and_one_destination_needs_none() -> None:
    one, two = "destination: {host: cart, subset: one}", "destination: {host: cart, subset: two}"
    assert _sent(read_live(_routes(f"[{{route: [{{{one}, weight: 3}}, {{{two}, weight: 1}}]}}]"))) == {
        "v1": 75.0,
        "v2": 25.0,
    }
    assert _sent(read_live(_routes(f"[{{route: [{{{one}, weight: 3}}, {{{two}, weight: 0}}]}}]"))) == {"v1": 100.0}
    assert _sent(read_live(_routes(f"[{{route: [{{{one}, weight: 7}}]}}]"))) == {"v1": 100.0}


def test_a_subset_that_nothing_defines_is_answered_503() -> None:
    reading = read_live(_routes("[{route: [{destination: {host: cart, subset: three}}]}]"))
    assert _decide(reading).status == 503


def test_a_subset_whose_rule_is_kept_elsewhere_is_assumed() -> None:
    reading = read_live(
        object_text("VirtualService", "{hosts: [cart], http: [{route: [{destination: {host: cart, subset: v2}}]}]}")
    )
    assert _sent(reading) == {"v2": 100.0}
    assert any("subsets" in one.text for one in reading.assumptions)


@pytest.mark.parametrize(
    ("action", "parts", "target"),
    [
        ("redirect: {uri: /b}", {}, "/b"),
        ("redirect: {uri: /b, authority: x.example, scheme: https}", {}, "https://x.example/b"),
        ("match: [{uri: {prefix: /a/}}], redirect: {prefixRewrite: /b/}", {"path": "/a/c"}, "/b/c"),
    ],
)
def test_redirects(action: str, parts: dict[str, Any], target: str) -> None:
    assert _decide(read_live(_routes(f"[{{{action}}}]")), **parts).redirect == target


@pytest.mark.parametrize(
    ("match", "rewrite", "path", "expected"),
    [
        ("uri: {prefix: /a/}", "uri: /b/", "/a/c", "/b/c"),
        ("uri: {exact: /a}", "uri: /b", "/a", "/b"),
        ("uri: {regex: '/a/[^/]+'}", "uri: /b", "/a/c", "/b"),
        ("uri: {regex: '/a/[^/]+'}", "uriRegexRewrite: {match: '^/a/([^/]+)$', rewrite: '/x/\\1/y'}", "/a/c", "/x/c/y"),
    ],
)
def test_rewrites(match: str, rewrite: str, path: str, expected: str) -> None:
    reading = read_live(_routes(f"[{{match: [{{{match}}}], {TO_ONE}, rewrite: {{{rewrite}}}}}]"))
    assert not reading.unknown, reading.unknown
    route = port_of(reading).routes[0]
    assert substitute(route.settings.rewrite_path or "", capture(route.path, path)) == expected


def test_a_prefix_that_ends_within_a_segment_cannot_be_replaced() -> None:
    reading = read_live(_routes(f"[{{match: [{{uri: {{prefix: /a}}}}], {TO_ONE}, rewrite: {{uri: /b}}}}]"))
    assert "ends within a segment" in reading.unknown[0].message


def test_istio_retries_twice_where_nothing_says_otherwise() -> None:
    for reading in (read_live(_routes(f"[{{{TO_ONE}}}]")), read_live("")):
        retry = port_of(reading).routes[-1].settings.retry
        assert retry is not None
        assert (retry.attempts, retry.statuses) == (2, ())
        assert set(retry.conditions) == {"connect-failure", "refused-stream", "unavailable", "cancelled"}
    assert port_of(read_live(_routes(f"[{{{TO_ONE}, retries: {{attempts: 0}}}}]"))).routes[0].settings.retry is None
    config = CONFIG.replace("---", "  defaultHttpRetryPolicy: {attempts: 0}\n---")
    assert port_of(read_live(_routes(f"[{{{TO_ONE}}}]"), config=config)).routes[0].settings.retry is None


def test_settings_of_routes() -> None:
    settings = (
        "timeout: 1.5s, retries: {attempts: 3, retryOn: '5xx,429', perTryTimeout: 200ms, backoff: 10ms},"
        "fault: {delay: {fixedDelay: 2s, percentage: {value: 10}}, abort: {httpStatus: 418, percentage: {value: 100}}},"
        "mirrors: [{destination: {host: pay.bank.svc.cluster.local}, percentage: {value: 5}}],"
        "headers: {request: {remove: [x-a], set: {x-b: '100%%'}}}"
    )
    reading = read_live(_routes(f"[{{{TO_ONE}, {settings}}}]"))
    assert not reading.unknown, reading.unknown
    found = port_of(reading).routes[0].settings
    assert found.retry is not None
    assert (found.timeout_ms, found.retry.attempts, found.retry.conditions) == (1500, 3, ("5xx",))
    assert (found.retry.statuses, found.retry.per_try_ms, found.retry.backoff_ms) == ((429,), 200, (10, 100))
    assert [(one.delay_ms, one.percent) for one in found.delays] == [(2000, 10.0)]
    assert [(one.status, one.percent) for one in found.aborts] == [(418, 100.0)]
    assert [(one.percent, one.destination.service) for one in found.mirrors] == [(5.0, "pay")]
    assert [(one.operation, one.name, one.value) for one in found.header_changes] == [
        ("remove", "x-a", None),
        ("set", "x-b", "100%"),
    ]


@pytest.mark.parametrize(
    "route",
    [
        f"{{{TO_ONE}, corsPolicy: {{allowOrigins: [{{exact: x}}]}}}}",
        f"{{{TO_ONE}, unheard: 1}}",
        f"{{{TO_ONE}, headers: {{request: {{set: {{x: '%REQ(y)%'}}}}}}}}",
        f"{{{TO_ONE}, retries: {{attempts: 1, retryOn: envoy-ratelimited}}}}",
        f"{{{TO_ONE}, timeout: soon}}",
        f"{{match: [{{scheme: {{exact: https}}}}], {TO_ONE}}}",
        f"{{match: [{{sourceLabels: {{app: nobody}}}}], {TO_ONE}}}",
        f"{{match: [{{authority: {{regex: 'a.*b'}}}}], {TO_ONE}}}",
        f"{{{TO_ONE}, rewrite: {{uriRegexRewrite: {{match: '^.*$', rewrite: ''}}}}}}",
        "{delegate: {name: y}}",
        "{route: [{destination: {host: elsewhere.example}}]}",
        "{route: [{destination: {host: cart}, weight: 1, headers: {request: {}}}, {destination: {host: web}, weight: 1}]}",
        "{redirect: {authority: other.example}}",
        "7",
    ],
)
def test_what_cannot_be_said_is_unknown_at_its_place(route: str) -> None:
    text = _routes(f"[{route}]")
    reading = read_live(text)
    assert reading.unknown
    for one in reading.unknown:
        assert one.ports is not None
        assert one.span.line > 5
        assert Aspect.ROUTING in one.aspects


def test_of_two_services_for_one_host_the_oldest_counts() -> None:
    old = object_text(
        "VirtualService", f"{{hosts: [cart], http: [{{{TO_ONE}}}]}}", name="old", created="'2024-01-01T00:00:00Z'"
    )
    new = object_text(
        "VirtualService", f"{{hosts: [{CART}], http: [{{{TO_TWO}}}]}}", name="new", created="'2025-01-01T00:00:00Z'"
    )
    reading = read_live(new + old + object_text("DestinationRule", SUBSETS))
    assert not reading.unknown
    assert _sent(reading) == {"v1": 100.0}
    undated = read_live((new + old).replace("2024-", "2025-") + object_text("DestinationRule", SUBSETS))
    assert "age" in undated.unknown[0].message


def test_routes_of_gateways_touch_no_caller() -> None:
    text = object_text("VirtualService", f"{{hosts: ['*'], gateways: [public], http: [{{{TO_ONE}}}]}}")
    reading = read_live(text)
    assert [one.ports for one in reading.unknown] == [()]
    assert _sent(reading) == {None: 100.0}


def test_connections_are_routed_by_callers() -> None:
    to = "route: [{destination: {host: cart, subset: %s, port: {number: 5432}}}]"
    tcp = f"[{{match: [{{port: 5432, sourceLabels: {{app: web}}}}], {to % 'one'}}}, {{match: [{{port: 5432}}], {to % 'two'}}}]"
    text = object_text("VirtualService", f"{{hosts: [cart], tcp: {tcp}, http: [{{{TO_ONE}}}]}}") + object_text(
        "DestinationRule", SUBSETS
    )
    reading = read_live(text)
    assert not reading.unknown, reading.unknown
    parts: dict[str, Any] = {"port": 5432, "method": None, "path": None}
    assert _sent(reading, **parts) == {"v1": 100.0}
    assert _sent(reading, identity=MAIL, **parts) == {"v2": 100.0}


BOOKINFO = """
namespace default
service productpage in default { port 9080 http version v1 }
service details in default { port 9080 http version v1 version v2 }
service reviews in default { port 9080 http version v1 version v2 version v3 }
service ratings in default { port 9080 http version v1 version v2 }
"""
_NOT_SAYABLE = {
    "bookinfo-gateway.yaml": "gateways",
    "certmanager-gateway.yaml": "gateways",
}


def _samples() -> list[Path]:
    return sorted((corpus.CORPUS / "bookinfo" / "networking").glob("*.yaml"))


@pytest.mark.parametrize("path", _samples(), ids=lambda path: path.name)
def test_samples_of_istio_are_read(path: Path) -> None:
    mesh = analyze_text(BOOKINFO).mesh
    assert mesh is not None
    objects, wrong = objects_of_source(SourceFile(path.name, path.read_text(encoding="utf-8")))
    assert not wrong
    reading = read(objects, bare(mesh), {})
    expected = _NOT_SAYABLE.get(path.name)
    assert bool(reading.unknown) is (expected is not None), reading.unknown
    assert all(expected is not None and expected in one.message for one in reading.unknown)
