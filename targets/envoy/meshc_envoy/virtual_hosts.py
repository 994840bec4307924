"""Virtual hosts: which hosts of the one outbound HTTP listener mean which destination."""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from meshc import ir
from meshc.addresses import cluster_name, ordered_ports, service_names
from meshc.target import Json, PortKey
from meshc_envoy.callers import Caller
from meshc_envoy.conditions import atoms_of
from meshc_envoy.egress import is_wildcard
from meshc_envoy.reach import visible_routes
from meshc_envoy.routes import envoy_routes
from meshc_envoy.upstreams import Held

_CLOSED: Final = "closed/"
"""What the names of virtual hosts begin with that only refuse."""


def virtual_hosts(caller: Caller) -> list[Json]:
    """The virtual hosts of everything that speaks HTTP: services before externals, in the order of the mesh.

    A domain stands at the first virtual host that has it.
    """
    seen: set[str] = set()
    hosts: list[Json] = []
    for held, domains in (*_peer_domains(caller), *_external_domains(caller), *_named_domains(caller)):
        own = [domain for domain in domains if domain not in seen]
        seen.update(own)
        known = next((one for one in hosts if isinstance(one, dict) and one["name"] == held.name), None)
        if known is not None:
            known["domains"] = [*_texts(known["domains"]), *own]
        elif own:
            routes = envoy_routes(caller.resolver, held, caller.workload.identity)
            hosts.append({"name": held.name, "domains": list(own), "routes": routes})
    return [*hosts, *_closed_hosts(caller, seen)]


def _closed_hosts(caller: Caller, taken: AbstractSet[str]) -> Iterator[Json]:
    """Ports that the sidecar does not hold, of services of which it holds another: else their hosts would mean that one."""
    held = {one.key for one in caller.held}
    owners = {id(one.owner): one.owner for one in caller.held if isinstance(one.owner, ir.Workload)}
    for owner in owners.values():
        namesakes = caller.directory.namesakes[owner.name]
        names = service_names(caller.directory.mesh, caller.workload, owner, namesakes)
        for port in ordered_ports(owner.ports):
            if port.protocol.is_http and (owner.namespace, owner.name, port.number) not in held:
                domains: list[Json] = [one for one in _domains(names, port.number, any_port=False) if one not in taken]
                if domains:
                    name = cluster_name(owner.namespace, owner.name, port.number)
                    yield {"name": f"{_CLOSED}{name}", "domains": domains, "routes": []}


def host_keys(caller: Caller) -> dict[str, PortKey]:
    """The port that each virtual host stands for, by the virtual host's name."""
    owners = {id(one.owner): one.owner for one in caller.held if isinstance(one.owner, ir.Workload)}
    keys = [(owner.namespace, owner.name, port.number) for owner in owners.values() for port in owner.ports]
    return {f"{_CLOSED}{cluster_name(*key)}": key for key in keys} | {held.name: held.key for held in caller.held}


def _texts(value: Json) -> list[Json]:
    return list(value) if isinstance(value, list) else []


def _peer_domains(caller: Caller) -> Iterator[tuple[Held, list[str]]]:
    named: set[tuple[str, str]] = set()
    for held in caller.held:
        if isinstance(held.owner, ir.Workload) and held.port.protocol.is_http:
            namesakes = caller.directory.namesakes[held.owner.name]
            names = service_names(caller.directory.mesh, caller.workload, held.owner, namesakes)
            key = (held.owner.namespace, held.owner.name)
            yield held, _domains(names, held.port.number, any_port=key not in named)
            named.add(key)


def _domains(names: Iterable[str], port: int, *, any_port: bool) -> list[str]:
    """Envoy prefers an exact domain to one that ends in `*`, so a port's own name wins over another's any port."""
    return [
        domain
        for name in names
        for domain in ((name, f"{name}:{port}", f"{name}:*") if any_port else (f"{name}:{port}",))
    ]


def _external_domains(caller: Caller) -> Iterator[tuple[Held, list[str]]]:
    taken: set[str] = set()
    outside = [one for one in caller.held if isinstance(one.owner, ir.External) and one.port.protocol.is_http]
    # A host without a port means the port that speaks https, if there is one, else the first.
    for held in sorted(outside, key=lambda one: one.port.protocol is not ir.Protocol.HTTPS):
        domains = _domains_of_host(held.host or "", held.port, any_port=held.host not in taken)
        taken.update(domains)
        yield held, domains


def _domains_of_host(host: str, port: ir.PortPolicy, *, any_port: bool) -> list[str]:
    if not is_wildcard(host):
        return _domains([host], port.number, any_port=any_port)
    # The destination of such a request is its Host, whose port is then the one that is connected to.
    scheme_port = 443 if port.protocol is ir.Protocol.HTTPS else 80
    return [*([host] if any_port and port.number == scheme_port else []), f"{host}:{port.number}"]


def _named_domains(caller: Caller) -> Iterator[tuple[Held, list[str]]]:
    """Further hosts that a service's routes name, so that requests with them get there at all."""
    for held in caller.held:
        if isinstance(held.owner, ir.Workload) and held.port.protocol.is_http:
            names = [
                name
                for route in visible_routes(held.owner, held.port, caller.workload.identity)
                for atom in atoms_of(route.condition)
                if isinstance(atom, ir.HostIs)
                for name in hosts_of(atom.test)
            ]
            yield held, [domain for name in dict.fromkeys(names) for domain in _named(name, held.port.number)]


def hosts_of(test: ir.TextTest) -> tuple[str, ...]:
    """The hosts that a route's test names, and that lead to its port for that reason."""
    match test:
        case ir.Equals(host) if host:
            return (host,)
        case ir.EndsWith(host) if host.startswith(".") and len(host) > 1:
            return (f"*{host}",)
        case _:
            return ()


def _named(name: str, port: int) -> list[str]:
    return [name, f"{name}:{port}"] if is_wildcard(name) else _domains([name], port, any_port=True)


def largest_answer(routes: Iterable[ir.Route]) -> int:
    """The size in bytes of the largest body that a route answers with by itself."""
    bodies = (route.action.body for route in routes if isinstance(route.action, ir.Respond))
    return max((len(body.encode()) for body in bodies), default=0)
