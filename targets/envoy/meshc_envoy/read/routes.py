"""Virtual hosts and their routes, as one caller's routes of a port."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from meshc import ir
from meshc.target import PortKey
from meshc_envoy.read import patterns
from meshc_envoy.read.actions import answered, faults, forwarded, header_changes, redirected
from meshc_envoy.read.algebra import NEVER, every
from meshc_envoy.read.atoms import Surroundings, header, regex
from meshc_envoy.read.clusters import Clusters, Upstream
from meshc_envoy.read.entering import nowhere
from meshc_envoy.read.http_chain import FAULT, HttpChain
from meshc_envoy.read.messages import Message
from meshc_envoy.read.route_marks import RouteMarks, query_parameter
from meshc_envoy.read.rules import stage

_PER_ROUTE: Final = "envoy.extensions.filters.http.rbac.v3.RBACPerRoute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """The connection manager that routes stand in. `idle_ms` is its stream idle timeout."""

    clusters: Clusters
    chain: HttpChain
    where: Surroundings
    idle_ms: int


@dataclass(slots=True)
class View:
    """What one caller's sidecar says: routes by port, stages by external's port, and what clusters are used, with hashes."""

    identity: str
    routes: dict[PortKey, tuple[ir.Route, ...]] = field(default_factory=dict)
    stages: dict[PortKey, dict[str, ir.Stage]] = field(default_factory=dict)
    upstreams: dict[int, Upstream] = field(default_factory=dict)
    hashes: dict[PortKey, set[tuple[tuple[str, str | None], ...]]] = field(default_factory=dict)

    def use(self, upstream: Upstream, hashes: tuple[tuple[str, str | None], ...]) -> None:
        self.upstreams[id(upstream)] = upstream
        self.hashes.setdefault(upstream.key, set()).add(hashes)


def route_list(host: Message, view: View, at: Listening) -> tuple[ir.Route, ...]:
    """The routes of a virtual host, in order; those that no request takes are left out, and what none takes is answered 404."""
    host.ignore("name", "domains", "metadata")
    entries = host.messages("routes")
    host.finish()
    found: list[ir.Route] = []
    marks: RouteMarks | None = None
    for one in entries:
        if one.has("typed_per_filter_config") or "weighted_clusters" in (one.message("route") or one).data:
            marks = marks or RouteMarks(entries)
        own = at if marks is None else replace(at, where=replace(at.where, metadata=marks.condition))
        route = _route(one, view, own)
        if route is not None and (not found or found[-1] != route):
            found.append(route)
    if found and not _takes_all(found[-1]):
        found.append(nowhere(host.span))
    return tuple(found)


def _takes_all(route: ir.Route) -> bool:
    return not route.methods and route.path == ir.ANY_PATH and route.condition == ir.ALWAYS


def _route(entry: Message, view: View, at: Listening) -> ir.Route | None:
    entry.ignore("name", "metadata")
    methods, path, condition = _match(entry.need("match"), at.where)
    delays, aborts, stages = _overrides(entry.message("typed_per_filter_config"), at.chain, at.where)
    changes = header_changes(entry)
    settings = ir.Settings()
    action: ir.Forward | ir.Redirect | ir.Respond
    if entry.has("redirect"):
        action = redirected(entry.need("redirect"), path)
    elif entry.has("direct_response"):
        action = answered(entry.need("direct_response"))
    else:
        sent = forwarded(entry.need("route"), path, at.clusters, at.idle_ms)
        action, settings = sent.action, sent.settings
        for upstream, own in sent.upstreams:
            view.use(upstream, sent.hashes)
            more = _overrides(own, at.chain, at.where)[2] if own is not None else {}
            if isinstance(at.clusters.addressed.owners[upstream.key][0], ir.External):
                _bind(view, upstream, {**_standing(at.chain), **stages, **more}, entry)
            elif stages or more:
                raise entry.error("rules of a caller for a service of the mesh are not understood")
    entry.finish()
    if condition == NEVER:
        return None
    return ir.Route(
        methods=methods,
        path=path,
        condition=condition,
        callers=None,
        action=action,
        settings=replace(settings, delays=delays, aborts=aborts, header_changes=changes),
        span=entry.span,
    )


def _standing(chain: HttpChain) -> dict[str, ir.Stage]:
    return {name: one for name, stages in chain.rbac.items() for one in stages}


def _bind(view: View, upstream: Upstream, stages: dict[str, ir.Stage], at: Message) -> None:
    known = view.stages.setdefault(upstream.key, stages)
    if known != stages:
        raise at.error("rules that differ by the route are not understood")


def _match(match: Message, where: Surroundings) -> tuple[tuple[str, ...], ir.PathPattern, ir.Condition]:
    if match.data.get("case_sensitive") is False:
        raise match.error("paths without regard to case are not understood", "case_sensitive")
    match.ignore("case_sensitive")
    path = _path(match)
    conditions = [header(one, where) for one in match.messages("headers")]
    conditions += [query_parameter(one) for one in match.messages("query_parameters")]
    match.finish()
    methods = [one for one in conditions if isinstance(one, ir.MethodIs)]
    if len(methods) == 1:
        others = [one for one in conditions if one is not methods[0]]
        return methods[0].methods, path, every(others)
    return (), path, every(conditions)


def _path(match: Message) -> ir.PathPattern:
    if match.has("prefix"):
        return patterns.path_pattern(ir.StartsWith(match.text("prefix")))
    if match.has("path"):
        return ir.ExactPath(match.text("path"))
    if match.has("path_separated_prefix"):
        steps = match.text("path_separated_prefix")[1:].split("/")
        return ir.TemplatePath(tuple(steps), (), rest=True)
    if match.has("safe_regex"):
        return patterns.path_pattern(regex(match.need("safe_regex")))
    raise match.error("this match of a path is not understood")


_Overrides = tuple[tuple[ir.FaultDelay, ...], tuple[ir.FaultAbort, ...], dict[str, ir.Stage]]


def _overrides(configs: Message | None, chain: HttpChain, where: Surroundings) -> _Overrides:
    """What a route tells filters. Under a name that is not in the chain, it tells nothing."""
    delays: list[ir.FaultDelay] = []
    aborts: list[ir.FaultAbort] = []
    stages: dict[str, ir.Stage] = {}
    for name in configs.data if configs is not None else ():
        config = configs.need(name) if configs is not None else None
        kind = "" if config is None else str(config.data.get("@type")).rpartition("/")[2]
        if config is None:
            continue
        if kind == FAULT and name in chain.faults:
            more = faults(config)
            delays += more[0]
            aborts += more[1]
        elif kind == _PER_ROUTE and name in chain.guarding:
            raise config.error("a route that is spared what refuses malformed requests is not understood")
        elif kind == _PER_ROUTE and name in chain.rbac:
            stages[name] = _own_stage(config, where)
        else:
            raise config.error(f"what a route tells the filter `{name}` is not understood")
    return tuple(delays), tuple(aborts), stages


def _own_stage(config: Message, where: Surroundings) -> ir.Stage:
    rbac = config.need("rbac")
    config.finish()
    rbac.ignore("rules_stat_prefix", "shadow_rules_stat_prefix")
    shadow = not rbac.has("rules")
    found = stage(rbac.need("shadow_rules" if shadow else "rules"), where, shadow=shadow)
    rbac.finish()
    return found


def tcp_routes(proxy: Message, view: View, clusters: Clusters) -> tuple[tuple[ir.Route, ...], Sequence[Upstream]]:
    """A `TcpProxy` as the route of all connections."""
    proxy.ignore("stat_prefix", "access_log")
    idle = proxy.milliseconds("idle_timeout")
    policies = proxy.messages("hash_policy")
    for policy in policies:
        policy.message("source_ip")
        policy.finish()
    hashes = (("source-ip", None),) if policies else ()
    split = proxy.message("weighted_clusters")
    named: list[tuple[str, int]] = [(proxy.text("cluster"), 1)] if split is None else []
    if split is not None:
        for part in split.messages("clusters"):
            named.append((part.text("name"), part.whole("weight") or 0))
            part.finish()
        split.finish()
    proxy.finish()
    upstreams = [clusters.upstream(name, proxy) for name, _ in named]
    total = sum(weight for _, weight in named)
    if not total:
        raise proxy.error("connections that are sent to clusters without a weight are not understood")
    for one in upstreams:
        view.use(one, hashes)
    destinations = tuple(
        ir.Destination(
            namespace=one.key[0], service=one.key[1], port=one.key[2], version=one.version, weight=weight * 100 / total
        )
        for one, (_, weight) in zip(upstreams, named, strict=True)
    )
    idle_ms = 3_600_000 if idle is None else idle
    route = ir.Route(
        methods=(),
        path=ir.ANY_PATH,
        condition=ir.ALWAYS,
        callers=None,
        action=ir.Forward(destinations=destinations),
        settings=ir.Settings(idle_timeout_ms=idle_ms or None),
        span=proxy.span,
    )
    return (route,), upstreams
