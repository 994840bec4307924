"""Decide requests: `ir.Mesh` and `Request` -> `Decision`. This gives the intermediate form its meaning.

Pure and total: any request to any mesh has an answer. A request is taken to pass its caller's proxy, which normalizes it,
picks the first route that matches, and answers itself where the route is a redirect, a fixed response, or an abort for
all requests. What it sends on is judged at its destination, in the server's order: connection, 400, 401, 403. Rate limits
are not modelled request by request. Where a route splits over several services, the request is allowed only if every
destination of positive weight allows it, and the first that refuses is reported.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from meshc.ir import Destination, FaultAbort, FaultDelay, Forward, Mesh, PortPolicy, Protocol, Redirect, Respond, Route
from meshc.request import Claim, Decision, Request
from meshc.semantics.access import AccessPolicy, compile_access
from meshc.semantics.facts import Facts
from meshc.semantics.identities import ConnectionRefused, verify_caller
from meshc.semantics.normalize import Malformed, connection_facts, normalize
from meshc.semantics.routing import (
    CompiledRoute,
    FaultCheck,
    active_faults,
    compile_faults,
    compile_route,
    leaving_request,
    redirect_target,
)
from meshc.semantics.tokens import TokenRefused, accept_token

PortKey = tuple[str, str, int]
"""Namespace, service, and the service's port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledPort:
    """One port with its policy as functions. `faults` are those of requests that no route list sends on."""

    policy: PortPolicy
    external: bool
    default_host: str
    access: AccessPolicy
    routes: tuple[CompiledRoute, ...]
    faults: tuple[FaultCheck, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a destination says of a request that reaches it. `facts` are those that its rules saw, None before any rule."""

    decision: Decision
    facts: Facts | None = None


class Evaluator:
    """A mesh, compiled once to decide many requests. Raises ValueError for a pattern that is not RE2 syntax."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self._trust_domains = frozenset(mesh.trust_domains)
        self._ports: dict[PortKey, CompiledPort] = {}
        self._versions = {
            (one.namespace, one.name): {endpoint.version for endpoint in one.endpoints}
            for one in mesh.workloads
            if one.endpoints
        }
        for workload in mesh.workloads:
            host = default_host(workload.namespace, workload.name)
            for policy in workload.ports:
                key = (workload.namespace, workload.name, policy.number)
                self._ports[key] = _compile_port(policy, host, external=False)
        for external in mesh.externals:
            host = external_host(external.hosts)
            for policy in external.ports:
                key = (external.namespace, external.name, policy.number)
                self._ports[key] = _compile_port(policy, host, external=True)

    def port(self, key: PortKey) -> CompiledPort | None:
        """The compiled port that is known by this key."""
        return self._ports.get(key)

    def decide(self, request: Request) -> Decision:
        """What happens to a request."""
        port = self._ports.get((request.namespace, request.service, request.port))
        if port is None:
            return UNKNOWN_DESTINATION
        facts = self.observe(port, request)
        if isinstance(facts, Malformed):
            return self.malformed(port, request, facts)
        if not port.routes:
            settings, faults, route = port.policy.settings, port.faults, None
        else:
            compiled = first_route(port, facts)
            if compiled is None:
                return NO_ROUTE
            settings, faults, route = compiled.route.settings, compiled.faults, compiled.route
        active = active_faults(faults, facts)
        answer = own_answer(route, active, facts)
        if answer is not None:
            return answer
        destinations = destinations_of(route, request)
        if destinations and all(self._is_empty(one) for one in destinations if one.weight > 0):
            return replace(
                NO_ENDPOINTS,
                route=None if route is None else route.span,
                destinations=destinations,
                timeout_ms=settings.timeout_ms,
                retries=0 if settings.retry is None else settings.retry.attempts,
                faults=active,
            )
        judged = self.judge_all(route, destinations, facts, request.claims)
        return replace(
            judged.decision,
            route=None if route is None else route.span,
            destinations=destinations,
            timeout_ms=settings.timeout_ms,
            retries=0 if settings.retry is None else settings.retry.attempts,
            mirrors=settings.mirrors,
            faults=active,
        )

    def _is_empty(self, destination: Destination) -> bool:
        """Whether a destination is a version without endpoints of a service that has some."""
        versions = self._versions.get((destination.namespace, destination.service))
        return destination.version is not None and versions is not None and destination.version not in versions

    def observe(self, port: CompiledPort, request: Request) -> Facts | Malformed:
        """The request as the caller's proxy sees it; its identity is the caller's own, verified or not."""
        if not port.policy.protocol.is_http:
            return connection_facts(request, default_sni=port.default_host if port.external else None)
        return normalize(
            request,
            default_host=port.default_host,
            trusted_hops=self.mesh.trusted_hops,
            is_http2=port.policy.protocol in {Protocol.HTTP2, Protocol.GRPC},
        )

    def malformed(self, port: CompiledPort, request: Request, found: Malformed) -> Decision:
        """The answer to a request that cannot be normalized: 400, unless there is no connection to answer on."""
        caller = verify_caller(port.policy, request.identity, self._trust_domains, external=port.external)
        if isinstance(caller, ConnectionRefused):
            return Decision(allowed=False, reason=caller.reason)
        return Decision(allowed=False, status=400, reason=found.reason)

    def judge_all(
        self,
        route: Route | None,
        destinations: tuple[Destination, ...],
        facts: Facts,
        claims: Mapping[str, Claim] | None,
    ) -> Judgement:
        """What the destinations together say of a request: the first refusal, else the first answer.

        `facts` are those of the caller's proxy, `claims` those of the token, which no proxy has looked at yet.
        """
        if route is not None:
            leaving = leaving_request(route.settings, route.path, facts)
            if isinstance(leaving, Malformed):
                return Judgement(decision=Decision(allowed=False, status=400, reason=leaving.reason))
            facts = leaving
        judgements = [self.judge(key, facts, claims) for key in judged_ports(destinations)]
        refusals = (one for one in judgements if not one.decision.allowed)
        return next(refusals, judgements[0] if judgements else Judgement(decision=UNKNOWN_DESTINATION))

    def judge(self, key: PortKey, facts: Facts, claims: Mapping[str, Claim] | None) -> Judgement:
        """What one destination says of a request that reaches it."""
        port = self._ports.get(key)
        if port is None:
            return Judgement(decision=UNKNOWN_DESTINATION)
        caller = verify_caller(port.policy, facts.identity, self._trust_domains, external=port.external)
        if isinstance(caller, ConnectionRefused):
            return Judgement(decision=Decision(allowed=False, reason=caller.reason))
        is_http = port.policy.protocol.is_http
        accepted = accept_token(port.policy.jwts, claims) if is_http else None
        if isinstance(accepted, TokenRefused):
            return Judgement(decision=Decision(allowed=False, status=401, reason=accepted.reason))
        if accepted or caller.identity is not facts.identity:
            facts = replace(facts, identity=caller.identity, claims=accepted)
        verdict = port.access.judge(facts)
        decision = Decision(
            allowed=verdict.allowed,
            status=403 if is_http and not verdict.allowed else None,
            rule=verdict.rule,
            reason=verdict.reason,
            shadow=port.access.shadow_matches(facts),
        )
        return Judgement(facts=facts, decision=decision)


def decide(mesh: Mesh, request: Request) -> Decision:
    """What happens to one request. Use an `Evaluator` for many: this compiles the whole mesh each time."""
    return Evaluator(mesh).decide(request)


UNKNOWN_DESTINATION = Decision(allowed=False, status=404, reason="unknown destination")
NO_ENDPOINTS = Decision(allowed=None, status=503, reason="no endpoints")
NO_ROUTE = Decision(allowed=None, status=404, reason="no route matches")


def default_host(namespace: str, service: str) -> str:
    """The host of a request to a workload that names none."""
    return f"{service}.{namespace}"


def external_host(hosts: tuple[str, ...]) -> str:
    """The host of a request to an external that names none: its first host, a wildcard's label left out."""
    return hosts[0].removeprefix("*.") if hosts else ""


def _compile_port(policy: PortPolicy, host: str, *, external: bool) -> CompiledPort:
    return CompiledPort(
        policy=policy,
        external=external,
        default_host=host,
        access=compile_access(policy.access),
        routes=tuple(compile_route(route) for route in policy.routes),
        faults=compile_faults(policy.settings),
    )


def judged_ports(destinations: tuple[Destination, ...]) -> Iterable[PortKey]:
    """The ports that judge a request: those of positive weight, each once, in order."""
    return dict.fromkeys((one.namespace, one.service, one.port) for one in destinations if one.weight > 0)


def first_route(port: CompiledPort, facts: Facts) -> CompiledRoute | None:
    """The first route that matches, as the caller's proxy picks it."""
    return next((one for one in port.routes if one.matches(facts)), None)


def own_answer(route: Route | None, active: tuple[FaultDelay | FaultAbort, ...], facts: Facts) -> Decision | None:
    """What the caller's proxy answers itself, before it asks anybody; None where it sends the request on.

    An abort for all requests comes before a redirect or fixed response. On a connection nothing can be answered.
    """
    place = None if route is None else route.span
    aborts = (one for one in active if isinstance(one, FaultAbort) and one.percent >= 100)
    if (abort := next(aborts, None)) is not None:
        return Decision(allowed=None, status=abort.status, route=place, faults=active, reason="fault abort")
    if route is None:
        return None
    match route.action:
        case Redirect(target=target, status=status):
            shown = redirect_target(target, route.path, facts)
            return Decision(allowed=None, status=status, route=place, redirect=shown, reason="redirect")
        case Respond(status=status):
            return Decision(allowed=None, status=status, route=place, reason="fixed response")
        case Forward():
            return None
        case _:
            assert_never(route.action)


def destinations_of(route: Route | None, request: Request) -> tuple[Destination, ...]:
    """Where a request goes: what its route says, else the very port that it asked for."""
    if route is not None and isinstance(route.action, Forward):
        return route.action.destinations
    return (Destination(namespace=request.namespace, service=request.service, port=request.port),)
