"""Inbound: a workload's ports -> Servers, and the routes and authorizations that let requests in.

A Server denies by default. Each set of clients has routes of its own, named by a hash of who they are, so that names stay as they
are when other rules change.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc.kubernetes import Placed, Resource, metadata, object_name, rule_anchor, span_anchor
from meshc.source import Span
from meshc_linkerd.authorizations import Scope, authorizations, digest, has_strange, is_enumerated
from meshc_linkerd.clients import Clients, World
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.options import EmitOptions
from meshc_linkerd.outcomes import Kind, Probe, connection_outcome, outcomes
from meshc_linkerd.resources.gateway import (
    GATEWAY_GROUP,
    HTTPRoute,
    HTTPRouteMatch,
    HTTPRouteRule,
    HTTPRouteSpec,
    NamedMatch,
    ParentReference,
)
from meshc_linkerd.resources.policy import (
    POLICY_GROUP,
    HTTPLocalRateLimitPolicy,
    PodSelector,
    RateLimitSpec,
    Reference,
    RequestsPerSecond,
    Server,
    ServerSpec,
)
from meshc_linkerd.texts import header_match

_PROTOCOLS: Final = {
    ir.Protocol.HTTP: "HTTP/1",
    ir.Protocol.HTTP2: "HTTP/2",
    # As HTTP/2, so that a port has one kind of routes, which can tell headers apart without naming methods.
    ir.Protocol.GRPC: "HTTP/2",
    ir.Protocol.TCP: "opaque",
    ir.Protocol.TLS: "TLS",
}
_MATCHES_IN_RULE: Final = 8
_MATCHES_IN_ROUTE: Final = 120
"""As the oldest CRDs that Linkerd brings take them: 8 matches a rule, 16 rules a route."""
_GRPC_HEALTH: Final = ("POST", "/grpc.health.v1.Health/Check")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """The objects of a workload's ports, and what of their rules Linkerd cannot say."""

    placed: tuple[Placed, ...]
    diagnostics: tuple[Diagnostic, ...]


def inbound_of(world: World, workload: ir.Workload, options: EmitOptions) -> Inbound:
    """The objects of a workload: authorizations before servers, since a Server denies as soon as it is there."""
    placed: list[Placed] = []
    found: list[Diagnostic] = []
    for port in _distinct(workload.ports):
        spans = tuple(dict.fromkeys([port.span, *(rule.span for stage in port.access for rule in stage.rules)]))
        try:
            resources = list(_resources(world, workload, port, options, found))
        except InexpressibleError as error:
            message = f"linkerd cannot express the rules of `{workload.namespace}.{workload.name}:{port.number}`: {error.reason}"
            found.append(diagnose("unsupported-by-target", _blamed(port), message, advice=error.instead or ()))
            continue
        owner = (workload.namespace, workload.name)
        placed += [Placed(owner=owner, resource=one, sources=spans) for one in resources]
    return Inbound(placed=tuple(placed), diagnostics=tuple(dict.fromkeys(found)))


def _distinct(ports: tuple[ir.PortPolicy, ...]) -> tuple[ir.PortPolicy, ...]:
    """Ports of the workload, each once; that those which lead to one are alike is checked before."""
    return tuple({port.target: port for port in reversed(ports)}.values())[::-1]


def _blamed(port: ir.PortPolicy) -> Span:
    """The rule that is most likely to blame: the last one with a condition, else the last one."""
    rules = [rule for stage in port.access for rule in stage.rules]
    rules = [rule for rule in rules if rule.condition != ir.ALWAYS] or rules
    return rules[-1].span if rules else port.span


def _resources(
    world: World, workload: ir.Workload, port: ir.PortPolicy, options: EmitOptions, found: list[Diagnostic]
) -> Iterator[Resource]:
    name = object_name(workload.name, str(port.target))
    rules = [rule for stage in port.access for rule in stage.rules]
    anchors = tuple(map(rule_anchor, rules))
    anchors = anchors or (span_anchor(workload.span, f"service-{workload.namespace}.{workload.name}"),)
    scope = Scope(namespace=workload.namespace, prefix=name, anchors=anchors)
    if port.protocol.is_http:
        kinds = outcomes(world, port, probes_of(workload, port, options))
        for clients in dict.fromkeys(kinds.values()):
            _note(world, workload, port, clients, found)
            listed = [kind for kind, own in kinds.items() if own == clients]
            yield from _routes(scope, world, clients, listed)
        yield from _rate_limits(scope, port)
    else:
        clients = connection_outcome(world, port)
        _note(world, workload, port, clients, found)
        yield from authorizations(scope, world, clients, Reference(group=POLICY_GROUP, kind="Server", name=name))
    yield Server(
        metadata=metadata(name, workload.namespace, anchors),
        spec=ServerSpec(
            pod_selector=PodSelector(match_labels=dict(sorted(workload.labels.items()))),
            port=port.target,
            proxy_protocol=_PROTOCOLS[port.protocol],
        ),
    )


def probes_of(workload: ir.Workload, port: ir.PortPolicy, options: EmitOptions) -> tuple[Probe, ...]:
    """What the kubelet asks of a port."""
    networks = tuple(map(ip_network, options.probe_networks))
    found = []
    for probe in workload.probes:
        if probe.port == port.target and probe.method == "GRPC":
            method, path = _GRPC_HEALTH
            found.append(Probe(method=method, path=path, networks=networks))
        elif probe.port == port.target and probe.path is not None:
            found.append(Probe(method=probe.method, path=probe.path.partition("?")[0], networks=networks))
    return tuple(dict.fromkeys(found))


def _note(world: World, workload: ir.Workload, port: ir.PortPolicy, clients: Clients, found: list[Diagnostic]) -> None:
    shown = f"`{workload.namespace}.{workload.name}:{port.number}`"
    for atoms, _ in clients:
        strange = has_strange(world, atoms)
        if strange is not None:
            raise InexpressibleError(f"Linkerd knows identities of service accounts, and `{strange}` is none")
        if is_enumerated(world, atoms):
            message = f"on linkerd the callers of {shown} are listed: one that the program does not declare is refused"
            found.append(diagnose("target-differs", port.span, message, advice="name those who may call"))


# ---- routes ---------------------------------------------------------------------------------------------------------


def _routes(scope: Scope, world: World, clients: Clients, kinds: list[Kind]) -> Iterator[Resource]:
    """The routes of one set of clients, a few for each host, and their authorizations."""
    for host in sorted({kind.host for kind in kinds}, key=lambda one: one or ""):
        matches = [match for kind in kinds if kind.host == host for match in _matches(kind)]
        parts = [matches[start : start + _MATCHES_IN_ROUTE] for start in range(0, len(matches), _MATCHES_IN_ROUTE)]
        for number, part in enumerate(parts, 1):
            suffix = [digest(clients) if clients else "nobody"]
            suffix += [host.replace("*", "any")] if host is not None else []
            suffix += [f"part{number}"] if len(parts) > 1 else []
            name = object_name(scope.prefix, *suffix)
            yield HTTPRoute(
                metadata=scope.metadata(name),
                spec=HTTPRouteSpec(
                    parent_refs=(ParentReference(group=POLICY_GROUP, kind="Server", name=scope.prefix),),
                    hostnames=None if host is None else (host,),
                    rules=tuple(_rules(part)),
                ),
            )
            own = Scope(namespace=scope.namespace, prefix=name, anchors=scope.anchors)
            target = Reference(group=GATEWAY_GROUP, kind="HTTPRoute", name=name)
            yield from authorizations(own, world, clients, target)


def _rules(matches: list[HTTPRouteMatch]) -> Iterator[HTTPRouteRule]:
    for start in range(0, len(matches), _MATCHES_IN_RULE):
        yield HTTPRouteRule(matches=tuple(matches[start : start + _MATCHES_IN_RULE]))


def _matches(kind: Kind) -> Iterator[HTTPRouteMatch]:
    tests = (one for one in kind.headers if isinstance(one, ir.HeaderIs))
    headers = tuple(sorted((header_match(one.name, one.test) for one in tests), key=_name_of))
    for path in (shape.match() for shape in kind.path.shapes):
        yield HTTPRouteMatch(path=path, headers=headers or None, method=kind.method)


def _name_of(match: NamedMatch) -> str:
    return match.name


# ---- rate limits ----------------------------------------------------------------------------------------------------


def is_plain(limit: ir.RateLimit) -> bool:
    """Whether Linkerd can count it: whole requests a second, with a burst of as many, of all callers or of each."""
    return (
        limit.per in {None, "source"}
        and limit.condition == ir.ALWAYS
        and limit.per_ms == 1000
        and limit.burst == limit.tokens
    )


def _rate_limits(scope: Scope, port: ir.PortPolicy) -> Iterator[Resource]:
    total = [one.tokens for one in port.limits if is_plain(one) and one.per is None]
    each = [one.tokens for one in port.limits if is_plain(one) and one.per == "source"]
    if not (total or each):
        return
    yield HTTPLocalRateLimitPolicy(
        metadata=scope.metadata(scope.prefix),
        spec=RateLimitSpec(
            target_ref=Reference(group=POLICY_GROUP, kind="Server", name=scope.prefix),
            total=RequestsPerSecond(requests_per_second=min(total)) if total else None,
            identity=RequestsPerSecond(requests_per_second=min([*each, *total])) if each else None,
        ),
    )
