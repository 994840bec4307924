"""Outbound listeners: one caller's view of the mesh."""

from collections.abc import Sequence
from dataclasses import replace

from meshc import ir
from meshc.addresses import OUTBOUND_PORT
from meshc.reading import Aspect
from meshc.target import PortKey
from meshc_envoy.read.atoms import Surroundings
from meshc_envoy.read.clusters import Addressed, Clusters
from meshc_envoy.read.http_chain import http_chain
from meshc_envoy.read.hygiene import check_manager, unsaid_bounds
from meshc_envoy.read.inbound import IGNORED, MANAGER, NETWORK_RBAC, TCP_PROXY
from meshc_envoy.read.messages import Message, NotUnderstoodError
from meshc_envoy.read.names import Names
from meshc_envoy.read.notes import LED_THERE, OWN_HOPS, PLAIN_HOSTS, PLAIN_PATHS, Notes
from meshc_envoy.read.process import check_listener_filters, is_local
from meshc_envoy.read.roles import OUTBOUND
from meshc_envoy.read.routes import Listening, View, route_list, tcp_routes
from meshc_envoy.read.rules import stage
from meshc_envoy.read.virtual_hosts import held

_STREAM_IDLE_MS = 300_000
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"
_OF_PATHS = {"prefix_rewrite", "regex_rewrite", "path_rewrite_policy", "path_rewrite", "hash_policy"}
_SNI_DNS = "envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig"


def read_outbound(
    listeners: Sequence[Message], view: View, clusters: Clusters, names: Names, notes: Notes
) -> tuple[ir.AccessLog, ...] | None:
    """Read what a sidecar's outbound listeners say into the view; the answer is what they log."""
    logs: tuple[ir.AccessLog, ...] | None = None
    for listener in listeners:
        try:
            found = _listener(listener, view, clusters, names, notes)
            logs = found if logs is None else logs
        except NotUnderstoodError as error:
            key = _listener_key(listener, names)
            notes.unknown(error, Aspect, None if key is None else (key,))
    return logs


def _listener(
    listener: Message, view: View, clusters: Clusters, names: Names, notes: Notes
) -> tuple[ir.AccessLog, ...] | None:
    listener.ignore("name", "traffic_direction")
    check_listener_filters(listener)
    if not is_local(listener.need("address")):
        raise listener.error("a listener that others reach lends them the caller's identity")
    chains = listener.messages("filter_chains")
    listener.finish()
    if len(chains) != 1:
        raise listener.error("an outbound listener with several chains is not understood")
    key = _listener_key(listener, names)
    _check_match(chains[0], key, clusters.addressed)
    filters = chains[0].messages("filters")
    chains[0].finish()
    stages: dict[str, ir.Stage] = {}
    for one in filters:
        name = one.text("name")
        kind, config = one.config()
        if kind == MANAGER:
            if len(filters) != 1:
                raise one.error("what is asked of connections before their requests is not understood")
            if listener.need("address").need("socket_address").whole("port_value") != OUTBOUND_PORT:
                notes.assume(LED_THERE, listener.span)
            return _manager(config, view, clusters, names, notes)
        if kind == NETWORK_RBAC:
            _network_stage(name, config, stages, notes)
        elif kind == TCP_PROXY:
            _bytes(config, key, stages, view, clusters)
        elif kind != _SNI_DNS:
            raise one.error(f"the network filter `{kind}` is not understood")
    if key is None and not listener.text("name").startswith(OUTBOUND):
        notes.assume(LED_THERE, listener.span)
    if not filters or filters[-1].config()[0] != TCP_PROXY:
        raise chains[0].error("the last filter of a chain should pass on what arrives", "filters")
    return None


def _listener_key(listener: Message, names: Names) -> PortKey | None:
    address = listener.need("address").message("socket_address")
    number = None if address is None else address.whole("port_value")
    return None if number is None else names.listeners.get(number)


def _check_match(chain: Message, key: PortKey | None, addressed: Addressed) -> None:
    match = chain.message("filter_chain_match")
    if match is None:
        return
    server_names = match.texts("server_names")
    if match.text("transport_protocol") not in {"", "raw_buffer", "tls"}:
        raise match.error("this choice of connections is not understood")
    match.finish()
    owner = None if key is None else addressed.owners[key][0]
    if server_names and not (isinstance(owner, ir.External) and set(server_names) <= set(owner.hosts)):
        raise match.error("a choice by server names is not understood")


def _network_stage(name: str, config: Message, stages: dict[str, ir.Stage], notes: Notes) -> None:
    config.ignore("stat_prefix")
    where = Surroundings(notes=notes, is_http=False)
    prefix = config.text("shadow_rules_stat_prefix")
    if config.has("rules"):
        config.ignore("shadow_rules")
        stages[name] = stage(config.need("rules"), where, shadow=False)
    elif config.has("shadow_rules") and prefix.startswith("shadow-"):
        stages[name] = stage(config.need("shadow_rules"), where, shadow=True)
    else:
        config.ignore("shadow_rules")
    config.finish()


def _bytes(config: Message, key: PortKey | None, stages: dict[str, ir.Stage], view: View, clusters: Clusters) -> None:
    routes, upstreams = tcp_routes(config, view, clusters)
    own = key or upstreams[0].key
    known = view.routes.setdefault(own, routes)
    if known != routes:
        raise config.error("hosts of one external that are reached differently are not understood")
    for one in upstreams:
        if isinstance(clusters.addressed.owners[one.key][0], ir.External):
            if view.stages.setdefault(one.key, stages) != stages:
                raise config.error("rules that differ by the listener are not understood")
        elif stages:
            raise config.error("rules of a caller for a service of the mesh are not understood")


def _manager(manager: Message, view: View, clusters: Clusters, names: Names, notes: Notes) -> tuple[ir.AccessLog, ...]:
    manager.ignore(*IGNORED)
    manager.ignore("tracing", "xff_num_trusted_hops")
    if manager.flag("strip_any_host_port"):
        raise manager.error("virtual hosts that are found without the port of a host are not understood")
    if manager.flag("use_remote_address") or not manager.flag("skip_xff_append"):
        # What the callee believes of `x-forwarded-for` would be the sidecar's word, not its application's.
        notes.assume(OWN_HOPS, manager.span)
    if not manager.flag("strip_trailing_host_dot"):
        notes.assume(PLAIN_HOSTS, manager.span)
    if manager.milliseconds("request_timeout"):
        raise manager.error("a time limit of what an application sends is not understood")
    _check_paths(manager, notes)
    idle = manager.milliseconds("stream_idle_timeout")
    check_manager(manager, notes, is_inbound=False, takes_upgrades=True)
    chain = http_chain(manager, notes, None, is_outbound=True)
    if any(not one.shadow for one in chain.stages) or chain.jwts:
        notes.unknown(manager.error("rules for all that an application sends are not understood"), Aspect, None)
    if chain.limits:
        error = manager.error("limits of all that an application sends are not understood")
        notes.unknown(error, (Aspect.ROUTING, Aspect.SETTINGS), None)
    for error in unsaid_bounds(manager):
        notes.unknown(error, (Aspect.SETTINGS,), None)
    table = manager.need("route_config")
    table.ignore("name", "validate_clusters", "max_direct_response_body_size_bytes")
    hosts = table.messages("virtual_hosts")
    table.finish()
    manager.finish()
    where = chain.where or Surroundings(notes=notes, is_http=True, is_outbound=True)
    idle_ms = _STREAM_IDLE_MS if idle is None else idle
    at = Listening(clusters=clusters, chain=chain, where=replace(where, is_outbound=True), idle_ms=idle_ms)
    for key, host in held(hosts, clusters, names, notes).items():
        try:
            routes = route_list(host, view, at)
        except NotUnderstoodError as error:
            notes.unknown(error, Aspect, (key[0],))
            continue
        if routes:
            known = view.routes.setdefault(key[0], routes)
            if known != routes:
                notes.unknown(host.error("hosts of one port that lead elsewhere are not understood"), Aspect, (key[0],))
    return chain.logs


def _check_paths(manager: Message, notes: Notes) -> None:
    """Raises NotUnderstoodError for paths that routes ask for as they were sent."""
    paths = (
        manager.flag("normalize_path"),
        manager.flag("merge_slashes"),
        manager.text("path_with_escaped_slashes_action"),
    )
    if paths != (True, True, "REJECT_REQUEST"):
        if _asks_paths(manager):
            raise manager.error("paths are not normalized as the language says")
        notes.assume(PLAIN_PATHS, manager.span)


def _asks_paths(manager: Message) -> bool:
    """Whether anything but the router may look at a path, or change it: no, where all routes take every path and pass it on."""
    filters = [one.config()[0] for one in manager.messages("http_filters")]
    routes = [one for host in manager.need("route_config").messages("virtual_hosts") for one in host.messages("routes")]
    is_plain = all(_takes_every_path(one) for one in routes)
    return not is_plain or any(one != _ROUTER for one in filters)


def _takes_every_path(route: Message) -> bool:
    match, action = route.need("match"), route.message("route")
    is_passed = action is not None and not action.data.keys() & _OF_PATHS
    headers = [one.text("name") for one in match.messages("headers")]
    is_any = match.text("prefix") == "/" and not match.has("query_parameters") and ":path" not in headers
    return is_any and (is_passed or route.has("direct_response"))
