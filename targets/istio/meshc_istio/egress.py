"""Egress: externals -> ServiceEntry, DestinationRule for TLS, and VirtualService; and who may call them -> Sidecar.

Calls to externals are decided in the callers' proxies. A workload's Sidecar holds the externals that some rule lets it call, and
passes nothing on to hosts that it does not hold; what requests may be sent is decided by the routes of the external's host,
where all that is not allowed is answered with 403. None of this binds a workload that goes around its proxy.
"""

from collections.abc import Iterable, Iterator

from meshc import ir
from meshc.kubernetes import Placed, metadata, object_name, rule_anchor, span_anchor
from meshc_istio.destination_rules import port_policy
from meshc_istio.resources.networking import (
    DestinationRule,
    DestinationRuleSpec,
    DirectResponse,
    EgressHosts,
    EntryPort,
    HttpRoute,
    OutboundPolicy,
    RequestMatch,
    ServiceEntry,
    ServiceEntrySpec,
    Sidecar,
    SidecarSpec,
    Tls,
    TrafficPolicy,
    VirtualService,
    VirtualServiceSpec,
)
from meshc_istio.resources.telemetry import WorkloadSelector
from meshc_istio.route_actions import action_of
from meshc_istio.route_matches import matches_of
from meshc_istio.shapes import EVERYBODY, callers
from meshc_istio.terms import InexpressibleError
from meshc_istio.virtual_services import anchors_of

_PROTOCOLS = {
    ir.Protocol.HTTP: "HTTP",
    ir.Protocol.HTTP2: "HTTP2",
    ir.Protocol.GRPC: "GRPC",
    ir.Protocol.HTTPS: "HTTP",
    ir.Protocol.TLS: "TLS",
    ir.Protocol.TCP: "TCP",
}
_REFUSED = DirectResponse(status=403)


def egress_objects(mesh: ir.Mesh) -> Iterator[Placed]:
    """The objects of all externals, and the Sidecars of those who call."""
    for external in mesh.externals:
        yield _entry(external)
        yield from _tls(external)
        yield from _routes(mesh, external)
    if mesh.externals:
        yield from (_sidecar(mesh, workload) for workload in mesh.workloads)


def _name(external: ir.External) -> str:
    return object_name("external", external.name)


def _placed(external: ir.External, resource: ServiceEntry | DestinationRule | VirtualService) -> Placed:
    return Placed(owner=(external.namespace, external.name), resource=resource, sources=(external.span,))


def _entry(external: ir.External) -> Placed:
    is_wildcard = any(host.startswith("*") for host in external.hosts)
    ports = tuple(
        EntryPort(
            number=port.number,
            name=f"{_PROTOCOLS[port.protocol].lower()}-{port.number}",
            protocol=_PROTOCOLS[port.protocol],
        )
        for port in external.ports
    )
    anchor = span_anchor(external.span, f"external-{external.namespace}.{external.name}")
    return _placed(
        external,
        ServiceEntry(
            metadata=metadata(_name(external), external.namespace, [anchor]),
            spec=ServiceEntrySpec(hosts=external.hosts, ports=ports, resolution="NONE" if is_wildcard else "DNS"),
        ),
    )


def _tls(external: ir.External) -> Iterator[Placed]:
    """Connection settings, and TLS with the host verified where the caller's proxy starts it."""
    for host in external.hosts:
        settings = tuple(port_policy(port, _originated(port, host)) for port in external.ports)
        spans = tuple(dict.fromkeys(span for port in external.ports for _, span in port.settings.spans))
        yield _placed(
            external,
            DestinationRule(
                metadata=metadata(
                    object_name("external", external.name, *_told_apart(external, host)),
                    external.namespace,
                    anchors_of(external, spans),
                ),
                spec=DestinationRuleSpec(host=host, traffic_policy=TrafficPolicy(port_level_settings=settings)),
            ),
        )


def _told_apart(external: ir.External, host: str) -> tuple[str, ...]:
    return () if len(external.hosts) == 1 else (host,)


def _originated(port: ir.PortPolicy, host: str) -> Tls | None:
    if port.protocol is not ir.Protocol.HTTPS:
        return None
    name = port.settings.tls_sni or host
    return Tls(mode="SIMPLE", sni=name, ca_certificates=port.settings.tls_ca_file, subject_alt_names=(name,))


# ---- what may be asked ----------------------------------------------------------------------------------------------


def _routes(mesh: ir.Mesh, external: ir.External) -> Iterator[Placed]:
    hosts = tuple(host for host in external.hosts if not host.startswith("*"))
    http = tuple(one for port in external.ports if port.protocol.is_http for one in guarded_routes(mesh, port))
    if not (hosts and http):
        return
    rules = [rule for port in external.ports for stage in port.access for rule in stage.rules]
    spans = tuple(dict.fromkeys(route.span for port in external.ports for route in port.routes))
    anchors = [*anchors_of(external, spans), *map(rule_anchor, rules)]
    yield Placed(
        owner=(external.namespace, external.name),
        resource=VirtualService(
            metadata=metadata(_name(external), external.namespace, anchors),
            spec=VirtualServiceSpec(hosts=hosts, http=http),
        ),
        sources=tuple(dict.fromkeys((*spans, *(rule.span for rule in rules)))),
    )


def guarded_routes(mesh: ir.Mesh, port: ir.PortPolicy) -> Iterator[HttpRoute]:
    """What denies refuse first, then the routes for what allows let through, then a refusal of all else.

    Raises InexpressibleError.
    """
    stages = [stage for stage in port.access if not stage.shadow]
    for stage in (one for one in stages if one.effect is ir.Effect.DENY):
        for rule in stage.rules:
            matches = _rule_matches(mesh, port, rule)
            if matches:
                yield HttpRoute(match=matches, direct_response=_REFUSED)
    allows = [stage for stage in stages if stage.effect is ir.Effect.ALLOW]
    if not allows:
        for route in port.routes:
            matches = matches_of(port.number, route.methods, route.path, route.condition, callers(mesh, route.callers))
            yield action_of(mesh, route).model_copy(update={"match": matches})
        return
    rules = [rule for stage in allows for rule in stage.rules]
    for route in port.routes:
        action = action_of(mesh, route)
        found: list[RequestMatch] = []
        for match in (match for rule in rules for match in _both(mesh, port, route, rule)):
            if match not in found:
                found.append(match)
        if found:
            yield action.model_copy(update={"match": tuple(found)})
    yield HttpRoute(match=(RequestMatch(port=port.number),), direct_response=_REFUSED)


def _rule_matches(mesh: ir.Mesh, port: ir.PortPolicy, rule: ir.Rule) -> tuple[RequestMatch, ...]:
    pods = callers(mesh, rule.principals)
    return tuple(
        match
        for methods, path, rest in _operations(rule.condition)
        for match in matches_of(port.number, methods, path, rest, pods)
    )


def _both(mesh: ir.Mesh, port: ir.PortPolicy, route: ir.Route, rule: ir.Rule) -> Iterator[RequestMatch]:
    """The requests of a route that a rule allows."""
    who, wanted = callers(mesh, rule.principals), callers(mesh, route.callers)
    pods = tuple(one if other == EVERYBODY else other for one in who for other in wanted if _meet(one, other))
    for methods, path, rest in _operations(rule.condition):
        common = _common_methods(route.methods, methods)
        where = _common_path(route.path, path)
        if pods and common is not None and where is not None:
            yield from matches_of(port.number, common, where, ir.AllOf((route.condition, rest)), pods)


def _meet(one: object, other: object) -> bool:
    if EVERYBODY in {one, other} or one == other:
        return True
    raise InexpressibleError(
        "Istio would need the callers of a route and of a rule at once", "name the same callers in both"
    )


def _common_methods(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...] | None:
    if not some or not others:
        return some or others
    return tuple(one for one in some if one in others) or None


def _common_path(some: ir.PathPattern, other: ir.PathPattern) -> ir.PathPattern | None:
    if other in {some, ir.ANY_PATH}:
        return some
    if some == ir.ANY_PATH:
        return other
    if isinstance(some, ir.ExactPath) and isinstance(other, ir.ExactPath):
        return None
    for exact, pattern in ((some, other), (other, some)):
        if isinstance(exact, ir.ExactPath) and isinstance(pattern, ir.TemplatePath):
            return exact if _takes(pattern, exact.path) else None
    raise InexpressibleError(
        "Istio tests one path in a route, and those of a rule and a route overlap", "make them the same"
    )


def _takes(pattern: ir.TemplatePath, path: str) -> bool:
    parts = path[1:].split("/")
    if len(parts) < len(pattern.segments) or (len(parts) > len(pattern.segments) and not pattern.rest):
        return False
    return all(bool(part) if one is None else part == one for part, one in zip(parts, pattern.segments, strict=False))


def _operations(condition: ir.Condition) -> Iterator[tuple[tuple[str, ...], ir.PathPattern, ir.Condition]]:
    """The operations of a rule, each with what else must hold."""
    parts = condition.conditions if isinstance(condition, ir.AllOf) else (condition,)
    spread: list[tuple[tuple[str, ...], ir.PathPattern, tuple[ir.Condition, ...]]] = [((), ir.ANY_PATH, ())]
    for part in parts:
        spread = [grown for one in spread for grown in _grown(one, part)]
    for methods, path, rest in spread:
        yield methods, path, ir.AllOf(rest)


def _grown(
    one: tuple[tuple[str, ...], ir.PathPattern, tuple[ir.Condition, ...]], part: ir.Condition
) -> Iterator[tuple[tuple[str, ...], ir.PathPattern, tuple[ir.Condition, ...]]]:
    methods, path, rest = one
    match part:
        case ir.MethodIs(methods=named):
            common = _common_methods(methods, named)
            if common is not None:
                yield common, path, rest
        case ir.PathIs(pattern=pattern):
            where = _common_path(path, pattern)
            if where is not None:
                yield methods, where, rest
        case ir.AllOf(parts):
            spread = [one]
            for inner in parts:
                spread = [grown for each in spread for grown in _grown(each, inner)]
            yield from spread
        case ir.AnyOf(parts) if any(isinstance(inner, ir.MethodIs | ir.PathIs | ir.AllOf) for inner in parts):
            for inner in parts:
                yield from _grown(one, inner)
        case _:
            yield methods, path, (*rest, part)


# ---- who may call ---------------------------------------------------------------------------------------------------


def _sidecar(mesh: ir.Mesh, workload: ir.Workload) -> Placed:
    allowed = [one for one in mesh.externals if may_call(workload, one)]
    hosts = [f"*/*.svc.{mesh.cluster_domain}", *(f"{one.namespace}/{host}" for one in allowed for host in one.hosts)]
    rules = [rule for one in allowed for port in one.ports for stage in port.access for rule in stage.rules]
    anchor = span_anchor(workload.span, f"service-{workload.namespace}.{workload.name}")
    return Placed(
        owner=(workload.namespace, workload.name),
        resource=Sidecar(
            metadata=metadata(workload.name, workload.namespace, [anchor, *map(rule_anchor, rules)]),
            spec=SidecarSpec(
                workload_selector=WorkloadSelector(labels=dict(sorted(workload.labels.items()))),
                egress=(EgressHosts(hosts=tuple(hosts)),),
                outbound_traffic_policy=OutboundPolicy(mode="REGISTRY_ONLY"),
            ),
        ),
        sources=(workload.span,),
    )


def may_call(workload: ir.Workload, external: ir.External) -> bool:
    """Whether some rule lets a workload call an external, whatever it asks."""
    return any(_may_use(workload.identity, port.access) for port in external.ports)


def _may_use(identity: str, stages: Iterable[ir.Stage]) -> bool:
    for stage in (one for one in stages if not one.shadow):
        named = [rule for rule in stage.rules if _includes(rule.principals, identity)]
        if stage.effect is ir.Effect.DENY and any(rule.condition == ir.ALWAYS for rule in named):
            return False
        if stage.effect is ir.Effect.ALLOW and not named:
            return False
    return True


def _includes(principals: ir.Principals, identity: str) -> bool:
    return any(_is(one, identity) for one in principals.include) and not any(
        _is(one, identity) for one in principals.exclude
    )


def _is(principal: ir.Principal, identity: str) -> bool:
    match principal:
        case ir.ExactIdentity(identity=wanted):
            return wanted == identity
        case ir.IdentityPrefix(prefix=prefix):
            return identity.startswith(prefix)
        case _:
            return True
