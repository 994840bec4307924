"""Where the clusters lead that carry none of meshc's names: told by their endpoints, and said as an assumption.

Only clusters that calls of the application are sent to are looked at; those of agents and of key sets are no destinations.

Source: Envoy `Cluster.load_assignment`; "DNS for Services and Pods" of Kubernetes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from meshc import ir
from meshc.inventory.names import is_name
from meshc_envoy.read.bootstraps import Destination, Sidecar
from meshc_envoy.read.clusters import CLUSTER_NAME, addresses_of
from meshc_envoy.read.messages import Message, NotUnderstoodError
from meshc_envoy.read.notes import Notes
from meshc_envoy.read.roles import bound_port, led_to, owner_of
from meshc_envoy.read.upstream_tls import server_of

_NO_NAME: Final = re.compile(r"[^a-z0-9-]")


@dataclass(slots=True)
class _Mesh:
    """What endpoints may be: ports of services, addresses of their sidecars, and hosts outside, with the names given to them.

    A service without ports is one that nothing but its callers tells of.
    """

    domain: str
    ports: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    listening: dict[tuple[str, int], Destination] = field(default_factory=dict)
    outside: dict[str, tuple[str, str]] = field(default_factory=dict)


def give_destinations(sidecars: Sequence[Sidecar], known: ir.Mesh, notes: Notes) -> None:
    """Say of the clusters of each sidecar where they lead, as far as their endpoints tell."""
    mesh = _Mesh(domain=known.cluster_domain)
    for one in known.workloads:
        mesh.ports[one.namespace, one.name] = {port.number for port in one.ports}
    for car in sidecars:
        _add(car, mesh)
    declared = {host for one in known.externals for host in one.hosts}
    for car in sidecars:
        names = {name for place, one in enumerate(car.listeners) if place not in car.served for name in _called(one)}
        for name in sorted(names & car.clusters.keys()):
            if CLUSTER_NAME.fullmatch(name) is None:
                _settle(car, name, mesh, declared, notes)


def _called(listener: Message) -> list[str]:
    try:
        return list(led_to(listener))
    except NotUnderstoodError:
        return []  # whoever reads the listener says so


def _add(car: Sidecar, mesh: _Mesh) -> None:
    owner = owner_of(car.node)
    if owner is None:
        return
    mesh.ports.setdefault(owner, set()).update(car.served.values())
    for place, number in car.served.items():
        host = car.listeners[place].need("address").need("socket_address").text("address")
        bound = bound_port(car.listeners[place])
        if bound is not None and _is_reached(host):
            mesh.listening[host, bound] = Destination(namespace=owner[0], service=owner[1], port=number)


def _settle(car: Sidecar, name: str, mesh: _Mesh, declared: set[str], notes: Notes) -> None:
    cluster = car.clusters[name]
    try:
        places = {(one.host.lower(), one.port) for one in addresses_of(cluster, car.endpoints)}
        is_inside = server_of(cluster)[0] is not None
    except NotUnderstoodError:
        return  # whoever reads the cluster says so
    if any(host in declared for host, _ in places):
        return
    found = {_destination(host, port, car, mesh, is_inside=is_inside) for host, port in places}
    one = next(iter(found), None)
    if len(found) != 1 or one is None:
        return
    car.destinations[name] = one
    at = f"`{one.host}`" if one.host is not None else f"`{one.namespace}/{one.service}`"
    notes.assume(f"the cluster `{name}` of `{car.node}` leads to port {one.port} of {at}", cluster.span)


def _destination(host: str, port: int, car: Sidecar, mesh: _Mesh, *, is_inside: bool) -> Destination | None:
    listener = mesh.listening.get((host, port))
    if listener is not None or _is_address(host):
        return listener
    namespace = car.node.partition("/")[0]
    service = service_of(host, namespace, mesh.domain)
    if service is not None and (service in mesh.ports or is_inside or host.count(".") != 1):
        numbers = mesh.ports.get(service)
        if not (is_name(service[0]) and is_name(service[1])) or (numbers is not None and port not in numbers):
            return None
        return Destination(namespace=service[0], service=service[1], port=port)
    if ".svc" in host or is_inside:
        return None
    key = mesh.outside.setdefault(host, (namespace, _NO_NAME.sub("-", host)))
    is_free = key not in mesh.ports and list(mesh.outside.values()).count(key) == 1
    return (
        None
        if not is_free or not all(map(is_name, key))
        else Destination(namespace=key[0], service=key[1], port=port, host=host)
    )


def service_of(host: str, namespace: str, domain: str) -> tuple[str, str] | None:
    """The service that a DNS name would be of, to a caller in a namespace; two labels may also be a host outside."""
    labels = host.removesuffix(f".svc.{domain}").removesuffix(".svc").split(".")
    match labels:
        case [name] if name and name == host:
            return namespace, name
        case [name, own] if name and own:
            return own, name
        case _:
            return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _is_reached(host: str) -> bool:
    """Whether others reach a listener at the address that it is bound to, and at this alone."""
    address = ip_address(host) if host != "localhost" and _is_address(host) else None
    return address is not None and not (address.is_unspecified or address.is_loopback)
