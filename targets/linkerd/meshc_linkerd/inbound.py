"""The server's side: `ir.Mesh` -> Servers, routes, authorizations and limits, and what keeps them from meaning the same."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc.errors import InternalError
from meshc.kubernetes import Placed, Resource, metadata, rule_anchor, span_anchor
from meshc.source import Span
from meshc_linkerd.authorizations import Authorizations
from meshc_linkerd.clients import Authorized, Callers, Clients
from meshc_linkerd.identities import Account, Group, declared_accounts
from meshc_linkerd.inbound_routes import inbound_routes
from meshc_linkerd.options import EmitOptions
from meshc_linkerd.rate_limits import check_rate_limits, rate_limit_spec
from meshc_linkerd.requests import plan_connections, plan_requests
from meshc_linkerd.resources import gateway
from meshc_linkerd.resources.gateway import HttpMatch
from meshc_linkerd.resources.policy import HTTPLocalRateLimitPolicy, LocalRef, Server
from meshc_linkerd.servers import PodPort, pod_ports, server_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """The objects of the server's side, in an order in which they can be applied; with errors, they are not whole."""

    placed: tuple[Placed, ...]
    diagnostics: tuple[Diagnostic, ...]


def inbound_objects(mesh: ir.Mesh, options: EmitOptions) -> Inbound:
    """All objects of the server's side."""
    ports, diagnostics = pod_ports(mesh)
    by_workload: dict[tuple[str, str], list[PodPort]] = {}
    for one in ports:
        by_workload.setdefault((one.workload.namespace, one.workload.name), []).append(one)
    accounts = declared_accounts(mesh)
    found = list(diagnostics)
    placed: list[Placed] = []
    normal: list[PodPort] = []
    for some in by_workload.values():
        side = _Side(mesh, some[0].workload, options, accounts)
        for one in some:
            side.add(one)
        placed += side.placed()
        found += side.diagnostics
        normal += side.normal
    found += _notes(normal)
    _check_names(placed)
    return Inbound(placed=tuple(placed), diagnostics=tuple(dict.fromkeys(found)))


def _check_names(placed: list[Placed]) -> None:
    """Of two objects of one name, one would be lost."""
    seen: set[tuple[str, str | None, str]] = set()
    for one in placed:
        key = (one.resource.kind, one.resource.metadata.namespace, one.resource.metadata.name)
        if key in seen:
            raise InternalError(f"two objects are called {key}")
        seen.add(key)


class _Side:
    """The objects of one workload."""

    def __init__(
        self,
        mesh: ir.Mesh,
        workload: ir.Workload,
        options: EmitOptions,
        accounts: Mapping[Group, tuple[Account, ...]],
    ) -> None:
        self._workload = workload
        self._options = options
        self._accounts = accounts
        self._authorizations = Authorizations(mesh, workload, options)
        self._routes: list[Resource] = []
        self._servers: list[Resource] = []
        self._sources: dict[Span, None] = {workload.span: None}
        self.diagnostics: list[Diagnostic] = []
        self.normal: list[PodPort] = []

    def placed(self) -> Iterator[Placed]:
        """What is referred to comes first: a Server whose authorizations are missing refuses everybody."""
        owner = (self._workload.namespace, self._workload.name)
        for resource in (*self._authorizations.resources(), *self._routes, *self._servers):
            yield Placed(owner=owner, resource=resource, sources=tuple(self._sources))

    def add(self, pod_port: PodPort) -> None:
        """The Server of a port and all that depends on it."""
        port = pod_port.port
        rules = [rule for stage in port.access for rule in stage.rules]
        self._sources |= dict.fromkeys(rule.span for rule in rules)
        anchors = tuple(dict.fromkeys(rule_anchor(rule) for rule in rules)) or (self._own_anchor(),)
        blocks = frozenset(self._options.probe_networks) | _blocks(port)
        callers = Callers(port, blocks, self._accounts)
        if port.protocol.is_http:
            self._add_routes(pod_port, callers, anchors)
        else:
            self._add_connections(pod_port, callers, anchors)
        self.diagnostics += check_rate_limits(port, omit=self._options.omit)
        limits = rate_limit_spec(port, pod_port.ref)
        meta = metadata(pod_port.name, self._workload.namespace, (self._own_anchor(),))
        if limits is not None:
            self._routes.append(HTTPLocalRateLimitPolicy(metadata=meta, spec=limits))
        self._servers.append(Server(metadata=meta, spec=server_spec(pod_port)))

    def _own_anchor(self) -> str:
        return span_anchor(self._workload.span, f"service-{self._workload.namespace}.{self._workload.name}")

    def _add_routes(self, pod_port: PodPort, callers: Callers, anchors: tuple[str, ...]) -> None:
        planned = plan_requests(pod_port.port, callers, pod_port.probes, self._options.probe_networks)
        self.diagnostics += planned.diagnostics
        self.normal += [pod_port] if planned.are_normal else []
        matches: dict[tuple[str | None, tuple[Clients, ...]], list[HttpMatch]] = {}
        for route in planned.routes:
            authorized = callers.authorize(route.rows)
            self._check(pod_port.port, authorized)
            matches.setdefault((route.hostname, authorized.clients), []).extend(route.matches)
        for (hostname, clients), some in matches.items():
            for resource in inbound_routes(pod_port, hostname, clients, some, anchors):
                self._routes.append(resource)
                target = LocalRef(group=gateway.GROUP, kind="HTTPRoute", name=resource.metadata.name)
                self._authorizations.add(target, clients, anchors)

    def _add_connections(self, pod_port: PodPort, callers: Callers, anchors: tuple[str, ...]) -> None:
        planned = plan_connections(pod_port.port, callers)
        self.diagnostics += planned.diagnostics
        authorized = callers.authorize(planned.rows)
        self._check(pod_port.port, authorized)
        self._authorizations.add(pod_port.ref, authorized.clients, anchors)

    def _check(self, port: ir.PortPolicy, authorized: Authorized) -> None:
        place = _narrowing(port)
        if authorized.lacks_plaintext:
            message = f"linkerd cannot refuse identities at {self._shown(port)} and let in callers without one"
            advice = "make mTLS strict there, or refuse by address"
            self.diagnostics.append(diagnose("unsupported-by-target", place, message, advice=advice))
        if authorized.is_closed:
            message = f"on linkerd the callers of {self._shown(port)} are listed: one that the program does not declare is refused"
            advice = "linkerd has no `except`: those that remain are listed, so compile again when services are added"
            self.diagnostics.append(diagnose("target-differs", place, message, advice=advice))

    def _shown(self, port: ir.PortPolicy) -> str:
        return f"`{self._workload.namespace}.{self._workload.name}:{port.number}`"


def _narrowing(port: ir.PortPolicy) -> Span:
    """The rule that takes somebody out of a larger group."""
    stages = [stage for stage in port.access if not stage.shadow]
    denies = (rule for stage in stages if stage.effect is ir.Effect.DENY for rule in stage.rules)
    everyone = ir.Principals((ir.AnyPeer(),))
    named = (rule for rule in denies if rule.principals != everyone)
    excluding = (rule for stage in stages for rule in stage.rules if rule.principals.exclude)
    return next((rule.span for some in (named, excluding) for rule in some), port.span)


def _blocks(port: ir.PortPolicy) -> frozenset[ir.IpBlock]:
    found: set[ir.IpBlock] = set()
    waiting = [rule.condition for stage in port.access if not stage.shadow for rule in stage.rules]
    while waiting:
        match waiting.pop():
            case ir.AllOf(conditions) | ir.AnyOf(conditions):
                waiting += conditions
            case ir.Not(inner):
                waiting.append(inner)
            case ir.AddressIn(_, blocks):
                found |= set(blocks)
            case _:
                pass
    return frozenset(found)


_NORMAL: Final = (
    "linkerd matches paths as they are sent, so where rules depend on paths it refuses those that are not in normal form: "
    "repeated slashes, dot segments, needless escapes, and `;`"
)


def _notes(ports: list[PodPort]) -> Iterator[Diagnostic]:
    """One note for the whole mesh, at the first rule that looks at a path."""
    spans = (rule.span for one in ports for stage in one.port.access for rule in stage.rules if not stage.shadow)
    place = next(spans, None)
    if place is not None:
        yield diagnose("target-differs", place, _NORMAL, advice="callers that send plain paths notice nothing")
