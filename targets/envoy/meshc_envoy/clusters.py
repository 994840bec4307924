"""Clusters: the application behind a sidecar, peers, externals, and the servers that a sidecar itself asks."""

from ipaddress import ip_address
from typing import Final

from meshc import ir
from meshc.target import Json
from meshc_envoy.addresses import FIRST_INBOUND_PORT, cluster_name, ordered_ports, peer_addresses, service_host
from meshc_envoy.options import SocketAddress
from meshc_envoy.shapes import Object, seconds, socket_address

DEFAULT_CONNECT_TIMEOUT_MS: Final = 5_000
"""How long a connection may take to be established where the program does not say; a proxy must give up at some time."""

_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_UNBOUNDED: Final = 4_294_967_295
_EDS_SOURCE: Final[Object] = {"resource_api_version": "V3", "ads": {}}


_SERVER_NAMES: Final[Object] = {"upstream_http_protocol_options": {"auto_sni": True, "auto_san_validation": True}}


def http1(*, server_names: bool = False) -> Object:
    options: Object = {"explicit_http_config": {"http_protocol_options": {}}}
    return _protocol(options | (_SERVER_NAMES if server_names else {}))


def http2() -> Object:
    return _protocol({"explicit_http_config": {"http2_protocol_options": {}}})


def negotiated(*, server_names: bool = False) -> Object:
    """HTTP/2 or HTTP/1.1, by ALPN; with `server_names` SNI and verification follow each request's host."""
    options: Object = {"auto_config": {"http_protocol_options": {}, "http2_protocol_options": {}}}
    return _protocol(options | (_SERVER_NAMES if server_names else {}))


def _protocol(options: Object) -> Object:
    return {_HTTP_OPTIONS: {"@type": f"type.googleapis.com/{_HTTP_OPTIONS}", **options}}


def protocol_options(protocol: ir.Protocol) -> Object | None:
    """What a cluster speaks upstream for a port of this protocol; None for bytes."""
    match protocol:
        case ir.Protocol.HTTP:
            return http1()
        case ir.Protocol.HTTP2 | ir.Protocol.GRPC:
            return http2()
        case ir.Protocol.HTTPS:
            return negotiated()
        case ir.Protocol.TCP | ir.Protocol.TLS:
            return None


def alpn(protocol: ir.Protocol) -> tuple[str, ...]:
    """The application protocols that a caller's sidecar offers for a port of this protocol."""
    match protocol:
        case ir.Protocol.HTTP:
            return ("http/1.1",)
        case ir.Protocol.HTTP2 | ir.Protocol.GRPC:
            return ("h2",)
        case ir.Protocol.HTTPS:
            return ("h2", "http/1.1")
        case ir.Protocol.TCP | ir.Protocol.TLS:
            return ()


def cluster(
    name: str,
    endpoints: list[Object],
    *,
    by_name: bool = False,
    protocol: Object | None = None,
    socket: Object | None = None,
    connect_timeout_ms: int = DEFAULT_CONNECT_TIMEOUT_MS,
) -> Object:
    """A cluster with its own endpoints; `by_name` if some are DNS names."""
    result: Object = {
        "name": name,
        "type": "STRICT_DNS" if by_name else "STATIC",
        "connect_timeout": seconds(connect_timeout_ms),
        "circuit_breakers": unbounded(),
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": list(endpoints)}] if endpoints else [],
        },
    }
    return _with_transport(result, protocol, socket)


def _with_transport(result: Object, protocol: Object | None, socket: Object | None) -> Object:
    if socket is not None:
        result["transport_socket"] = socket
    if protocol is not None:
        result["typed_extension_protocol_options"] = protocol
    return result


def unbounded() -> Object:
    """No circuit breaker: Envoy's own defaults are bounds of 1024."""
    bounds = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    threshold: Object = {"priority": "DEFAULT", **dict.fromkeys(bounds, _UNBOUNDED)}
    return {"thresholds": [threshold]}


def lb_endpoint(host: str, port: int, weight: int = 1) -> Object:
    endpoint: Object = {"endpoint": {"address": socket_address(host, port)}}
    return endpoint | {"load_balancing_weight": weight} if weight != 1 else endpoint


def is_address(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def peer_cluster(mesh: ir.Mesh, workload: ir.Workload, port: ir.PortPolicy, socket: Object | None) -> Object:
    """The cluster of another workload's port: its sidecars' addresses, however they are found."""
    name = cluster_name(workload.namespace, workload.name, port.number)
    protocol = protocol_options(port.protocol)
    if workload.discovery is ir.Discovery.EDS:
        return _with_transport(_eds_cluster(name), protocol, socket)
    if workload.endpoints or workload.discovery is ir.Discovery.STATIC:
        peers = peer_addresses(workload, port)
        endpoints = [lb_endpoint(endpoint.host, number, endpoint.weight) for endpoint, number in peers]
        by_name = not all(is_address(endpoint.host) for endpoint, _ in peers)
        return cluster(name, endpoints, by_name=by_name, protocol=protocol, socket=socket)
    host = workload.dns_name if workload.dns_name is not None else service_host(mesh, workload)
    number = FIRST_INBOUND_PORT + ordered_ports(workload.ports).index(port)
    return named_cluster(name, SocketAddress(host=host, port=number), protocol=protocol, socket=socket)


def named_cluster(name: str, server: SocketAddress, *, protocol: Object | None, socket: Object | None) -> Object:
    """A cluster of one server, by name or address."""
    endpoints = [lb_endpoint(server.host, server.port)]
    return cluster(name, endpoints, by_name=not is_address(server.host), protocol=protocol, socket=socket)


def _eds_cluster(name: str) -> Object:
    eds: Json = {"eds_config": _EDS_SOURCE, "service_name": name}
    return {
        "name": name,
        "type": "EDS",
        "connect_timeout": seconds(DEFAULT_CONNECT_TIMEOUT_MS),
        "circuit_breakers": unbounded(),
        "eds_cluster_config": eds,
    }
