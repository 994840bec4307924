"""What may leave the mesh: EgressNetworks, and which of several decides."""

from typing import Final

import pytest

from linkerd_calls import read_live
from meshc.reading import Aspect, Reading
from meshc.request import Request
from meshc.semantics import Evaluator

STRIPE: Final = ("bank", "stripe", 80)


def _network(namespace: str, policy: str = "Deny", name: str = "out") -> str:
    return (
        f"apiVersion: policy.linkerd.io/v1alpha1\nkind: EgressNetwork\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{trafficPolicy: {policy}}}"
    )


def _leaves(reading: Reading, namespace: str, name: str) -> bool | None:
    assert reading.unknown == ()
    request = Request(
        identity=f"spiffe://cluster.local/ns/{namespace}/sa/{name}",
        namespace="bank",
        service="stripe",
        port=80,
        method="GET",
        path="/",
        source_ip="10.0.0.1",
    )
    return Evaluator(reading.mesh).decide(request).allowed


@pytest.mark.parametrize(
    ("networks", "shop", "bank"),
    [
        ((), True, True),
        ((_network("bank"),), True, False),
        ((_network("bank"), _network("shop")), False, False),
        ((_network("linkerd-egress"),), False, False),
        # A namespace's own come before the one for all.
        ((_network("linkerd-egress"), _network("shop", "Allow")), True, False),
        ((_network("linkerd-egress", "Allow"), _network("shop")), False, True),
        ((_network("shop"), _network("shop", name="more")), False, True),
    ],
)
def test_who_gets_out(networks: tuple[str, ...], *, shop: bool, bank: bool) -> None:
    reading = read_live(*networks)
    assert (_leaves(reading, "shop", "web"), _leaves(reading, "bank", "pay")) == (shop, bank)


_ROUTE: Final = (
    "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TLSRoute\nmetadata: {name: r, namespace: shop}\n"
    "spec: {parentRefs: [{group: policy.linkerd.io, kind: EgressNetwork, name: out, port: 80}], rules: []}"
)


@pytest.mark.parametrize(
    "texts",
    [
        (_network("shop"), _network("shop", "Allow", "more")),
        (
            _network("shop"),
            _ROUTE,
        ),
    ],
    ids=["age decides", "a route lets out what is denied"],
)
def test_who_gets_out_is_not_known(texts: tuple[str, ...]) -> None:
    touched = {key for one in read_live(*texts).unknown if Aspect.ACCESS in one.aspects for key in one.ports or ()}
    assert touched == {STRIPE}
