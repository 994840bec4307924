"""Outbound: how a workload's application reaches other workloads and externals, and nothing that it may not reach.

HTTP of every kind goes to one listener, where the Host chooses the destination; every tcp and tls destination has a
listener of its own.
"""

from collections.abc import Iterable

from meshc import ir
from meshc.addresses import OUTBOUND_PORT
from meshc.target import Json
from meshc_envoy.access import HTTP_RBAC
from meshc_envoy.access_logs import request_logs
from meshc_envoy.callers import Caller
from meshc_envoy.clusters import peer_cluster
from meshc_envoy.conditions import atoms_of
from meshc_envoy.connection_manager import outbound_manager
from meshc_envoy.egress import dns_cache, external_upstream, is_wildcard, replaced_address
from meshc_envoy.faults import fault_conditions, fault_count, fault_filters
from meshc_envoy.protocols import alpn
from meshc_envoy.reach import visible_routes
from meshc_envoy.requests import refusal_filter
from meshc_envoy.routes import used_upstreams
from meshc_envoy.shapes import Object, extension, socket_address
from meshc_envoy.tcp_listeners import tcp_listener
from meshc_envoy.telemetry import manager_fields, outbound_point, with_destinations
from meshc_envoy.tls import upstream_socket
from meshc_envoy.upstreams import Upstream
from meshc_envoy.virtual_hosts import host_keys, largest_answer, virtual_hosts

_HTTP_DNS_PROXY = "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig"


def outbound_listeners(caller: Caller) -> list[Object]:
    """The HTTP listener and those of tcp and tls destinations."""
    opaque = [tcp_listener(caller, held) for held in caller.held if not held.port.protocol.is_http]
    return [_http_listener(caller), *opaque]


def outbound_clusters(caller: Caller) -> list[Object]:
    """The clusters of everything that a listener sends to, those of workloads first, in the order of the mesh."""
    identity = caller.workload.identity
    used = {one for held in caller.held for one in used_upstreams(caller.resolver, held, identity)}
    places = caller.directory.places
    ordered = sorted(used, key=lambda one: (places[one.key], caller.host_place(one), one.name))
    return [_cluster(caller, upstream) for upstream in ordered]


def _cluster(caller: Caller, upstream: Upstream) -> Object:
    owner, port = caller.directory.owners[upstream.key]
    if isinstance(owner, ir.External):
        return external_upstream(owner, port, upstream, caller.options)
    is_plain = port.protocol is ir.Protocol.TLS or port.mtls is ir.MtlsMode.OFF
    socket = None if is_plain else upstream_socket(caller.files, alpn(port.protocol), owner.identity)
    return peer_cluster(caller.directory.mesh, owner, port, upstream, socket=socket, zone=caller.zone)


# ---- HTTP -----------------------------------------------------------------------------------------------------------


def _http_listener(caller: Caller) -> Object:
    routes = _http_routes(caller)
    point = outbound_point(caller.workload, None, caller.options.access_log)
    logging = request_logs(point)
    filters: list[Json] = [
        *logging.head,
        refusal_filter(_tested(caller, routes)),
        # An abort is an answer of the sidecar's own, which asks no rule.
        *fault_filters(fault_count(routes)),
        *(extension(label, HTTP_RBAC) for label in caller.stage_labels),
        *_dns_filters(caller),
    ]
    manager = outbound_manager(
        "outbound",
        with_destinations(caller.workload, virtual_hosts(caller), host_keys(caller)),
        filters,
        largest_answer=largest_answer(routes),
        has_timeouts=any(_can_time_out(route.settings) for route in routes),
        telemetry=manager_fields(caller.workload, point, logging),
    )
    return {
        "name": "outbound",
        "address": socket_address(caller.address, OUTBOUND_PORT),
        "traffic_direction": "OUTBOUND",
        "filter_chains": [{"filters": [manager]}],
    }


def _can_time_out(settings: ir.Settings) -> bool:
    per_try_ms = None if settings.retry is None else settings.retry.per_try_ms
    return any(one is not None for one in (settings.timeout_ms, settings.idle_timeout_ms, per_try_ms))


def _http_routes(caller: Caller) -> list[ir.Route]:
    return [
        route
        for held in caller.held
        if held.port.protocol.is_http
        for route in visible_routes(held.owner, held.port, caller.workload.identity)
    ]


def _tested(caller: Caller, routes: Iterable[ir.Route]) -> list[ir.Atom]:
    """Every atom that rules of externals, routes or faults test."""
    conditions = [condition for route in routes for condition in (route.condition, *fault_conditions(route.settings))]
    return [*caller.atoms, *(atom for condition in conditions for atom in atoms_of(condition))]


def _dns_filters(caller: Caller) -> list[Json]:
    wildcard = any(
        is_wildcard(held.host) and replaced_address(held.host, held.port, caller.options) is None
        for held in caller.held
        if held.host is not None
    )
    fields: Object = {"dns_cache_config": dns_cache()}
    return [extension("envoy.filters.http.dynamic_forward_proxy", _HTTP_DNS_PROXY, **fields)] if wildcard else []
