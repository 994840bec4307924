"""Explain a decision: the evaluator of `meshc.semantics.decide`, remembering.

Every route and every rule that was considered is listed with what became of it, and for a miss with the clauses that the
request fails. The decision inside an explanation is the evaluator's own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from meshc.ir import ANY_PATH, AnyOf, Condition, Destination, Effect, Mirror, Route, Rule, Stage
from meshc.request import Claim, Decision, Request
from meshc.semantics.access import CompiledStage
from meshc.semantics.applied import Applied, CountingLimit, counting_limits, endpoint_settings, route_settings
from meshc.semantics.decide import (
    CompiledPort,
    Evaluator,
    Judgement,
    PortKey,
    destinations_of,
    first_route,
    judged_ports,
)
from meshc.semantics.facts import Facts
from meshc.semantics.misses import Miss, condition_misses, source_misses
from meshc.semantics.normalize import Malformed
from meshc.semantics.routing import active_faults, leaving_request
from meshc.semantics.show import Names, identity_names, operation_condition, show_route, show_rule_body
from meshc.source import Span

NEAREST_SHOWN = 3
"""How many allow rules are named as the nearest to a refused request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFinding:
    """A rule that was considered: it matched if there are no misses. `decided` is set for the one that had the say."""

    rule: Rule
    text: str
    misses: tuple[Miss, ...]
    decided: bool = False

    @property
    def matched(self) -> bool:
        """Whether the request fits the rule."""
        return not self.misses


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFinding:
    """A stage with all of its rules. `decided` is set where it ended the decision, by a rule or by having none that fits.

    `asked` is False for a stage after the one that refused: its rules are shown, but had no say.
    """

    effect: Effect
    shadow: bool
    asked: bool
    decided: bool
    span: Span
    rules: tuple[RuleFinding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationFinding:
    """What one port says of the request. `stages` are empty where no rule was asked.

    `nearest` are the allow rules that come closest to a request that none of them lets in: fewest misses first, then in
    order. Where a deny refused the request, no allow rule would help, and there are none. `settings` are those of connections and
    endpoints, `limits` those that take a token for a request that is allowed.
    """

    namespace: str
    service: str
    port: int
    decision: Decision
    stages: tuple[StageFinding, ...] = ()
    nearest: tuple[RuleFinding, ...] = ()
    settings: tuple[Applied, ...] = ()
    limits: tuple[CountingLimit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFinding:
    """A route that was tried, in order; the last one listed is the one taken, if any was."""

    route: Route
    text: str
    misses: tuple[Miss, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorFinding:
    """A mirrored copy, and whether its destination lets it in."""

    mirror: Mirror
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a request is decided as it is.

    `caller` is the caller as the program calls it. `facts` is the request as the caller's proxy sees it, None for an unknown
    destination or a malformed request; `leaving` as its route sends it on. `settings` are those that it travels with.
    """

    request: Request
    caller: str
    decision: Decision
    facts: Facts | None = None
    leaving: Facts | None = None
    routes: tuple[RouteFinding, ...] = ()
    settings: tuple[Applied, ...] = ()
    destinations: tuple[DestinationFinding, ...] = ()
    mirrors: tuple[MirrorFinding, ...] = ()


def explain(evaluator: Evaluator, request: Request) -> Explanation:
    """Everything that leads to the decision of one request."""
    names = identity_names(evaluator.mesh)
    bare = Explanation(
        request=request,
        caller="a caller without identity"
        if request.identity is None
        else names.get(request.identity, request.identity),
        decision=evaluator.decide(request),
    )
    port = evaluator.port((request.namespace, request.service, request.port))
    if port is None:
        return bare
    facts = evaluator.observe(port, request)
    if isinstance(facts, Malformed):
        return bare
    bare = replace(bare, facts=facts, routes=_route_findings(port, facts, names))
    compiled = first_route(port, facts)
    if port.routes and compiled is None:
        return bare
    route = None if compiled is None else compiled.route
    settings = port.policy.settings if route is None else route.settings
    faults = active_faults(port.faults if compiled is None else compiled.faults, facts)
    bare = replace(bare, settings=route_settings(settings, route, faults))
    if bare.decision.allowed is None:
        return bare
    leaving = facts if route is None else leaving_request(settings, route.path, facts)
    if isinstance(leaving, Malformed):
        return bare
    sent = _Sent(evaluator=evaluator, facts=leaving, claims=request.claims, names=names)
    return replace(
        bare,
        leaving=leaving,
        destinations=sent.findings(judged_ports(destinations_of(route, request))),
        mirrors=sent.mirrors(settings.mirrors),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A request on its way from the caller's proxy."""

    evaluator: Evaluator
    facts: Facts
    claims: Mapping[str, Claim] | None
    names: Names

    def findings(self, keys: Iterable[PortKey]) -> tuple[DestinationFinding, ...]:
        return tuple(self._finding(key) for key in keys)

    def mirrors(self, mirrors: Iterable[Mirror]) -> tuple[MirrorFinding, ...]:
        return tuple(MirrorFinding(mirror=one, decision=self._judge(_key(one.destination)).decision) for one in mirrors)

    def _judge(self, key: PortKey) -> Judgement:
        return self.evaluator.judge(key, self.facts, self.claims)

    def _finding(self, key: PortKey) -> DestinationFinding:
        judgement = self._judge(key)
        port = self.evaluator.port(key)
        bare = DestinationFinding(namespace=key[0], service=key[1], port=key[2], decision=judgement.decision)
        if port is None:
            return bare
        bare = replace(bare, settings=endpoint_settings(port.policy.settings))
        if judgement.facts is None:
            return bare
        if judgement.decision.allowed:
            bare = replace(bare, limits=counting_limits(port.policy.limits, judgement.facts, self.names))
        stages = _stage_findings(port.access.stages, judgement.facts, self.names)
        nearest = _nearest(stages) if any(one.decided and one.effect is Effect.ALLOW for one in stages) else ()
        return replace(bare, stages=stages, nearest=() if judgement.decision.allowed else nearest)


def _key(destination: Destination) -> PortKey:
    return destination.namespace, destination.service, destination.port


def _stage_findings(stages: tuple[CompiledStage, ...], facts: Facts, names: Names) -> tuple[StageFinding, ...]:
    refuser = next((at for at, one in enumerate(stages) if _refuses(one, facts)), None)
    last_allow = max((at for at, one in enumerate(stages) if _can_allow(one.stage)), default=None)
    decider = last_allow if refuser is None else refuser
    return tuple(
        StageFinding(
            effect=compiled.stage.effect,
            shadow=compiled.stage.shadow,
            asked=refuser is None or at <= refuser,
            decided=at == decider,
            span=compiled.stage.span,
            rules=_rule_findings(compiled, facts, names, is_decider=at == decider),
        )
        for at, compiled in enumerate(stages)
    )


def _refuses(compiled: CompiledStage, facts: Facts) -> bool:
    if compiled.stage.shadow:
        return False
    matched = compiled.first_match(facts) is not None
    return matched is (compiled.stage.effect is Effect.DENY)


def _can_allow(stage: Stage) -> bool:
    return stage.effect is Effect.ALLOW and not stage.shadow


def _rule_findings(compiled: CompiledStage, facts: Facts, names: Names, *, is_decider: bool) -> tuple[RuleFinding, ...]:
    first = compiled.first_match(facts) if is_decider else None
    return tuple(
        RuleFinding(
            rule=one.rule,
            text=show_rule_body(one.rule.principals, one.rule.condition, names),
            misses=(*source_misses(one.rule.principals, facts, names), *condition_misses(one.rule.condition, facts)),
            decided=one is first,
        )
        for one in compiled.rules
    )


def _nearest(stages: tuple[StageFinding, ...]) -> tuple[RuleFinding, ...]:
    allows = (one for stage in stages if stage.effect is Effect.ALLOW and not stage.shadow for one in stage.rules)
    missed = [one for one in allows if not one.matched]
    return tuple(sorted(missed, key=lambda one: len(one.misses))[:NEAREST_SHOWN])


def _route_findings(port: CompiledPort, facts: Facts, names: Names) -> tuple[RouteFinding, ...]:
    taken = first_route(port, facts)
    findings: list[RouteFinding] = []
    for compiled in port.routes:
        route = compiled.route
        misses = () if compiled is taken else _route_misses(route, facts, names)
        findings.append(RouteFinding(route=route, text=show_route(route, names), misses=misses))
        if compiled is taken:
            break
    return tuple(findings)


def _route_misses(route: Route, facts: Facts, names: Names) -> tuple[Miss, ...]:
    conditions: list[Condition] = [route.condition]
    if route.methods or route.path != ANY_PATH:
        conditions.insert(0, AnyOf((operation_condition(route.methods, route.path),)))
    misses = [miss for one in conditions for miss in condition_misses(one, facts)]
    if route.callers is not None:
        misses.extend(source_misses(route.callers, facts, names))
    return tuple(misses)
