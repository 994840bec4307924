"""The upstream side of externals: servers outside the mesh, by name, with TLS originated for https ports."""

from typing import Final

from meshc import ir
from meshc_envoy.clusters import connection_fields, named_cluster, traffic_fields, transport_fields
from meshc_envoy.options import EmitOptions, SocketAddress
from meshc_envoy.protocols import alpn, http1, negotiated, protocol_options
from meshc_envoy.shapes import Object, extension
from meshc_envoy.tls import open_origination_socket, origination_socket
from meshc_envoy.upstreams import Upstream

_DNS_CLUSTER: Final = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"


def is_wildcard(host: str) -> bool:
    """Whether a host stands for every name below it."""
    return host.startswith("*.")


def dns_cache() -> Object:
    """The shared cache of names that wildcard hosts were resolved to; the same wherever it is named."""
    return {"name": "externals", "dns_lookup_family": "V4_PREFERRED"}


def external_upstream(external: ir.External, port: ir.PortPolicy, upstream: Upstream, options: EmitOptions) -> Object:
    """The cluster of one host of an external's port."""
    host = upstream.host or external.hosts[0]
    socket = _socket(port, host, options)
    protocol = protocol_options(port.protocol)
    if is_wildcard(host):
        # Envoy demands it of such clusters, with or without TLS.
        protocol = _open_protocol(port.protocol)
        if replaced_address(host, port, options) is None:
            connection = connection_fields(port.settings, upstream.budget)
            return _dns_cache_cluster(upstream.name, connection) | transport_fields(protocol, socket)
    server = replaced_address(host, port, options) or SocketAddress(host=host, port=port.number)
    traffic = traffic_fields(port.settings, protocol=port.protocol, host=host, budget=upstream.budget)
    return named_cluster(upstream.name, server, protocol=protocol, socket=socket, traffic=traffic)


def _open_protocol(protocol: ir.Protocol) -> Object | None:
    if protocol is ir.Protocol.HTTPS:
        return negotiated(server_names=True)
    return http1(server_names=True) if protocol.is_http else None


def _dns_cache_cluster(name: str, connection: Object) -> Object:
    """A cluster whose hosts are resolved as requests name them."""
    return {
        "name": name,
        **connection,
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": extension("envoy.clusters.dynamic_forward_proxy", _DNS_CLUSTER, dns_cache_config=dns_cache()),
    }


def replaced_address(host: str, port: ir.PortPolicy, options: EmitOptions) -> SocketAddress | None:
    """The address that an emission gives in place of a host, for all its ports or for this one."""
    return options.external_addresses.get(f"{host}:{port.number}") or options.external_addresses.get(host)


def _socket(port: ir.PortPolicy, host: str, options: EmitOptions) -> Object | None:
    if port.protocol is not ir.Protocol.HTTPS:
        return None
    ca_file = port.settings.tls_ca_file or str(options.ca_file)
    if is_wildcard(host) and port.settings.tls_sni is None:
        return open_origination_socket(ca_file, alpn(port.protocol))
    return origination_socket(port.settings.tls_sni or host, ca_file, alpn(port.protocol))
