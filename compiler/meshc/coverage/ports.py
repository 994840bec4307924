"""Ports: what there is to exercise on each port of a mesh, whether some request could or not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from meshc.coverage.clauses import Clause, clauses_of, show_rpc
from meshc.coverage.model import Edge, Item, Kind, Point
from meshc.ir import ALWAYS, Effect, Protocol, Route, Rule
from meshc.semantics.decide import PortKey
from meshc.semantics.regions.ports import Cause, Outcome, PortSide, outcome_of
from meshc.semantics.show import Names, show_condition, show_operation, show_principals, show_rule_body
from meshc.source import BUILTIN, SourceFile, Span
from meshc.written import written

OTHER_REQUESTS = "requests that no route matches"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseItem:
    """A clause of a port's rule. `cause` is what decides where the rule does."""

    clause: Clause
    item: Item
    cause: Cause

    def is_unmasked(self, cause: Cause | None) -> bool:
        """Whether the rule would decide a request that is decided so, if it matched: no deny does, nor any allow, if it is one."""
        if cause is None:
            return False
        if self.cause.outcome is Outcome.ALLOWED:
            return cause.outcome is Outcome.FORBIDDEN and cause.rule is None
        return cause.outcome is Outcome.ALLOWED or (cause.outcome is Outcome.FORBIDDEN and cause.rule is None)


@dataclass(frozen=True, kw_only=True)
class PortItems:
    """What there is to exercise on one port."""

    side: PortSide
    names: Names
    sources: Mapping[str, SourceFile] = field(default_factory=dict)

    @property
    def key(self) -> PortKey:
        return self.side.key

    @property
    def service(self) -> str:
        return f"{self.key[0]}.{self.key[1]}"

    @cached_property
    def causes(self) -> Mapping[Cause, tuple[Item, ...]]:
        """What can decide a request, with the items that are exercised then: its region, and its rule if it has one."""
        found: dict[Cause, tuple[Item, ...]] = {}
        for cause, span, text in self._outcomes():
            found[cause] = (Item(kind=Kind.REGION, span=self._placed(span), text=text, port=self.key),)
        for cause, rule in self._rules():
            shown = self._shown(cause, rule)
            region = Item(kind=Kind.REGION, span=rule.span, text=f"{_answer(cause)} by `{shown}`", port=self.key)
            found[cause] = (Item(kind=Kind.RULE, span=rule.span, text=shown), region)
        return found

    @cached_property
    def clauses(self) -> tuple[ClauseItem, ...]:
        """The clauses of all rules that have a say."""
        return tuple(one for cause, rule in self._rules() for one in self._clauses(cause, rule))

    @cached_property
    def routes(self) -> tuple[Item, ...]:
        """The routes in their order, each operation by itself; none where the port's requests are all routed alike."""
        routes = self.side.port.routes
        if len(routes) < 2:
            return ()
        shown = (*(self._route(route) for route in routes[:-1]), OTHER_REQUESTS)
        return tuple(
            Item(kind=Kind.ROUTE, span=self._placed(route.span), text=text)
            for route, text in zip(routes, shown, strict=True)
        )

    def points(self) -> Iterator[Point]:
        """Every point of every item."""
        for items in self.causes.values():
            yield from map(Point, items)
        for one in self.clauses:
            yield from (Point(one.item, edge) for edge in (Edge.INSIDE, Edge.OUTSIDE))
        yield from map(Point, self.routes)

    # ---- parts ------------------------------------------------------------------------------------------------------

    def _outcomes(self) -> Iterator[tuple[Cause, Span, str]]:
        """What decides but rules, in the server's order."""
        side, port = self.side, self.side.port
        if not side.is_external and not side.hides_identities:
            yield Cause(outcome=Outcome.NO_CONNECTION), port.span, "no connection for this caller"
        if side.view.providers:
            yield Cause(outcome=Outcome.UNAUTHENTICATED), side.view.providers[0].span, "401: the token is not accepted"
        is_open = True
        for place, stage in side.stages:
            if stage.effect is Effect.ALLOW:
                is_open = False
                text = "no allow rule fits" if stage.rules else "default access deny"
                yield Cause(outcome=Outcome.FORBIDDEN, stage=place), stage.span, f"denied: {text}"
        if is_open:
            yield Cause(outcome=Outcome.ALLOWED), port.span, "allowed: default access allow"

    def _rules(self) -> Iterator[tuple[Cause, Rule]]:
        for place, stage in self.side.stages:
            for number, rule in enumerate(stage.rules):
                yield Cause(outcome=outcome_of(stage.effect), stage=place, rule=number), rule

    def _clauses(self, cause: Cause, rule: Rule) -> Iterator[ClauseItem]:
        shown = self._shown(cause, rule)
        is_grpc = self.side.port.protocol is Protocol.GRPC
        for one in clauses_of(rule, self.names, is_grpc=is_grpc):
            item = Item(kind=Kind.CLAUSE, span=rule.span, text=one.text, path=one.path, rule=shown)
            yield ClauseItem(clause=one, item=item, cause=cause)

    def _shown(self, cause: Cause, rule: Rule) -> str:
        """A rule as it is written, where that is known."""
        as_written = written(rule.span, self.sources)
        if as_written is not None:
            return as_written
        verb = "allow" if cause.outcome is Outcome.ALLOWED else "deny"
        return f"{verb} {show_rule_body(rule.principals, rule.condition, self.names)}"

    def _route(self, route: Route) -> str:
        is_rpc = self.side.port.protocol is Protocol.GRPC and route.methods == ("POST",)
        call = show_rpc(route.path) if is_rpc else None
        parts = [f"route {call or show_operation(route.methods, route.path)}"]
        if route.condition != ALWAYS:
            parts.append(f"when {show_condition(route.condition)}")
        if route.callers is not None:
            parts.append(f"by {show_principals(route.callers, self.names)}")
        return " ".join(parts)

    def _placed(self, span: Span) -> Span:
        """The port's own place, for what no file declares."""
        return self.side.port.span if span.path == BUILTIN.path else span


def _answer(cause: Cause) -> str:
    return "allowed" if cause.outcome is Outcome.ALLOWED else "denied"
