"""Objects for hosts that nobody knows, and workloads that are no pods."""

import pytest

from meshc.reading import Aspect
from meshc_harness.istio_live import object_text, read_live

ROUTE = "http: [{route: [{destination: {host: cart.shop.svc.cluster.local}}]}]"
WILD = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild, namespace: shop}
spec: {hosts: ['*.wild.example'], resolution: NONE, ports: [{number: 80, name: http, protocol: HTTP}]}
---
"""


@pytest.mark.parametrize(
    ("kind", "spec", "namespace", "is_said"),
    [
        ("VirtualService", f"{{hosts: [other], {ROUTE}}}", "shop", True),
        ("VirtualService", f"{{hosts: [other.example], {ROUTE}}}", "bank", True),
        ("VirtualService", f"{{hosts: [other], {ROUTE}}}", "elsewhere", False),
        ("VirtualService", f"{{hosts: [other, cart], {ROUTE}}}", "shop", False),
        ("VirtualService", f"{{hosts: ['*.svc.cluster.local'], {ROUTE}}}", "shop", False),
        ("VirtualService", f"{{{ROUTE}}}", "shop", False),
        ("DestinationRule", "{host: other}", "shop", True),
        ("DestinationRule", "{host: cart}", "shop", False),
        ("DestinationRule", "{host: '*.local'}", "shop", False),
    ],
)
def test_hosts_that_nobody_knows(kind: str, spec: str, namespace: str, is_said: bool) -> None:  # noqa: FBT001
    found = read_live(object_text(kind, spec, namespace=namespace)).unknown
    assert [one.ports for one in found] == ([()] if is_said else [])
    assert all("none of the known hosts" in one.message for one in found)


def test_a_host_within_a_known_wildcard_leaves_the_external_unknown() -> None:
    routes = object_text("VirtualService", f"{{hosts: [a.wild.example], {ROUTE}}}")
    (found,) = read_live(WILD + routes).unknown
    assert found.ports == (("shop", "wild", 80),)
    assert found.aspects == set(Aspect)
    (found,) = read_live(WILD + object_text("DestinationRule", "{host: a.wild.example}")).unknown
    assert (found.ports, found.aspects) == ((("shop", "wild", 80),), {Aspect.SETTINGS})


def test_workloads_that_are_no_pods_leave_their_service_unknown() -> None:
    entry = "{address: 1.2.3.4, labels: {app: cart}}"
    group = "{metadata: {labels: {app: cart, version: v1}}, template: {}}"
    for kind, spec in (("WorkloadEntry", entry), ("WorkloadGroup", group)):
        (found,) = read_live(object_text(kind, spec)).unknown
        assert set(found.ports or ()) == {("shop", "cart", 80), ("shop", "cart", 5432)}
        assert found.aspects == set(Aspect)
        assert not read_live(object_text(kind, spec.replace("app: cart", "app: other"))).unknown
        assert not read_live(object_text(kind, spec, namespace="bank")).unknown
