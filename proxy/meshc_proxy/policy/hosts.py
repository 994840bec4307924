"""Which destination a host means to a caller, on the one listener that takes all of an application's HTTP calls.

A service goes by its names in `meshc.addresses`, alone (its first port) or with a port; an external by its hosts. An exact
host with its port comes before a host alone, and both before a wildcard, whose longest match counts.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from meshc.addresses import ordered_ports, service_names
from meshc.ir import (
    AllOf,
    AnyOf,
    Condition,
    EndsWith,
    Equals,
    External,
    HostIs,
    Mesh,
    Not,
    PortPolicy,
    Protocol,
    Workload,
)
from meshc.target import PortKey

_WILDCARD = "*."
_SCHEME_PORTS = {Protocol.HTTPS: 443}
_HTTP_PORT = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """A destination; `host` is the external's host that was asked for, None for services."""

    key: PortKey
    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The hosts that a caller may ask for; ports are None where any is meant."""

    exact: Mapping[tuple[str, int | None], Meant]
    wildcards: Mapping[tuple[str, int | None], Meant]

    def find(self, authority: bytes) -> Meant | None:
        """What an authority means, with its port or without."""
        host, port = _split(authority.decode("latin-1").lower())
        for number in (port, None):
            found = self.exact.get((host, number))
            if found is not None:
                return found
        return self._wild(host, port)

    def _wild(self, host: str, port: int | None) -> Meant | None:
        suffix = host
        while "." in suffix:
            suffix = suffix.partition(".")[2]
            found = self.wildcards.get((f".{suffix}", port))
            if found is not None:
                return found if found.host is None else Meant(key=found.key, host=host)
        return None


def hosts_of(mesh: Mesh, caller: Workload) -> Hosts:
    """All hosts that mean something to a caller; services come before externals, and what is first stays."""
    exact: dict[tuple[str, int | None], Meant] = {}
    wildcards: dict[tuple[str, int | None], Meant] = {}
    named = {(one.namespace, one.name): [w for w in mesh.workloads if w.name == one.name] for one in mesh.workloads}
    for name, port, meant in (*_services(mesh, caller, named), *_externals(mesh), *_routed(mesh)):
        if name.startswith("*"):
            wildcards.setdefault((name[1:], port), meant)
        else:
            exact.setdefault((name, port), meant)
    return Hosts(exact=exact, wildcards=wildcards)


def listed_hosts(mesh: Mesh, domains: Mapping[str, PortKey]) -> Hosts:
    """The hosts that configuration lists, in Envoy's forms: `cart`, `cart:80`, `cart:*`, `*.example.com`."""
    outside = {(one.namespace, one.name): one.hosts for one in mesh.externals}
    exact: dict[tuple[str, int | None], Meant] = {}
    wildcards: dict[tuple[str, int | None], Meant] = {}
    for domain, key in domains.items():
        host, port = _split(domain.removesuffix(":*").lower())
        hosts = outside.get(key[:2], ())
        meant = Meant(key=key, host=next((one for one in hosts if one == host), hosts[0] if hosts else None))
        if host.startswith("*"):
            wildcards.setdefault((host[1:], port), meant)
        else:
            exact.setdefault((host, port), meant)
    return Hosts(exact=exact, wildcards=wildcards)


def _services(
    mesh: Mesh, caller: Workload, named: Mapping[tuple[str, str], list[Workload]]
) -> Iterator[tuple[str, int | None, Meant]]:
    for workload in mesh.workloads:
        names = service_names(mesh, caller, workload, named[workload.namespace, workload.name])
        first = True
        for port in _http(workload):
            meant = Meant(key=(workload.namespace, workload.name, port.number))
            for name in names:
                yield name, port.number, meant
                if first:
                    yield name, None, meant
            first = False


def _externals(mesh: Mesh) -> Iterator[tuple[str, int | None, Meant]]:
    ports = [(one, port) for one in mesh.externals for port in _http(one)]
    # A host without a port means the port that speaks https, if there is one, else the first.
    for external, port in sorted(ports, key=lambda pair: pair[1].protocol is not Protocol.HTTPS):
        key = (external.namespace, external.name, port.number)
        for host in external.hosts:
            yield host, port.number, Meant(key=key, host=host)
            if not host.startswith(_WILDCARD) or port.number == _SCHEME_PORTS.get(port.protocol, _HTTP_PORT):
                yield host, None, Meant(key=key, host=host)


def _routed(mesh: Mesh) -> Iterator[tuple[str, int | None, Meant]]:
    """Further hosts that a service's routes name, so that requests with them get there at all."""
    for workload in mesh.workloads:
        for port in _http(workload):
            meant = Meant(key=(workload.namespace, workload.name, port.number))
            for route in port.routes:
                for host in _tested(route.condition):
                    yield host, port.number, meant
                    yield host, None, meant


def _tested(condition: Condition) -> Iterable[str]:
    match condition:
        case AllOf(conditions=parts) | AnyOf(conditions=parts):
            return [host for part in parts for host in _tested(part)]
        case Not(condition=inner):
            return _tested(inner)
        case HostIs(test=Equals(value=host)) if host:
            return (host,)
        case HostIs(test=EndsWith(value=host)) if host.startswith(".") and len(host) > 1:
            return (f"*{host}",)
        case _:
            return ()


def _http(owner: Workload | External) -> list[PortPolicy]:
    return [port for port in ordered_ports(owner.ports) if port.protocol.is_http]


def _split(authority: str) -> tuple[str, int | None]:
    if authority.endswith("]"):
        return authority, None
    host, colon, port = authority.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal():
        return authority.removesuffix("."), None
    return host.removesuffix("."), int(port)
