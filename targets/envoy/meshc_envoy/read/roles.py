"""What the parts of a sidecar are for that carry none of meshc's names: whose it is, and which listeners serve which ports.

Each answer is an assumption, which a person can check. What cannot be told has no role, and whoever reads it says so.

Source: Envoy `Node`, `Listener.traffic_direction`, `RouteAction.cluster_specifier`, `TcpProxy.cluster_specifier`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from meshc import ir
from meshc.addresses import FIRST_INBOUND_PORT, OUTBOUND_PORT, inbound_ports
from meshc.inventory.names import is_name
from meshc_envoy.read.bootstraps import Sidecar
from meshc_envoy.read.messages import Message, NotUnderstoodError
from meshc_envoy.read.notes import Notes
from meshc_envoy.read.process import is_local
from meshc_envoy.read.telemetry import shows_metrics

INBOUND: Final = "inbound/"
OUTBOUND: Final = "outbound/"
_NUMBERED: Final = "an inbound listener is called by its service's port, `inbound/<port>`"

_POD: Final = re.compile(r"sidecar~[^~]+~[^~.]+\.([^~.]+)~[^~]+")

_Workloads = Mapping[tuple[str, str], ir.Workload]


def give_roles(sidecars: Sequence[Sidecar], known: ir.Mesh, notes: Notes) -> None:
    """Say of each sidecar whose it is, and of its listeners which ports they serve; `known` are the declared services."""
    workloads = {(one.namespace, one.name): one for one in known.workloads}
    for car in sidecars:
        try:
            _settle_node(car, workloads, notes)
            _settle_listeners(car, workloads, notes)
        except NotUnderstoodError:
            continue  # whoever reads the listener says so


def owner_of(node: str) -> tuple[str, str] | None:
    """The namespace and name of the service that a node id says, if it says one."""
    namespace, _, name = node.partition("/")
    return (namespace, name) if is_name(namespace) and is_name(name) else None


def _settle_node(car: Sidecar, workloads: _Workloads, notes: Notes) -> None:
    """Without a node id that is a service's name, the node's cluster may be one."""
    if owner_of(car.node) is not None:
        return
    found = [one for one in workloads if car.cluster in {one[1], f"{one[1]}.{one[0]}"}]
    own = owner_of(car.cluster) or _of_pod(car)
    if own is not None:
        found = [own]
    if len(found) == 1:
        car.node = "/".join(found[0])
        text = f"the sidecar whose `node.cluster` is `{car.cluster}` is that of `{car.node}`"
        notes.assume(text, car.message.place("node"))


def _of_pod(car: Sidecar) -> tuple[str, str] | None:
    """The service `<name>.<namespace>` of a pod in the same namespace, as Istio writes node ids and clusters."""
    pod, cluster = _POD.fullmatch(car.node), car.cluster.split(".")
    if pod is None or len(cluster) != 2 or cluster[1] != pod[1]:
        return None
    return owner_of(f"{cluster[1]}/{cluster[0]}")


def _settle_listeners(car: Sidecar, workloads: _Workloads, notes: Notes) -> None:
    namespace, _, name = car.node.partition("/")
    workload = workloads.get((namespace, name))
    for place, listener in enumerate(car.listeners):
        bound = bound_port(listener)
        if bound is None or shows_metrics(listener):
            continue
        named = _named(listener) if workload is None else None
        if named is not None and bound >= FIRST_INBOUND_PORT:
            car.served[place] = named
            notes.assume(_NUMBERED, car.message.place("static_resources", "listeners"))
        elif not is_contracted(listener, workload) and is_inbound(listener, car) and leads_home(listener, car):
            numbers = {named or bound} if workload is None else _numbers(workload, bound)
            if len(numbers) == 1:
                car.served[place] = next(iter(numbers))
                text = f"the listener at port {bound} serves port {car.served[place]} of `{car.node}`"
                notes.assume(text, listener.span)


def bound_port(listener: Message) -> int | None:
    """The port that a listener is bound to, if it is bound to one."""
    address = listener.need("address").message("socket_address")
    return None if address is None else address.whole("port_value")


def is_contracted(listener: Message, workload: ir.Workload | None) -> bool:
    """Whether a listener is where sidecars of meshc's have one, or is called so."""
    ports = () if workload is None else workload.ports
    served = {number for port in ports if workload is not None for number in inbound_ports(workload, port)}
    return bound_port(listener) in {OUTBOUND_PORT, *served} or listener.text("name").startswith(OUTBOUND)


def is_inbound(listener: Message, car: Sidecar) -> bool:
    """Whether a listener takes what others send: it says so, or says nothing and passes all on to its own machine."""
    direction = listener.text("traffic_direction", "UNSPECIFIED")
    if direction != "UNSPECIFIED":
        return direction == "INBOUND"
    return not is_local(listener.need("address")) and leads_home(listener, car)


def leads_home(listener: Message, car: Sidecar) -> bool:
    """Whether all that a listener takes goes to the sidecar's own machine; else others borrow its identity."""
    clusters = [car.clusters.get(name) for name in led_to(listener)]
    return bool(clusters) and all(one is not None and _is_own(one) for one in clusters)


def led_to(listener: Message) -> Iterator[str]:
    """The clusters that the routes, mirrors and proxies of a listener name."""
    yield from routed(listener)
    for chain in listener.messages("filter_chains"):
        for one in chain.messages("filters"):
            yield from _clusters(one.config()[1])


def routed(listener: Message) -> Iterator[str]:
    """The clusters that a listener sends requests of HTTP to."""
    for chain in listener.messages("filter_chains"):
        for one in chain.messages("filters"):
            table = one.config()[1].message("route_config")
            for host in () if table is None else table.messages("virtual_hosts"):
                yield from forwarded_to(host)


def forwarded_to(host: Message) -> Iterator[str]:
    """The clusters that the routes and mirrors of a virtual host name."""
    for route in host.messages("routes"):
        action = route.message("route")
        if action is not None:
            yield from _clusters(action)
            yield from (one.text("cluster") for one in action.messages("request_mirror_policies"))


def _clusters(action: Message) -> Iterator[str]:
    split = action.message("weighted_clusters")
    if split is not None:
        yield from (one.text("name") for one in split.messages("clusters"))
    elif action.has("cluster"):
        yield action.text("cluster")


def _is_own(cluster: Message) -> bool:
    """Whether all endpoints of a cluster are on the sidecar's own machine."""
    assignment = cluster.message("load_assignment")
    groups = () if assignment is None else assignment.messages("endpoints")
    addresses = [one.need("endpoint").need("address") for group in groups for one in group.messages("lb_endpoints")]
    return bool(addresses) and all(one.has("pipe") or is_local(one) for one in addresses)


def _named(listener: Message) -> int | None:
    name = listener.text("name")
    number = name.removeprefix(INBOUND)
    return int(number) if name != number and number.isdecimal() else None


def _numbers(workload: ir.Workload, bound: int) -> set[int]:
    """The service ports that a listener may serve: by its target, or by its number."""
    return {port.number for port in workload.ports if bound in {port.number, port.target}}
