"""The directory: everything that has a host, and the host and port by which callers know it.

A service is called by its Kubernetes name. An external has one host or several; each of its ports keeps its number, but
https at 443 is called as plain HTTP at port 80, since the caller's proxy adds the TLS, unless port 80 is another one.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.target import PortKey

Owner = ir.Workload | ir.External
OwnerKey = tuple[str, str]
"""Namespace and name."""

_HTTP_PORT: Final = 80
_HTTPS_PORT: Final = 443


@dataclass(frozen=True, slots=True)
class Directory:
    """The mesh by keys.

    `budgets` is the smallest retry budget, in percent, of the routes that lead to an owner. `hosts` are all names that
    already mean something: those that Kubernetes' DNS makes of services, and those of externals.
    """

    mesh: ir.Mesh
    owners: Mapping[OwnerKey, Owner]
    ports: Mapping[PortKey, ir.PortPolicy]
    budgets: Mapping[OwnerKey, float]
    hosts: AbstractSet[str]

    def host(self, workload: ir.Workload) -> str:
        """The name under which Kubernetes knows a service."""
        return f"{workload.name}.{workload.namespace}.svc.{self.mesh.cluster_domain}"

    def port(self, destination: ir.Destination) -> ir.PortPolicy | None:
        """The port that a destination means; None if nothing declares it."""
        return self.ports.get((destination.namespace, destination.service, destination.port))


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """One port of an owner, as callers of the host `host` know it by the number `number`."""

    owner: Owner
    port: ir.PortPolicy
    host: str
    number: int


def make_directory(mesh: ir.Mesh) -> Directory:
    """The directory of a mesh."""
    everything: tuple[Owner, ...] = (*mesh.externals, *mesh.workloads)
    owners: dict[OwnerKey, Owner] = {(one.namespace, one.name): one for one in everything}
    ports = {(one.namespace, one.name, port.number): port for one in everything for port in one.ports}
    budgets: dict[OwnerKey, float] = {}
    for route in (route for owner in owners.values() for port in owner.ports for route in port.routes):
        retry = route.settings.retry
        if retry is None or retry.budget_percent is None or not isinstance(route.action, ir.Forward):
            continue
        for one in route.action.destinations:
            key = (one.namespace, one.service)
            budgets[key] = min(retry.budget_percent, budgets.get(key, retry.budget_percent))
    return Directory(mesh, owners, ports, budgets, frozenset(_hosts(mesh)))


def _hosts(mesh: ir.Mesh) -> Iterator[str]:
    for one in mesh.workloads:
        short = f"{one.name}.{one.namespace}"
        yield from (one.name, short, f"{short}.svc", f"{short}.svc.{mesh.cluster_domain}")
    for external in mesh.externals:
        yield from external.hosts


def is_wildcard(host: str) -> bool:
    """Whether a host stands for every name below it."""
    return host.startswith("*.")


def covers(pattern: str, host: str) -> bool:
    """Whether a host, perhaps a wildcard, is or holds the name `host`."""
    return pattern == host or (is_wildcard(pattern) and host.endswith(pattern[1:]))


def called_number(owner: Owner, port: ir.PortPolicy) -> int:
    """The number by which applications call a port."""
    is_https = port.protocol is ir.Protocol.HTTPS and port.number == _HTTPS_PORT
    if is_https and all(one.number != _HTTP_PORT for one in owner.ports):
        return _HTTP_PORT
    return port.number


def called_hosts(directory: Directory, owner: Owner) -> tuple[str, ...]:
    """The hosts of an owner, each of which has resources of its own."""
    return owner.hosts if isinstance(owner, ir.External) else (directory.host(owner),)


def called_ports(owner: Owner, host: str) -> tuple[Called, ...]:
    """The ports of an owner's host, by number."""
    ports = sorted(owner.ports, key=lambda port: port.number)
    return tuple(Called(owner=owner, port=port, host=host, number=called_number(owner, port)) for port in ports)


def destination_host(directory: Directory, called: Called, owner: Owner, settings: ir.Settings) -> str:
    """The host of `owner` that a request to `called` is sent to: the one it is rewritten to, its own, else the first."""
    if isinstance(owner, ir.Workload):
        return directory.host(owner)
    if settings.rewrite_host is not None:
        named = [host for host in owner.hosts if covers(host, settings.rewrite_host)]
        if named:
            return min(named, key=is_wildcard)
    return called.host if owner is called.owner else owner.hosts[0]
