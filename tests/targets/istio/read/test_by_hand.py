"""Fields of VirtualServices that meshc never writes: each is read, or named for the ports that it touches and no others."""

from dataclasses import replace

import pytest

from meshc.reading import Aspect, Reading
from meshc.semantics import Evaluator
from meshc_harness.istio_live import CALL, CART, MAIL, PAY, SUBSETS, WEB, object_text, port_of, read_live

Ports = set[tuple[str, str, int]]
ONE, TWO = (f"route: [{{destination: {{host: {CART}, subset: {name}}}}}]" for name in ("one", "two"))
HTTP_PORT: Ports = {("shop", "cart", 80)}
TCP_PORT: Ports = {("shop", "cart", 5432)}
TRAVEL = frozenset((Aspect.ROUTING, Aspect.SETTINGS))


def routed(http: str, *, hosts: str = "cart", namespace: str = "shop", more: str = "") -> Reading:
    """Routes of a host, beside the subsets of the cart."""
    text = object_text("VirtualService", f"{{hosts: [{hosts}], {more}http: {http}}}", namespace=namespace)
    return read_live(text + object_text("DestinationRule", SUBSETS, name="rule"))


def sent(reading: Reading, **parts: object) -> str | None:
    """The version that a request of the web goes to."""
    assert not reading.unknown, reading.unknown
    (one,) = Evaluator(reading.mesh).decide(replace(CALL, **parts)).destinations
    return one.version


def unknown(reading: Reading) -> Ports:
    """The ports of which routes and settings are not known."""
    assert {one.aspects for one in reading.unknown} <= {TRAVEL}, reading.unknown
    return {port for one in reading.unknown for port in one.ports or ()}


# ---- matches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "parts", "version"),
    [
        ("gateways: [mesh, edge/public]", {}, "v1"),
        ("gateways: [mesh]", {}, "v1"),
        ("gateways: [edge/public]", {}, "v2"),
        ("sourceNamespace: shop", {}, "v1"),
        ("sourceNamespace: shop", {"identity": PAY}, "v2"),
        ("sourceNamespace: bank", {}, "v2"),
        ("sourceLabels: {app: web}", {}, "v1"),
        ("sourceLabels: {app: web}", {"identity": MAIL}, "v2"),
        ("sourceLabels: {app: pay}, sourceNamespace: bank", {"identity": PAY}, "v1"),
        ("statPrefix: cart, name: one", {}, "v1"),
        ("uri: {exact: /A}, ignoreUriCase: true", {}, "v1"),
        ("uri: {prefix: /A}, ignoreUriCase: true", {"path": "/abc"}, "v1"),
        ("uri: {exact: /A}", {}, "v2"),
        ("port: 80", {}, "v1"),
        ("port: 5432", {}, "v2"),
        ("port: 0", {}, "v1"),
        ("withoutHeaders: {x-a: {}}", {}, "v1"),
        ("headers: {x-a: {prefix: b}}", {"headers": (("x-a", "bc"),)}, "v1"),
        ("queryParams: {q: {exact: '1'}}", {"query": (("q", "1"),)}, "v1"),
        ("method: {exact: GET}, uri: {prefix: /a}", {}, "v1"),
    ],
)
def test_matches(match: str, parts: dict[str, object], version: str) -> None:
    assert sent(routed(f"[{{match: [{{{match}}}], {ONE}}}, {{{TWO}}}]"), **parts) == version


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ("headers: {'@request.auth.claims.groups': {exact: admin}}", "@request.auth.claims.groups"),
        ("sourceLabels: {app: nobody}", "no known service carries"),
        ("scheme: {exact: https}", "scheme"),
        ("surprise: 1", "surprise"),
    ],
)
@pytest.mark.parametrize(("port", "ports"), [("", HTTP_PORT), (", port: 80", HTTP_PORT), (", port: 9", set())])
def test_matches_that_cannot_be_said(match: str, words: str, port: str, ports: Ports) -> None:
    """They touch the ports of requests that they may be for."""
    reading = routed(f"[{{match: [{{{match}{port}}}], {ONE}}}, {{{TWO}}}]")
    assert unknown(reading) == ports
    assert all(words in one.message for one in reading.unknown)


# ---- hosts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "namespace", "version"),
    [
        ("cart", "shop", "v1"),
        ("CART", "shop", "v1"),
        ("cart.shop.svc.cluster.local", "bank", "v1"),
        ("'*.shop.svc.cluster.local'", "bank", "v1"),
        ("'*.svc.cluster.local'", "shop", "v1"),
        ("'*.bank.svc.cluster.local'", "shop", None),
        ("'*.local', pay.bank.svc.cluster.local", "shop", "v1"),
    ],
)
def test_hosts(hosts: str, namespace: str, version: str | None) -> None:
    assert sent(routed(f"[{{{ONE}}}]", hosts=hosts, namespace=namespace)) == version


@pytest.mark.parametrize("host", ["cart.shop", "cart.shop.svc"])
def test_other_names_of_a_service_leave_its_ports_unknown(host: str) -> None:
    reading = routed(f"[{{{ONE}}}]", hosts=host)
    assert {port for one in reading.unknown for port in one.ports or ()} == HTTP_PORT | TCP_PORT


def test_a_short_name_is_one_of_the_object_s_own_namespace() -> None:
    reading = routed(f"[{{{ONE}}}]", hosts="cart", namespace="bank")
    assert [one.ports for one in reading.unknown] == [()]
    assert "cart.bank.svc.cluster.local" in reading.unknown[0].message


def test_routes_for_all_hosts_are_refused() -> None:
    reading = routed(f"[{{{ONE}}}]", hosts="'*'")
    assert unknown(reading) == {("shop", "web", 80), *HTTP_PORT, *TCP_PORT}
    assert [one.ports for one in routed(f"[{{{ONE}}}]", hosts="'*'", more="gateways: [edge], ").unknown] == [()]
    assert (
        port_of(
            read_live(
                object_text(
                    "DestinationRule", "{host: '*', trafficPolicy: {connectionPool: {tcp: {connectTimeout: 3s}}}}"
                )
            )
        ).settings.connect_timeout_ms
        == 3000
    )


# ---- actions --------------------------------------------------------------------------------------------------------


def test_what_is_said_to_other_origins_leaves_the_routes_as_they_are() -> None:
    cors = "corsPolicy: {allowOrigins: [{exact: 'https://a.example'}], allowMethods: [GET]}"
    reading = routed(f"[{{match: [{{uri: {{prefix: /a}}, port: 80}}], {ONE}, {cors}}}, {{{TWO}}}]")
    assert unknown(reading) == HTTP_PORT
    assert ["other origins" in one.message for one in reading.unknown] == [True]
    assert sent(replace(reading, unknown=())) == "v1"
    assert sent(replace(reading, unknown=()), path="/b") == "v2"
    assert not unknown(routed(f"[{{match: [{{gateways: [edge]}}], {ONE}, {cors}}}, {{{TWO}}}]"))


def changes(route: str) -> list[tuple[str, str, str, str | None]]:
    reading = routed(f"[{{{route}}}]")
    assert not reading.unknown, reading.unknown
    found = port_of(reading).routes[0].settings.header_changes
    return [(one.direction, one.operation, one.name, one.value) for one in found]


def test_changes_of_the_only_destination_are_the_route_s() -> None:
    own = "headers: {request: {set: {x-b: '2'}}, response: {remove: [x-c]}}"
    target = f"route: [{{destination: {{host: cart}}, {own}}}]"
    expected = [("request", "set", "x-b", "2"), ("response", "remove", "x-c", None)]
    assert changes(target) == expected
    assert changes(f"headers: {{request: {{add: {{x-a: '1'}}}}}}, {target}") == [
        ("request", "add", "x-a", "1"),
        *expected,
    ]


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (
            "route: [{destination: {host: cart, subset: one}, weight: 1, headers: {request: {set: {a: b}}}}, {destination: {host: cart, subset: two}, weight: 1}]",
            "headers of its own",
        ),
        (
            "headers: {request: {add: {x-b: '1'}}}, route: [{destination: {host: cart}, headers: {request: {set: {x-b: '2'}}}}]",
            "both change",
        ),
        (f"headers: {{request: {{set: {{Host: other}}}}}}, {ONE}", "a change of `Host`"),
        (f"headers: {{request: {{add: {{':authority': other}}}}}}, {ONE}", "a change of `:authority`"),
    ],
)
def test_changes_that_cannot_be_said(route: str, words: str) -> None:
    reading = routed(f"[{{{route}}}]")
    assert unknown(reading) == HTTP_PORT
    assert all(words in one.message for one in reading.unknown)


@pytest.mark.parametrize(
    ("mirrors", "expected"),
    [
        ("mirror: {host: web}", [("web", 100.0)]),
        ("mirror: {host: web}, mirrorPercentage: {value: 0.5}", [("web", 0.5)]),
        ("mirror: {host: web}, mirrorPercent: 20", [("web", 20.0)]),
        ("mirror: {host: web}, mirrorPercentage: {value: 0}", []),
        ("mirrors: [{destination: {host: web}}]", [("web", 100.0)]),
        ("mirrors: [{destination: {host: web}, percentage: {value: 1}}, {destination: {host: pay.bank.svc.cluster.local}, percentage: {value: 2}}]", [("web", 1.0), ("pay", 2.0)]),
    ],
)  # fmt: skip
def test_copies(mirrors: str, expected: list[tuple[str, float]]) -> None:
    reading = routed(f"[{{{ONE}, {mirrors}}}]")
    assert not reading.unknown
    assert [(one.destination.service, one.percent) for one in port_of(reading).routes[0].settings.mirrors] == expected


@pytest.mark.parametrize(
    ("share", "percent"),
    [("", None), (", percentage: {value: 0.1}", 0.1), (", percent: 5", 5.0), (", percentage: {}", None)],
)
def test_faults_that_name_no_share_are_for_no_request(share: str, percent: float | None) -> None:
    settings = port_of(routed(f"[{{{ONE}, fault: {{delay: {{fixedDelay: 1s{share}}}}}}}]")).routes[0].settings
    assert [one.percent for one in settings.delays] == ([] if percent is None else [percent])
    whole = port_of(routed(f"[{{{ONE}, fault: {{abort: {{httpStatus: 500, percentage: {{value: 50}}}}}}}}]")).routes[0]
    assert [(one.status, one.percent) for one in whole.settings.aborts] == [(500, 50.0)]


# ---- connections ----------------------------------------------------------------------------------------------------


def test_connections_of_gateways_are_not_the_mesh_s() -> None:
    def tcp(match: str) -> Reading:
        routes = f"[{{{match}{ONE}}}, {{{TWO}}}]"
        text = object_text(
            "VirtualService", f"{{hosts: [cart], gateways: [mesh, edge], http: [{{{TWO}}}], tcp: {routes}}}"
        )
        return read_live(text + object_text("DestinationRule", SUBSETS))

    call = {"port": 5432, "method": None, "path": None}
    assert sent(tcp("match: [{gateways: [edge]}], "), **call) == "v2"
    assert sent(tcp("match: [{gateways: [edge, mesh]}], "), **call) == "v1"
    assert sent(tcp("match: [{sourceLabels: {app: web}}], "), **call, identity=WEB) == "v1"
    assert unknown(tcp("match: [{destinationSubnets: [10.0.0.0/8]}], ")) == TCP_PORT
    assert unknown(tcp("surprise: 1, ")) == TCP_PORT


def test_what_istio_refuses_as_a_whole() -> None:
    for hosts in ("cart, cart", "cart, 'ca*rt'", "cart, 'a b'"):
        found = routed(f"[{{{ONE}}}]", hosts=hosts)
        assert unknown(found) == HTTP_PORT | TCP_PORT
        assert ["refuses" in one.message for one in found.unknown] == [True]
    twice = "{host: cart, subsets: [{name: one, labels: {version: v1}}, {name: one, labels: {version: v2}}]}"
    reading = read_live(object_text("DestinationRule", twice))
    assert unknown(reading) == HTTP_PORT | TCP_PORT


def test_routes_of_tls_name_servers() -> None:
    wire = object_text(
        "ServiceEntry",
        "{hosts: [wire.example], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}",
        name="wire",
    )
    to_wire = "route: [{destination: {host: wire.example, port: {number: 443}}}]"
    for match, is_known in (("sniHosts: [wire.example]", True), ("port: 443", False)):
        routes = object_text("VirtualService", f"{{hosts: [wire.example], tls: [{{match: [{{{match}}}], {to_wire}}}]}}")
        assert (unknown(read_live(wire + routes)) == set()) is is_known
