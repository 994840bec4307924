"""Clusters: the application behind a sidecar, peers, and the servers that a sidecar itself asks."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from meshc import ir
from meshc.addresses import FIRST_INBOUND_PORT, ordered_ports, peer_addresses, service_host
from meshc.source import BUILTIN
from meshc.target import Json
from meshc_envoy.balancing import Address, balance_fields, localities
from meshc_envoy.options import SocketAddress
from meshc_envoy.protocols import protocol_options
from meshc_envoy.resilience import circuit_breakers, health_fields
from meshc_envoy.shapes import Object, seconds
from meshc_envoy.upstreams import Upstream

DEFAULT_CONNECT_TIMEOUT_MS: Final = 5_000
"""How long a connection may take to be established where the program does not say; a proxy must give up at some time."""

_EDS_SOURCE: Final[Object] = {"resource_api_version": "V3", "ads": {}}


def cluster(
    name: str,
    addresses: Sequence[Address],
    *,
    protocol: Object | None = None,
    socket: Object | None = None,
    traffic: Object | None = None,
    groups: list[Json] | None = None,
) -> Object:
    """A cluster with its own endpoints. `traffic` are the fields that settings make (`traffic_fields`), `groups` the
    endpoints by locality where they are not one group.
    """
    by_name = not all(is_address(one.host) for one in addresses)
    endpoints = localities(addresses, None, None) if groups is None else groups
    return {
        "name": name,
        "type": "STRICT_DNS" if by_name else "STATIC",
        # Envoy would prefer IPv6, where sidecars do not listen and containers often have no way out.
        **({"dns_lookup_family": "V4_PREFERRED"} if by_name else {}),
        **(traffic or traffic_fields(ir.Settings())),
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
        **transport_fields(protocol, socket),
    }


def transport_fields(protocol: Object | None, socket: Object | None) -> Object:
    """How a cluster connects."""
    return {
        **({"transport_socket": socket} if socket is not None else {}),
        **({"typed_extension_protocol_options": protocol} if protocol is not None else {}),
    }


def connection_fields(settings: ir.Settings, budget: float | None = None) -> Object:
    """The fields of any cluster that settings of its port decide."""
    connect_timeout = settings.connect_timeout_ms or DEFAULT_CONNECT_TIMEOUT_MS
    breaker = settings.circuit_breaker or ir.CircuitBreaker(span=BUILTIN)
    return {
        "connect_timeout": seconds(connect_timeout),
        "circuit_breakers": circuit_breakers(breaker, budget),
    }


def traffic_fields(
    settings: ir.Settings,
    *,
    protocol: ir.Protocol = ir.Protocol.HTTP,
    host: str = "",
    budget: float | None = None,
) -> Object:
    """The fields of a cluster with endpoints of its own that settings of its port decide; `host` is what checks ask for."""
    return {
        **connection_fields(settings, budget),
        **balance_fields(settings.load_balance),
        **health_fields(settings, protocol, host),
    }


def is_address(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def peer_cluster(
    mesh: ir.Mesh,
    workload: ir.Workload,
    port: ir.PortPolicy,
    upstream: Upstream,
    *,
    socket: Object | None,
    zone: str | None,
) -> Object:
    """The cluster of another workload's port, or of one version of it, for a caller in `zone`: the addresses of its
    sidecars, however they are found.
    """
    host = service_host(mesh, workload)
    traffic = traffic_fields(port.settings, protocol=port.protocol, host=host, budget=upstream.budget)
    protocol = protocol_options(port.protocol)
    if workload.discovery is ir.Discovery.EDS:
        return _eds_cluster(upstream.name, traffic) | transport_fields(protocol, socket)
    addresses = _peers(mesh, workload, port, upstream.version)
    groups = localities(addresses, port.settings.locality, zone)
    return cluster(upstream.name, addresses, protocol=protocol, socket=socket, traffic=traffic, groups=groups)


def _peers(mesh: ir.Mesh, workload: ir.Workload, port: ir.PortPolicy, version: str | None) -> list[Address]:
    if workload.endpoints or workload.discovery is ir.Discovery.STATIC:
        return [
            Address(host=endpoint.host, port=number, weight=endpoint.weight, zone=endpoint.zone)
            for endpoint, number in peer_addresses(workload, port)
            if version in {None, endpoint.version}
        ]
    number = FIRST_INBOUND_PORT + ordered_ports(workload.ports).index(port)
    if version is None and workload.dns_name is not None:
        return [Address(host=workload.dns_name, port=number)]
    return [Address(host=service_host(mesh, workload, version), port=number)]


def named_cluster(
    name: str,
    server: SocketAddress,
    *,
    protocol: Object | None,
    socket: Object | None,
    traffic: Object | None = None,
) -> Object:
    """A cluster of one server, by name or address."""
    address = Address(host=server.host, port=server.port)
    return cluster(name, [address], protocol=protocol, socket=socket, traffic=traffic)


def _eds_cluster(name: str, traffic: Object) -> Object:
    eds: Json = {"eds_config": _EDS_SOURCE, "service_name": name}
    return {"name": name, "type": "EDS", **traffic, "eds_cluster_config": eds}
