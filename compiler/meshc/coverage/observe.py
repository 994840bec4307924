"""Observe: what one request exercises, asked of the evaluator that `decide` is."""

from collections.abc import Iterator, Mapping

from meshc.coverage.clauses import Probe
from meshc.coverage.model import Edge, Point
from meshc.coverage.ports import PortItems
from meshc.ir import Condition, Effect, Mesh, Principals
from meshc.request import Decision, Request
from meshc.semantics.conditions import Check, condition_check
from meshc.semantics.decide import (
    CompiledPort,
    Evaluator,
    Judgement,
    PortKey,
    destinations_of,
    first_route,
    judged_ports,
    own_answer,
)
from meshc.semantics.facts import Facts
from meshc.semantics.normalize import Malformed
from meshc.semantics.principals import IdentityCheck, principals_check
from meshc.semantics.regions.ports import Cause, Outcome, outcome_of
from meshc.semantics.routing import active_faults, leaving_request


class Observer:
    """Says of requests to one mesh which points they show."""

    def __init__(self, mesh: Mesh, ports: Mapping[PortKey, PortItems]) -> None:
        self._ports = ports
        self._evaluator = Evaluator(mesh)
        self._checks: dict[Condition, Check] = {}
        self._callers: dict[Principals, IdentityCheck] = {}

    def decide(self, request: Request) -> Decision:
        """What happens to a request."""
        return self._evaluator.decide(request)

    def shown(self, request: Request) -> frozenset[Point]:
        """The points that a request shows: the route that its caller takes, and what each port makes of it that judges it.

        What a caller's own proxy answers is judged by no port, and neither are copies that are mirrored.
        """
        key = (request.namespace, request.service, request.port)
        port = self._evaluator.port(key)
        facts = None if port is None else self._evaluator.observe(port, request)
        if port is None or facts is None or isinstance(facts, Malformed):
            return frozenset()
        return frozenset(self._shown(port, self._ports[key], facts, request))

    def _shown(self, port: CompiledPort, items: PortItems, facts: Facts, request: Request) -> Iterator[Point]:
        taken = first_route(port, facts)
        route = None if taken is None else taken.route
        if items.routes and taken is not None:
            yield Point(items.routes[port.routes.index(taken)])
        active = active_faults(port.faults if taken is None else taken.faults, facts)
        if (port.routes and taken is None) or own_answer(route, active, facts) is not None:
            return
        if self._evaluator.decide(request).allowed is None:  # no version that it may go to has an endpoint
            return
        leaving = facts if route is None else leaving_request(route.settings, route.path, facts)
        if isinstance(leaving, Malformed):
            return
        for key in judged_ports(destinations_of(route, request)):
            judged = self._evaluator.port(key)
            if judged is not None:
                yield from self._judged(judged, self._ports[key], self._evaluator.judge(key, leaving, request.claims))

    def _judged(self, port: CompiledPort, items: PortItems, judgement: Judgement) -> Iterator[Point]:
        cause = _cause(port, judgement)
        yield from map(Point, items.causes[cause])
        if judgement.facts is None:
            return
        for one in items.clauses:
            if self._fits(one.clause.inside, judgement.facts):
                yield Point(one.item, Edge.INSIDE)
            if one.is_unmasked(cause) and self._fits(one.clause.outside, judgement.facts):
                yield Point(one.item, Edge.OUTSIDE)

    def _fits(self, probe: Probe, facts: Facts) -> bool:
        return (
            all(self._is_meant(one)(facts.identity) for one in probe.meant)
            and not any(self._is_meant(one)(facts.identity) for one in probe.others)
            and all(self._check(one)(facts) for one in probe.holding)
            and not any(self._check(one)(facts) for one in probe.failing)
        )

    def _check(self, condition: Condition) -> Check:
        check = self._checks.get(condition)
        if check is None:
            check = self._checks[condition] = condition_check(condition)
        return check

    def _is_meant(self, principals: Principals) -> IdentityCheck:
        check = self._callers.get(principals)
        if check is None:
            check = self._callers[principals] = principals_check(principals)
        return check


def _cause(port: CompiledPort, judgement: Judgement) -> Cause:
    """What decided, as the regions name it."""
    if judgement.facts is None:
        refused = Outcome.NO_CONNECTION if judgement.decision.status is None else Outcome.UNAUTHENTICATED
        return Cause(outcome=refused)
    found = Cause(outcome=Outcome.ALLOWED)
    for place, compiled in enumerate(port.access.stages):
        if compiled.stage.shadow:
            continue
        matches = (number for number, rule in enumerate(compiled.rules) if rule.matches(judgement.facts))
        first = next(matches, None)
        if first is not None:
            found = Cause(outcome=outcome_of(compiled.stage.effect), stage=place, rule=first)
            if compiled.stage.effect is Effect.DENY:
                return found
        elif compiled.stage.effect is Effect.ALLOW:
            return Cause(outcome=Outcome.FORBIDDEN, stage=place)
    return found
