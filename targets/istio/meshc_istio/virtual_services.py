"""VirtualServices: one for each host, with the routes of all of its ports.

There is one even where a service has no traffic block: without it, Istio would retry requests by itself.
"""

from collections.abc import Iterator
from typing import assert_never

from meshc import ir
from meshc_istio.callers import Census
from meshc_istio.connection_routes import tcp_routes, tls_routes
from meshc_istio.directory import Called, Directory, Owner, called_ports, covers
from meshc_istio.http_routes import http_routes
from meshc_istio.obstacles import Obstacle
from meshc_istio.resources.networking import HttpRoute, TcpRoute, TlsRoute, VirtualServiceSpec

Routes = tuple[HttpRoute | TcpRoute | TlsRoute, ...]


def virtual_service_spec(
    directory: Directory, census: Census, owner: Owner, host: str
) -> VirtualServiceSpec | Obstacle | None:
    """The routes of a host of the owner; None where it needs none."""
    http: list[HttpRoute] = []
    tls: list[TlsRoute] = []
    tcp: list[TcpRoute] = []
    for called in called_ports(owner, host):
        found = port_routes(directory, census, called)
        if isinstance(found, Obstacle):
            return found
        for route in found:
            match route:
                case HttpRoute():
                    http.append(route)
                case TlsRoute():
                    tls.append(route)
                case TcpRoute():
                    tcp.append(route)
                case _:
                    assert_never(route)
    if not http and not tls and not tcp:
        return None
    hosts = (host, *named_hosts(directory, owner))
    return VirtualServiceSpec(hosts=hosts, http=tuple(http) or None, tls=tuple(tls) or None, tcp=tuple(tcp) or None)


def port_routes(directory: Directory, census: Census, called: Called) -> Routes | Obstacle:
    """The routes of one port."""
    match called.port.protocol:
        case ir.Protocol.TCP:
            return tcp_routes(directory, census, called)
        case ir.Protocol.TLS:
            return tls_routes(directory, census, called)
        case ir.Protocol.HTTP | ir.Protocol.HTTP2 | ir.Protocol.GRPC | ir.Protocol.HTTPS:
            return http_routes(directory, census, called)
        case _:
            assert_never(called.port.protocol)


# ---- further hosts --------------------------------------------------------------------------------------------------


def named_hosts(directory: Directory, owner: Owner) -> tuple[str, ...]:
    """Hosts that the routes of a service name, and that lead to it for that reason, sorted.

    A name that already means a service or an external stays with that.
    """
    if isinstance(owner, ir.External):
        return ()
    found = {name for port in owner.ports for route in port.routes for name in condition_hosts(route.condition)}
    own = sorted(found - directory.hosts)
    return tuple(name for name in own if not any(other != name and covers(other, name) for other in own))


def condition_hosts(condition: ir.Condition) -> Iterator[str]:
    """The hosts that a route's condition names, wildcards for what they end in."""
    match condition:
        case ir.AllOf(conditions) | ir.AnyOf(conditions):
            for part in conditions:
                yield from condition_hosts(part)
        case ir.Not(inner):
            yield from condition_hosts(inner)
        case ir.HostIs(ir.Equals(host)) if host:
            yield host
        case ir.HostIs(ir.EndsWith(host)) if host.startswith(".") and len(host) > 1:
            yield f"*{host}"
        case _:
            return
