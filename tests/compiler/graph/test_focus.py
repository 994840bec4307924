"""Parts of a graph."""

import pytest

from meshc.graph.focus import FocusError, focus_on
from meshc_harness.graphs import BANK, arrows, graph_of

GRAPH = graph_of(BANK)


def test_a_service_keeps_whom_it_may_call_and_who_may_call_it() -> None:
    found = focus_on(GRAPH, services=("checkout",))
    assert set(arrows(found)) == {
        "service:shop.checkout -> service:bank.payments:8080",
        "service:shop.checkout -> service:old.legacy:80",
        "service:shop.web -> service:shop.checkout:8080",
        "namespace:shop -> service:shop.checkout:8080",
        "authenticated -> service:shop.web:80",
        "anyone -> service:old.legacy:443",
    }
    assert found.subjects == {"service:shop.checkout"}


def test_sets_that_do_not_speak_for_a_service_are_left_out() -> None:
    found = focus_on(GRAPH, services=("shop.job",))
    assert set(arrows(found)) == {
        "namespace:shop -> service:shop.checkout:8080",
        "authenticated -> service:old.legacy:80",
        "anyone -> service:old.legacy:443",
    }


def test_a_namespace_and_an_external() -> None:
    assert set(arrows(focus_on(GRAPH, services=("stripe",)))) == {
        "service:bank.payments -> external:bank.stripe:80",
        "service:bank.payments -> external:bank.stripe:443",
    }
    bank = focus_on(GRAPH, namespaces=("bank",))
    assert bank.subjects == {"service:bank.payments", "service:bank.ledger", "external:bank.stripe"}
    assert {edge.target for edge in bank.edges} == {*bank.subjects, "service:old.legacy", "service:shop.web"}


def test_several_add_up_and_nothing_named_is_everything() -> None:
    both = focus_on(GRAPH, services=("web",), namespaces=("bank",))
    alone = {*arrows(focus_on(GRAPH, services=("web",))), *arrows(focus_on(GRAPH, namespaces=("bank",)))}
    assert set(arrows(both)) == alone
    assert focus_on(GRAPH) is GRAPH


def test_whatever_edges_name_is_there() -> None:
    found = focus_on(GRAPH, services=("web",))
    for edge in found.edges:
        assert {edge.source, edge.target, *edge.apart, *edge.refused} <= found.nodes.keys()
    assert "service:shop.job" in found.nodes
    assert "service:shop.job" not in {node.id for node in found.drawn}


def test_a_service_without_edges_is_still_drawn() -> None:
    graph = graph_of("namespace shop service web in shop { port 80 http } service cart in shop { port 80 http }")
    assert [node.id for node in focus_on(graph, services=("web",)).drawn] == ["service:shop.web"]


@pytest.mark.parametrize(
    ("services", "namespaces", "message"),
    [
        (("wep",), (), "there is no service or external `wep`; did you mean `web`?"),
        (("shop.wep",), (), "there is no service or external `shop.wep`; did you mean `shop.web`?"),
        (("nothing-like-it",), (), "there is no service or external `nothing-like-it`"),
        ((), ("shup",), "there is no namespace `shup` with services; did you mean `shop`?"),
        ((), ("elsewhere",), "there is no namespace `elsewhere` with services; there are bank, old, shop"),
    ],
)
def test_names_that_there_are_not(services: tuple[str, ...], namespaces: tuple[str, ...], message: str) -> None:
    with pytest.raises(FocusError) as error:
        focus_on(GRAPH, services, namespaces)
    assert error.value.message == message


def test_a_name_of_two_services() -> None:
    graph = graph_of("namespace a namespace b service web in a service web in b")
    with pytest.raises(FocusError, match=r"^`web` is ambiguous; write one of `a\.web`, `b\.web`$"):
        focus_on(graph, services=("web",))
    assert focus_on(graph, services=("b.web",)).subjects == {"service:b.web"}
