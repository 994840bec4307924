"""Inbound listeners as ports: who may connect, what is asked of requests, and where they go then."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from meshc import ir
from meshc.reading import Aspect
from meshc.target import PortKey
from meshc_envoy.read.atoms import Surroundings
from meshc_envoy.read.clusters import Clusters
from meshc_envoy.read.http_chain import RBAC, HttpChain, http_chain
from meshc_envoy.read.hygiene import check_manager, unsaid_bounds
from meshc_envoy.read.identity_guard import check_identity_guard
from meshc_envoy.read.messages import Message, NotUnderstoodError
from meshc_envoy.read.notes import EARLY, ONE_IDENTITY, PLAIN_HOSTS, PLAIN_PATHS, Notes
from meshc_envoy.read.process import check_inspection, check_listener_filters
from meshc_envoy.read.route_marks import RouteMarks
from meshc_envoy.read.rules import stage
from meshc_envoy.read.transport import Mutual, mutual

MANAGER: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
TCP_PROXY: Final = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
NETWORK_RBAC: Final = "envoy.extensions.filters.network.rbac.v3.RBAC"
_PATHS: Final = {"normalize_path": True, "merge_slashes": True, "path_with_escaped_slashes_action": "REJECT_REQUEST"}
_TIME_LIMIT: Final = "a time limit of the server's side cannot be said"
_NO_IDENTITY: Final = ir.Principals((ir.AnyPeer(),), (ir.AnyIdentity(),))

IGNORED: Final = (
    "stat_prefix",
    "codec_type",
    "forward_client_cert_details",
    "set_current_client_cert_details",
    "local_reply_config",
    "early_header_mutation_extensions",
    "common_http_protocol_options",
    "http2_protocol_options",
    "server_header_transformation",
    "server_name",
    "generate_request_id",
    "preserve_external_request_id",
    "request_id_extension",
    "upgrade_configs",
    "skip_xff_append",
    "always_set_request_id_in_response",
)
"""Fields of a connection manager that change no decision: names, headers that it adds or drops, and words of its answers."""


@dataclass(slots=True)
class Chain:
    """What one filter chain decides; `mutual` is None in plaintext, `target` the application's port.

    `unsaid` is what it does beside that no program says: limits of time, and of connections to the application.
    """

    mutual: Mutual | None
    is_passthrough: bool
    is_http: bool = False
    stages: tuple[ir.Stage, ...] = ()
    http: HttpChain = field(default_factory=HttpChain)
    hops: int | None = None
    target: int | None = None
    is_http2: bool = False
    unsaid: list[NotUnderstoodError] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A port as it was read; `hops` and `domains` are what it says of the mesh, None for nothing."""

    port: ir.PortPolicy
    hops: int | None
    domains: tuple[str, ...] | None
    logs: tuple[ir.AccessLog, ...] | None


def inbound_port(
    listener: Message, known: ir.PortPolicy | None, key: PortKey, clusters: Clusters, notes: Notes
) -> Inbound:
    """The port behind a listener; what is not understood is noted."""
    listener.ignore("name", "address", "additional_addresses", "traffic_direction", "access_log")
    listener.ignore("continue_on_listener_filters_timeout", "listener_filters_timeout")
    chains: list[Chain] = []
    for one in listener.messages("filter_chains"):
        try:
            found = _chain(one, key, clusters, notes)
            chains.append(found)
            for error in found.unsaid:
                notes.unknown(error, (Aspect.SETTINGS,), (key,))
        except NotUnderstoodError as error:
            notes.unknown(error, Aspect, (key,))
    try:
        check_listener_filters(listener)
        check_inspection(listener)
        listener.finish()
    except NotUnderstoodError as error:
        notes.unknown(error, Aspect, (key,))
    try:
        return _port(listener, known, key, chains)
    except NotUnderstoodError as error:
        notes.unknown(error, Aspect, (key,))
        return Inbound(
            port=_of(listener, known, key, chains, ir.MtlsMode.PERMISSIVE), hops=None, domains=None, logs=None
        )


# ---- chains ---------------------------------------------------------------------------------------------------------


def _chain(chain: Message, key: PortKey, clusters: Clusters, notes: Notes) -> Chain:
    chain.ignore("name")
    encrypted = mutual(chain, notes)
    transport = _transport(chain)
    if transport == "raw_buffer" and encrypted is not None:
        raise chain.error("a chain for plaintext that speaks tls takes no connection")
    found = Chain(mutual=encrypted, is_passthrough=transport == "tls" and encrypted is None)
    filters = chain.messages("filters")
    chain.finish()
    has_identities = encrypted is not None
    where = Surroundings(notes=notes, is_http=False)
    stages: list[ir.Stage] = []
    if encrypted is not None and encrypted.admitted is not None:
        rule = ir.Rule(
            identifier="handshake", principals=ir.Principals(encrypted.admitted), condition=ir.ALWAYS, span=chain.span
        )
        stages.append(ir.Stage(effect=ir.Effect.ALLOW, rules=(rule,), span=chain.span))
    kinds = [one.config()[0] for one in filters]
    if not kinds or kinds[-1] not in {MANAGER, TCP_PROXY} or any(one in {MANAGER, TCP_PROXY} for one in kinds[:-1]):
        raise chain.error("the last filter of a chain, and no other, should pass on what arrives", "filters")
    if has_identities and not any(one.config()[1].has("matcher") for one in filters):
        notes.assume(ONE_IDENTITY, chain.span)
    asked = any(one.config()[1].has("rules") for one in filters)
    for one in filters:
        kind, config = one.config()
        match kind:
            case _ if kind == MANAGER:
                found.is_http = True
                _manager(config, found, key, clusters, notes)
                stages += found.http.stages
            case _ if kind == TCP_PROXY:
                _proxy(config, found, clusters, notes, is_decided=not asked or _is_admitted(encrypted))
            case _ if kind == NETWORK_RBAC and config.has("matcher"):
                check_identity_guard(config)
                if not has_identities:
                    raise one.error("a certificate is asked for where callers show none")
            case _ if kind == NETWORK_RBAC:
                stages += _network_stages(config, where)
            case _:
                raise one.error(f"the network filter `{kind}` is not understood")
    found.stages = tuple(_seen(stages, has_identities=has_identities))
    return found


def _is_admitted(encrypted: Mutual | None) -> bool:
    """Whether a handshake admits those alone whom the program names."""
    return encrypted is not None and encrypted.admitted is not None


def _transport(chain: Message) -> str:
    match = chain.message("filter_chain_match")
    if match is None:
        return ""
    found = match.text("transport_protocol")
    match.finish()
    if found not in {"", "raw_buffer", "tls"}:
        raise match.error(f"the transport protocol `{found}` is not understood", "transport_protocol")
    return found


def _network_stages(config: Message, where: Surroundings) -> list[ir.Stage]:
    """Shadow rules for logs alone are no shadow rules of the program: their names begin with the log's."""
    config.ignore("stat_prefix", "enforcement_type", "delay_deny")
    prefix = config.text("shadow_rules_stat_prefix")
    found: list[ir.Stage] = []
    if config.has("shadow_rules"):
        shadow = config.need("shadow_rules")
        if prefix.startswith("shadow-") or not prefix:
            found.append(stage(shadow, where, shadow=True))
    if config.has("rules"):
        found.append(stage(config.need("rules"), where, shadow=False))
    config.finish()
    return [one for one in found if one.rules or (one.effect is ir.Effect.ALLOW and not one.shadow)]


def _seen(stages: Sequence[ir.Stage], *, has_identities: bool) -> list[ir.Stage]:
    """The stages as a chain asks them; without identities only rules for everybody can match."""
    seen: list[ir.Stage] = []
    for one in stages:
        rules = one.rules
        if not has_identities:
            rules = tuple(
                replace(rule, principals=ir.Principals((ir.AnyPeer(),)))
                for rule in rules
                if ir.AnyPeer() in rule.principals.include and ir.AnyPeer() not in rule.principals.exclude
            )
        if rules or (one.effect is ir.Effect.ALLOW and not one.shadow):
            seen.append(replace(one, rules=rules))
    return [one for place, one in enumerate(seen) if one not in seen[:place]]


def _proxy(config: Message, found: Chain, clusters: Clusters, notes: Notes, *, is_decided: bool) -> None:
    config.ignore("stat_prefix", "max_early_data_bytes", "access_log")
    mode = config.text("upstream_connect_mode", "IMMEDIATE")
    # Rules wait for a caller's first byte; only a handshake decides before.
    if mode != "ON_DOWNSTREAM_DATA" and not (mode == "ON_DOWNSTREAM_TLS_HANDSHAKE" and is_decided):
        notes.assume(EARLY, config.span)
    if config.milliseconds("idle_timeout") != 0:
        found.unsaid.append(config.error(_TIME_LIMIT))
    found.target = clusters.application(config.text("cluster"), config, found.unsaid)[0]
    config.finish()


def _manager(manager: Message, found: Chain, key: PortKey, clusters: Clusters, notes: Notes) -> None:
    manager.ignore(*IGNORED, "tracing")
    old = manager.message("http_protocol_options")
    if old is not None:
        old.ignore("enable_trailers", "header_key_format", "accept_http_10")
        old.finish()
    hops = manager.whole("xff_num_trusted_hops") or 0
    is_edge = manager.flag("use_remote_address")
    hosts = manager.flag("strip_any_host_port"), manager.flag("strip_trailing_host_dot")
    paths = {name: manager.data.get(name) for name in _PATHS}
    manager.ignore(*_PATHS)
    routes = _application_routes(manager, found, clusters)
    check_manager(manager, notes, is_inbound=True, takes_upgrades=not found.is_http2)
    marks = RouteMarks(routes)
    found.http = http_chain(manager, notes, (key,), is_outbound=False, metadata=marks.condition)
    found.hops = hops
    rules = [rule.condition for one in found.http.stages for rule in one.rules]
    conditions = (*rules, *(one.condition for one in found.http.limits), *(one.condition for one in found.http.logs))
    atoms = [atom for one in conditions for atom in atoms_of(one)]
    kinds = {type(atom) for atom in atoms}
    if paths != _PATHS:
        if ir.PathIs in kinds:
            raise manager.error("paths are tested that are not normalized as the language says")
        notes.assume(PLAIN_PATHS, manager.span)
    if not is_edge and any(isinstance(atom, ir.AddressIn) for atom in atoms):
        raise manager.error("addresses are tested that a caller may forge, without `use_remote_address`")
    if hosts != (True, True):
        if ir.HostIs in kinds:
            raise manager.error("hosts are tested with their ports or dots")
        notes.assume(PLAIN_HOSTS, manager.span)
    if manager.milliseconds("stream_idle_timeout") != 0 or manager.milliseconds("request_timeout"):
        found.unsaid.append(manager.error(_TIME_LIMIT))
    found.unsaid += unsaid_bounds(manager)
    manager.finish()


def atoms_of(condition: ir.Condition) -> list[ir.Atom]:
    """All atoms of a condition."""
    match condition:
        case ir.AllOf(parts) | ir.AnyOf(parts):
            return [atom for part in parts for atom in atoms_of(part)]
        case ir.Not(inner):
            return atoms_of(inner)
        case _:
            return [condition]


def _application_routes(manager: Message, found: Chain, clusters: Clusters) -> tuple[Message, ...]:
    table = manager.need("route_config")
    table.ignore("name", "validate_clusters")
    hosts = table.messages("virtual_hosts")
    table.finish()
    if len(hosts) != 1 or hosts[0].texts("domains") != ("*",):
        raise table.error("a server that tells hosts apart is not understood")
    hosts[0].ignore("name", "metadata")
    if any(not one.lower().startswith("x-envoy-") for one in hosts[0].texts("request_headers_to_remove")):
        found.unsaid.append(hosts[0].error("headers that the application does not get cannot be said"))
    routes = hosts[0].messages("routes")
    hosts[0].finish()
    led: set[tuple[int, bool]] = set()
    for one in routes:
        one.ignore("name", "match", "metadata")
        action = one.need("route")
        found.target, found.is_http2 = clusters.application(action.text("cluster"), action, found.unsaid)
        led.add((found.target, found.is_http2))
        if len(led) > 1:
            raise action.error("a server that sends requests to several applications is not understood")
        if action.milliseconds("timeout") != 0 or action.milliseconds("idle_timeout") != 0:
            found.unsaid.append(action.error(_TIME_LIMIT))
        action.finish()
        one.finish()
    if not routes or dict(routes[-1].need("match").data) != {"prefix": "/"}:
        raise hosts[0].error("a server that takes some paths alone is not understood")
    return routes


# ---- the port -------------------------------------------------------------------------------------------------------


def _port(listener: Message, known: ir.PortPolicy | None, key: PortKey, chains: Sequence[Chain]) -> Inbound:
    encrypted = [one for one in chains if one.mutual is not None]
    plain = [one for one in chains if one.mutual is None]
    if not chains or len(encrypted) > 1 or len(plain) > 1:
        raise listener.error("this choice of filter chains is not understood")
    if encrypted and plain and plain[0].is_passthrough:
        raise listener.error("this choice of filter chains is not understood")
    mode = ir.MtlsMode.OFF if not encrypted else ir.MtlsMode.PERMISSIVE if plain else ir.MtlsMode.STRICT
    if plain and plain[0].is_passthrough:
        mode = ir.MtlsMode.PERMISSIVE  # which means nothing where TLS is passed through
    first, last = chains[0], chains[-1]
    if _beside_rules(first) != _beside_rules(last):
        raise listener.error("two chains of a port that count, verify, log or lead differently are not understood")
    domains = encrypted[0].mutual.domains if encrypted and encrypted[0].mutual is not None else None
    return Inbound(
        port=_of(listener, known, key, chains, mode),
        hops=first.hops,
        domains=domains,
        logs=first.http.logs if first.is_http else None,
    )


def _beside_rules(chain: Chain) -> object:
    http = chain.http
    return chain.is_http, chain.is_http2, chain.target, chain.hops, http.jwts, http.limits, http.logs


def _of(
    listener: Message, known: ir.PortPolicy | None, key: PortKey, chains: Sequence[Chain], mode: ir.MtlsMode
) -> ir.PortPolicy:
    target = next((one.target for one in chains if one.target is not None), key[2])
    http = chains[0].http if chains else HttpChain()
    encrypted = next((one.stages for one in chains if one.mutual is not None), None)
    plain = next((one.stages for one in chains if one.mutual is None), None)
    access = _together(encrypted, plain)
    base = known or ir.PortPolicy(
        number=key[2],
        protocol=ir.Protocol.TCP,
        target=target,
        name=None,
        mtls=mode,
        access=(),
        settings=ir.Settings(),
        span=listener.span,
    )
    return replace(
        base,
        protocol=_protocol(None if known is None else known.protocol, chains),
        target=target,
        mtls=mode,
        access=access,
        jwts=http.jwts,
        limits=tuple(http.limits),
        span=listener.span,
    )


def _protocol(known: ir.Protocol | None, chains: Sequence[Chain]) -> ir.Protocol:
    if any(one.is_http for one in chains):
        if any(one.is_http2 for one in chains):
            return known if known in {ir.Protocol.GRPC, ir.Protocol.HTTP2} and known else ir.Protocol.HTTP2
        return ir.Protocol.HTTP
    return ir.Protocol.TLS if any(one.is_passthrough for one in chains) else ir.Protocol.TCP


def _together(encrypted: tuple[ir.Stage, ...] | None, plain: tuple[ir.Stage, ...] | None) -> tuple[ir.Stage, ...]:
    """The stages of a port that serves both: each of a chain binds its own callers, and lets the others pass."""
    if encrypted is None or plain is None:
        return encrypted or plain or ()
    if _shape(_seen(encrypted, has_identities=False)) == _shape(plain):
        return encrypted
    known = ir.Principals((ir.AnyIdentity(),))
    return (
        *(_bound(one, known, _NO_IDENTITY) for one in encrypted),
        *(_bound(one, _NO_IDENTITY, known) for one in plain),
    )


def _shape(stages: Sequence[ir.Stage]) -> list[object]:
    """What stages say, without the names of rules."""
    return [(one.effect, one.shadow, {(rule.principals, rule.condition) for rule in one.rules}) for one in stages]


def _bound(one: ir.Stage, own: ir.Principals, others: ir.Principals) -> ir.Stage:
    rules = tuple(replace(rule, principals=_narrowed(rule.principals, own)) for rule in one.rules)
    if one.effect is ir.Effect.ALLOW and not one.shadow:
        passing = ir.Rule(identifier="the other chain", principals=others, condition=ir.ALWAYS, span=one.span)
        rules = (*rules, passing)
    return replace(one, rules=rules)


def _narrowed(principals: ir.Principals, own: ir.Principals) -> ir.Principals:
    include = own.include if ir.AnyPeer() in principals.include else principals.include
    return ir.Principals(include, (*principals.exclude, *own.exclude))


__all__ = ["MANAGER", "NETWORK_RBAC", "RBAC", "TCP_PROXY", "Inbound", "inbound_port"]
