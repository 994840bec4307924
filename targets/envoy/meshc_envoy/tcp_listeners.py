"""Listeners of tcp and tls destinations: bytes, to the clusters of one port."""

from typing import Final

from meshc import ir
from meshc.target import Json
from meshc_envoy.access import network_filters, stage_rules
from meshc_envoy.access_logs import Logging, connection_logs
from meshc_envoy.callers import Caller
from meshc_envoy.egress import dns_cache, is_wildcard, replaced_address
from meshc_envoy.percentages import whole_weights
from meshc_envoy.reach import route_destinations, stages_for, visible_routes
from meshc_envoy.shapes import Object, extension, seconds, socket_address
from meshc_envoy.telemetry import outbound_point
from meshc_envoy.upstreams import Held

TCP_PROXY: Final = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_TLS_INSPECTOR: Final = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
_INSPECTOR: Final[Object] = {"listener_filters": [extension("envoy.filters.listener.tls_inspector", _TLS_INSPECTOR)]}
_SNI_DNS_PROXY: Final = "envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig"


def tcp_listener(caller: Caller, held: Held) -> Object:
    """The listener of a held port that is not HTTP."""
    point = outbound_point(caller.workload, held.key, caller.options.access_log)
    logging = connection_logs(point, held.name, is_encrypted=False)
    filters = [*logging.head, *_rules(caller, held, is_logged=bool(logging.loggers)), *_dns_filters(caller, held)]
    chain: Object = {"filters": [*filters, _proxy(caller, held, logging)]}
    inspector: Object = {}
    if isinstance(held.owner, ir.External) and held.port.protocol is ir.Protocol.TLS:
        chain = {"filter_chain_match": {"server_names": [held.host]}, **chain}
        inspector = _INSPECTOR
    elif held.port.protocol is ir.Protocol.TLS and _leads_outside(caller, held):
        # The rules of an external may ask for the server name, and what is not TLS has none.
        chain = {"filter_chain_match": {"transport_protocol": "tls"}, **chain}
        inspector = _INSPECTOR
    return {
        "name": f"outbound/{held.name}",
        "address": socket_address(caller.address, caller.directory.tcp_ports[held.name]),
        "traffic_direction": "OUTBOUND",
        **inspector,
        "filter_chains": [chain],
    }


def _leads_outside(caller: Caller, held: Held) -> bool:
    keys = [(one.namespace, one.service, one.port) for one in _route(caller, held)[1]]
    return any(isinstance(caller.directory.owners[key][0], ir.External) for key in keys)


def _rules(caller: Caller, held: Held, *, is_logged: bool) -> list[Json]:
    """The rules of the external that connections go to; `meshc_envoy.limits` refuses a split over externals with rules."""
    for destination in _route(caller, held)[1]:
        owner, port = caller.directory.owners[destination.namespace, destination.service, destination.port]
        if isinstance(owner, ir.External):
            own = stages_for(caller.workload.identity, port.access)
            stages = stage_rules(own, has_identities=True, is_named=is_logged)
            return network_filters(stages, held.name, is_logged=is_logged)
    return []


def _dns_filters(caller: Caller, held: Held) -> list[Json]:
    if held.host is None or not is_wildcard(held.host):
        return []
    if held.port.protocol is ir.Protocol.TCP or replaced_address(held.host, held.port, caller.options) is not None:
        return []
    fields: Object = {"dns_cache_config": dns_cache(), "port_value": held.port.number}
    return [extension("envoy.filters.network.sni_dynamic_forward_proxy", _SNI_DNS_PROXY, **fields)]


def _route(caller: Caller, held: Held) -> tuple[ir.Settings, tuple[ir.Destination, ...]]:
    """What becomes of a connection: the last route takes them all."""
    route = visible_routes(held.owner, held.port, caller.workload.identity)[-1]
    return route.settings, route_destinations(route)


def _proxy(caller: Caller, held: Held, logging: Logging) -> Object:
    settings, destinations = _route(caller, held)
    upstreams = [caller.resolver.upstream(held, one, settings) for one in destinations]
    return extension(
        "envoy.filters.network.tcp_proxy",
        TCP_PROXY,
        stat_prefix=held.name,
        **_clusters([one.name for one in upstreams], [one.weight for one in destinations]),
        idle_timeout=seconds(settings.idle_timeout_ms or 0),
        **_hashes(held.port),
        **({"access_log": list(logging.loggers)} if logging.loggers else {}),
    )


def _clusters(names: list[str], shares: list[float]) -> Object:
    if len(names) == 1:
        return {"cluster": names[0]}
    clusters: list[Json] = [
        {"name": name, "weight": weight} for name, weight in zip(names, whole_weights(shares), strict=True)
    ]
    return {"weighted_clusters": {"clusters": clusters}}


def _hashes(port: ir.PortPolicy) -> Object:
    balance = port.settings.load_balance
    return {} if balance is None or balance.hash_kind is None else {"hash_policy": [{"source_ip": {}}]}
