"""ServiceEntries as people write them: who knows them, and what several of them say of one host."""

from dataclasses import replace

import pytest

from meshc.reading import Aspect, Reading
from meshc.semantics import Evaluator
from meshc_harness.istio_live import CALL, CART, CONFIG, MAIL, PAY, WEB, object_text, read_live

Ports = set[tuple[str, str, int]]
CALLED = replace(CALL, service="a", port=80)
ELSEWHERE = "spiffe://cluster.local/ns/other/sa/x"


def entry(
    more: str = "", *, hosts: str = "a.example", name: str = "a", namespace: str = "shop", number: int = 80
) -> str:
    ports = f"ports: [{{number: {number}, name: http, protocol: HTTP}}]"
    return object_text(
        "ServiceEntry", f"{{hosts: [{hosts}], {more}resolution: DNS, {ports}}}", name=name, namespace=namespace
    )


def let_out(reading: Reading, namespace: str = "shop") -> list[bool | None]:
    """Whether callers of the shop, of the bank and of elsewhere get out."""
    evaluator = Evaluator(reading.mesh)
    call = replace(CALLED, namespace=namespace)
    return [evaluator.decide(replace(call, identity=one)).allowed for one in (WEB, PAY, ELSEWHERE)]


def unknown(reading: Reading) -> Ports:
    """The ports of which nothing is known."""
    assert all(one.ports is not None and one.aspects == set(Aspect) for one in reading.unknown), reading.unknown
    return {port for one in reading.unknown for port in one.ports or ()}


@pytest.mark.parametrize(
    ("exported", "expected"),
    [
        ("", [True, True, True]),
        ("exportTo: ['*'], ", [True, True, True]),
        ("exportTo: [.], ", [True, False, False]),
        ("exportTo: [bank], ", [False, True, False]),
        ("exportTo: [., bank], ", [True, True, False]),
        ("exportTo: ['~'], ", [False, False, False]),
        ("exportTo: [nobody], ", [False, False, False]),
    ],
)
def test_callers_that_do_not_know_an_external_are_not_let_out(exported: str, expected: list[bool]) -> None:
    reading = read_live(entry(exported))
    assert not reading.unknown
    assert let_out(reading) == expected


def test_the_default_is_mesh_config_s() -> None:
    config = CONFIG.replace("---", "  defaultServiceExportTo: [.]\n---")
    everybody = "exportTo: ['*'], "
    assert let_out(read_live(entry(), config=config)) == [True, False, False]
    assert let_out(read_live(entry(everybody), config=config)) == [True, True, True]


def test_routes_and_what_is_exported_both_bind() -> None:
    refused = "{match: [{sourceLabels: {app: mail}}], directResponse: {status: 403}}"
    slow = "{match: [{uri: {prefix: /slow/}}], timeout: 9s, route: [{destination: {host: a.example}}]}"
    rest = "{route: [{destination: {host: a.example}}]}"
    routes = object_text("VirtualService", f"{{hosts: [a.example], http: [{refused}, {slow}, {rest}]}}")
    reading = read_live(entry("exportTo: [.], ") + routes)
    assert not reading.unknown, reading.unknown
    assert let_out(reading) == [True, False, False]
    evaluator = Evaluator(reading.mesh)
    assert evaluator.decide(replace(CALLED, identity=MAIL)).allowed is False
    assert evaluator.decide(replace(CALLED, path="/slow/x")).timeout_ms == 9000


def test_a_mesh_that_lets_everything_out_lets_past_what_is_exported() -> None:
    open_to_all = CONFIG.replace("REGISTRY_ONLY", "ALLOW_ANY")
    reading = read_live(entry("exportTo: [.], "), config=open_to_all)
    assert {one.ports for one in reading.unknown} == {(("shop", "a", 80),)}
    assert {aspect for one in reading.unknown for aspect in one.aspects} == set(Aspect)
    assert not read_live(entry(), config=open_to_all).unknown


# ---- several of them ------------------------------------------------------------------------------------------------


def test_entries_of_several_namespaces_that_say_the_same_are_one() -> None:
    reading = read_live(entry("exportTo: [.], ") + entry("exportTo: [.], ", namespace="bank"))
    assert not reading.unknown
    assert [one.hosts for one in reading.mesh.externals] == [("a.example",), ("books.example",)]
    assert let_out(reading, "bank") == [True, True, False]


def test_entries_that_differ_leave_their_host_unknown_and_nothing_else() -> None:
    assert unknown(read_live(entry() + entry(namespace="bank", number=81))) == {("bank", "a", 81)}
    assert unknown(read_live(entry() + entry("surprise: 1, ", namespace="bank"))) == {("shop", "a", 80)}
    assert unknown(read_live(entry() + entry())) == {("shop", "a", 80)}, "one of both is kept"
    assert unknown(read_live(entry(hosts="books.example", number=81))) == {("shop", "books", 443)}
    assert unknown(read_live(entry("exportTo: [.], ") + entry(hosts="b.example", name="b"))) == set()


def test_every_host_that_callers_know_is_read() -> None:
    """Those of an external that the program knows in part, and of one that is called as a service is."""
    reading = read_live(entry(hosts="'books.example', b.example"))
    assert ("b.example",) in [one.hosts for one in reading.mesh.externals]
    named = read_live(entry(name="cart"))
    assert [(one.name, one.hosts) for one in named.mesh.externals] == [
        ("books", ("books.example",)),
        ("cart-external", ("a.example",)),
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("workloadSelector: {labels: {a: b}}, ", "workloadSelector"),
        ("workloadSelector: {labels: {a: b}}, location: MESH_INTERNAL, ", "declared by hand"),
        ("endpoints: [{address: 1.2.3.4}], ", "endpoints"),
        ("subjectAltNames: [x], ", "subjectAltNames"),
        ("addresses: [1.2.3.4], ", "addresses"),
        ("", "which is a service of the mesh"),
    ],
)
def test_an_entry_that_is_none_of_an_external(more: str, message: str) -> None:
    cart = {("shop", "cart", 80), ("shop", "cart", 5432)}
    reading = read_live(entry(more, hosts=CART))
    assert unknown(reading) == cart
    assert all(message in one.message for one in reading.unknown)
    if more:
        strange = read_live(entry(more))
        assert unknown(strange) == set()
        assert [message in one.message for one in strange.unknown] == [True]


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        ("{number: 80, name: a, protocol: HTTP}, {number: 80, name: b, protocol: HTTP}", "named twice"),
        ("{number: 80, name: a}", "found out by its calls"),
        ("{number: 80, protocol: HTTP}", "without a number or a name"),
        ("{number: 80, name: a, protocol: MONGO}", "a port of the protocol `MONGO`"),
        ("{number: 9000, name: a, protocol: TCP}", "one of several hosts"),
    ],
)
def test_ports_that_cannot_be_said(ports: str, message: str) -> None:
    spec = f"{{hosts: [a.example, b.example], resolution: DNS, ports: [{ports}]}}"
    (found,) = read_live(object_text("ServiceEntry", spec)).unknown
    assert message in found.message
    assert found.ports == ()
