"""Outbound: how a workload's application reaches other workloads and externals, and nothing that it may not reach.

HTTP of every kind goes to one listener, where the Host chooses the destination; every tcp and tls destination has a
listener of its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.target import Json
from meshc_envoy.access import HTTP_RBAC, StageRules, network_filters, stage_rules
from meshc_envoy.addresses import (
    OUTBOUND_PORT,
    cluster_name,
    external_cluster,
    service_names,
)
from meshc_envoy.clusters import alpn, peer_cluster
from meshc_envoy.connection_manager import outbound_manager, plain_route
from meshc_envoy.directory import Directory, Outside, Peer
from meshc_envoy.egress import dns_cache, external_upstream, is_wildcard, replaced_address
from meshc_envoy.options import EmitOptions
from meshc_envoy.queries import query_patterns, routes_by_patterns
from meshc_envoy.reach import stages_for
from meshc_envoy.requests import refusal_filter, stage_atoms
from meshc_envoy.shapes import Object, extension, socket_address, typed
from meshc_envoy.tls import TlsFiles, upstream_socket

_TCP_PROXY: Final = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_TLS_INSPECTOR: Final = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
_HTTP_DNS_PROXY: Final = "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig"
_SNI_DNS_PROXY: Final = "envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig"
_PER_ROUTE: Final = "envoy.extensions.filters.http.rbac.v3.RBACPerRoute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A workload as a caller. `address` is the one that its outbound listeners bind.

    `peers` and `externals` are the ports that it may reach at all.
    """

    directory: Directory
    workload: ir.Workload
    files: TlsFiles
    address: str
    options: EmitOptions
    peers: tuple[Peer, ...]
    externals: tuple[Outside, ...]


def caller_of(directory: Directory, workload: ir.Workload, files: TlsFiles, options: EmitOptions) -> Caller:
    """The workload as a caller, placed as the options say."""
    address = options.outbound_addresses.get((workload.namespace, workload.name), "127.0.0.1")
    peers, externals = directory.reachable(workload.identity)
    return Caller(
        directory=directory,
        workload=workload,
        files=files,
        address=address,
        options=options,
        peers=peers,
        externals=externals,
    )


def outbound_listeners(caller: Caller) -> list[Object]:
    """The HTTP listener and those of tcp and tls destinations."""
    inside = [_peer_listener(caller, *peer) for peer in caller.peers if not peer[1].protocol.is_http]
    outside = [
        _external_listener(caller, external, port, host)
        for external, port in caller.externals
        if not port.protocol.is_http
        for host in external.hosts
    ]
    return [_http_listener(caller), *inside, *outside]


def outbound_clusters(caller: Caller) -> list[Object]:
    """The clusters of every destination that a listener names."""
    inside = [_peer_cluster(caller, *peer) for peer in caller.peers]
    outside = [
        external_upstream(external, port, host, caller.options)
        for external, port in caller.externals
        for host in external.hosts
    ]
    return [*inside, *outside]


def _peer_cluster(caller: Caller, workload: ir.Workload, port: ir.PortPolicy) -> Object:
    is_plain = port.protocol is ir.Protocol.TLS or port.mtls is ir.MtlsMode.OFF
    socket = None if is_plain else upstream_socket(caller.files, alpn(port.protocol), workload.identity)
    return peer_cluster(caller.directory.mesh, workload, port, socket)


# ---- HTTP -----------------------------------------------------------------------------------------------------------


def _http_listener(caller: Caller) -> Object:
    inside = [peer for peer in caller.peers if peer[1].protocol.is_http]
    outside = [one for one in caller.externals if one[1].protocol.is_http]
    stages = {id(port): stages_for(caller.workload.identity, port.access) for _, port in outside}
    atoms = {id(port): stage_atoms(stages[id(port)]) for _, port in outside}
    per_port = {id(port): stage_rules(stages[id(port)], has_identities=True) for _, port in outside}
    labels = sorted({stage.label for rules in per_port.values() for stage in rules})
    hosts = [*_peer_hosts(caller, inside), *_external_hosts(outside, per_port, atoms)]
    filters: list[Json] = [
        refusal_filter(atom for found in atoms.values() for atom in found),
        *(extension(label, HTTP_RBAC) for label in labels),
        *_dns_filters(outside, caller.options),
    ]
    manager = outbound_manager("outbound", list(_without_clashes(hosts)), filters)
    return {
        "name": "outbound",
        "address": socket_address(caller.address, OUTBOUND_PORT),
        "traffic_direction": "OUTBOUND",
        "filter_chains": [{"filters": [manager]}],
    }


def _peer_hosts(caller: Caller, peers: Iterable[Peer]) -> list[Object]:
    hosts: list[Object] = []
    named: set[tuple[str, str]] = set()
    for workload, port in peers:
        names = service_names(
            caller.directory.mesh, caller.workload, workload, caller.directory.namesakes[workload.name]
        )
        cluster = cluster_name(workload.namespace, workload.name, port.number)
        key = (workload.namespace, workload.name)
        hosts.append(_virtual_host(cluster, _domains(names, port.number, any_port=key not in named)))
        named.add(key)
    return hosts


def _domains(names: Iterable[str], port: int, *, any_port: bool) -> list[str]:
    """Envoy prefers an exact domain to one that ends in `*`, so a port's own name wins over another's any port."""
    return [
        domain
        for name in names
        for domain in ((name, f"{name}:{port}", f"{name}:*") if any_port else (f"{name}:{port}",))
    ]


def _virtual_host(cluster: str, domains: list[str]) -> Object:
    return {"name": cluster, "domains": list(domains), "routes": [plain_route(cluster)]}


def _external_hosts(
    outside: Iterable[Outside], per_port: Mapping[int, tuple[StageRules, ...]], atoms: Mapping[int, tuple[ir.Atom, ...]]
) -> list[Object]:
    hosts: list[Object] = []
    # A host without a port means the port that speaks https, if there is one, else the first.
    for external, port in sorted(outside, key=lambda one: one[1].protocol is not ir.Protocol.HTTPS):
        overrides = {stage.label: _override(stage) for stage in per_port[id(port)]}
        for host in external.hosts:
            taken = {domain for one in hosts for domain in _domains_of(one)}
            any_port = host not in taken
            domains = _external_domains(host, port, any_port=any_port)
            name = external_cluster(external, port, host)
            routes = routes_by_patterns(plain_route(name), query_patterns(atoms[id(port)]))
            virtual_host = _virtual_host(name, domains) | {"routes": routes}
            if domains:
                hosts.append(virtual_host | ({"typed_per_filter_config": dict(overrides)} if overrides else {}))
    return hosts


def _external_domains(host: str, port: ir.PortPolicy, *, any_port: bool) -> list[str]:
    if not is_wildcard(host):
        return _domains([host], port.number, any_port=any_port)
    # The destination of such a request is its Host, whose port is then the one that is connected to.
    scheme_port = 443 if port.protocol is ir.Protocol.HTTPS else 80
    return [*([host] if any_port and port.number == scheme_port else []), f"{host}:{port.number}"]


def _domains_of(host: Object) -> list[str]:
    domains = host["domains"]
    return [str(domain) for domain in domains] if isinstance(domains, list) else []


def _without_clashes(hosts: list[Object]) -> Iterable[Json]:
    """Each domain at its first virtual host only: services before externals, in the order of the mesh."""
    seen: set[str] = set()
    for host in hosts:
        domains = [domain for domain in _domains_of(host) if domain not in seen]
        seen.update(domains)
        if domains:
            yield host | {"domains": list(domains)}


def _override(stage: StageRules) -> Json:
    return typed(_PER_ROUTE, rbac={"shadow_rules" if stage.shadow else "rules": stage.rules})


def _dns_filters(outside: Iterable[Outside], options: EmitOptions) -> list[Json]:
    wildcard = any(
        is_wildcard(host) and replaced_address(host, port, options) is None
        for external, port in outside
        for host in external.hosts
    )
    fields: Object = {"dns_cache_config": dns_cache()}
    return [extension("envoy.filters.http.dynamic_forward_proxy", _HTTP_DNS_PROXY, **fields)] if wildcard else []


# ---- bytes ----------------------------------------------------------------------------------------------------------


def _peer_listener(caller: Caller, workload: ir.Workload, port: ir.PortPolicy) -> Object:
    name = cluster_name(workload.namespace, workload.name, port.number)
    return _listener(caller, name, [{"filters": [_proxy(name)]}])


def _external_listener(caller: Caller, external: ir.External, port: ir.PortPolicy, host: str) -> Object:
    name = external_cluster(external, port, host)
    stages = stage_rules(stages_for(caller.workload.identity, port.access), has_identities=True)
    access = network_filters(stages, name)
    if port.protocol is ir.Protocol.TCP:
        return _listener(caller, name, [{"filters": [*access, _proxy(name)]}])
    by_name: list[Json] = []
    if is_wildcard(host) and replaced_address(host, port, caller.options) is None:
        fields: Object = {"dns_cache_config": dns_cache(), "port_value": port.number}
        by_name = [extension("envoy.filters.network.sni_dynamic_forward_proxy", _SNI_DNS_PROXY, **fields)]
    chain: Object = {
        "filter_chain_match": {"server_names": [host]},
        "filters": [*access, *by_name, _proxy(name)],
    }
    return _listener(caller, name, [chain]) | {
        "listener_filters": [extension("envoy.filters.listener.tls_inspector", _TLS_INSPECTOR)]
    }


def _listener(caller: Caller, name: str, chains: list[Json]) -> Object:
    return {
        "name": f"outbound/{name}",
        "address": socket_address(caller.address, caller.directory.tcp_ports[name]),
        "traffic_direction": "OUTBOUND",
        "filter_chains": list(chains),
    }


def _proxy(cluster: str) -> Object:
    return extension(
        "envoy.filters.network.tcp_proxy", _TCP_PROXY, stat_prefix=cluster, cluster=cluster, idle_timeout="0s"
    )
