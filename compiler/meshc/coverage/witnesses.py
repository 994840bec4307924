"""Witnesses: for the points of one port, requests that show them, or why no test can."""

from functools import cached_property
from typing import Final

from meshc.coverage.clauses import Probe
from meshc.coverage.model import Edge, Item, Point, Standing
from meshc.coverage.ports import ClauseItem, PortItems
from meshc.coverage.sayable import Unsayable, sayable
from meshc.coverage.sending import Sending
from meshc.difference.examples import Examples
from meshc.difference.naming import Naming
from meshc.ir import ALWAYS, AnyIdentity, AnyPeer, IdentityPrefix, Principals
from meshc.request import Request
from meshc.semantics.regions.diagram import Region
from meshc.semantics.regions.ports import Cause, Outcome
from meshc.semantics.regions.space import Question, Space

_WITH_IDENTITY: Final = Principals((AnyIdentity(),))
NEVER_SENT: Final = "the callers' proxies send no such request"


class Witnesses:
    """Finds requests for one port. Everything raises TooComplexError: then nothing is known of the port."""

    def __init__(self, items: PortItems) -> None:
        self._items = items
        self._side = items.side
        self._sending = Sending(items.side)

    @cached_property
    def _space(self) -> Space:
        known = (Question(principals=one, condition=ALWAYS) for one in (_WITH_IDENTITY, self._strangers))
        return Space.of((self._side,), (*self._sending.questions(), *known))

    @property
    def _strangers(self) -> Principals:
        """Callers of no known trust domain, those without identity among them."""
        domains = self._side.mesh.trust_domains
        return Principals((AnyPeer(),), tuple(IdentityPrefix(f"spiffe://{one}/") for one in domains))

    @cached_property
    def _examples(self) -> Examples:
        naming = Naming(names=self._items.names, groups={})
        return Examples(self._space, naming, (self._side, self._side))

    # ---- regions ----------------------------------------------------------------------------------------------------

    @cached_property
    def _causes(self) -> dict[Item, Cause]:
        return {item: cause for cause, items in self._items.causes.items() for item in items}

    @cached_property
    def _clauses(self) -> dict[Item, ClauseItem]:
        return {one.item: one for one in self._items.clauses}

    def _regions(self, point: Point) -> tuple[Region, Region]:
        """The requests that show a point when they arrive, and requests that are better examples than others."""
        one = self._clauses.get(point.item)
        if one is None:
            wanted = self._causes[point.item]
            region = self._space.causes(self._side).where(lambda cause: cause == wanted)
            return region, region
        probe = one.clause.inside if point.edge is Edge.INSIDE else one.clause.outside
        return self._probed(probe), self._telling(one, point.edge)

    def _probed(self, probe: Probe) -> Region:
        space, side = self._space, self._side
        region = space.reaching_rules(side)
        for meant in probe.meant:
            region &= space.meant(side, meant)
        for other in probe.others:
            region -= space.meant(side, other)
        for holding in probe.holding:
            region &= space.condition(side, holding)
        for failing in probe.failing:
            region -= space.condition(side, failing)
        return region

    def _telling(self, one: ClauseItem, edge: Edge) -> Region:
        """The requests whose answer would be another if the clause were: inside its rule decides, outside nothing else does."""
        causes = self._space.causes(self._side)
        if edge is Edge.INSIDE:
            return causes.where(lambda cause: cause == one.cause)
        if one.cause.outcome is Outcome.ALLOWED:
            return causes.where(_is_unmatched)
        return causes.where(lambda cause: cause is not None and cause.outcome is Outcome.ALLOWED)

    @cached_property
    def _sayable(self) -> Region:
        """The requests that tests have words for, as far as callers and claims go."""
        space = self._space
        region = space.feasible - (space.callers(_WITH_IDENTITY) & space.callers(self._strangers))
        token = space.aspects.token
        for claim in () if token is None else token.claims.values():
            lists = 0 if claim.listed is None else 1 << claim.listed
            region = region.restrict(claim.kind.level, claim.kind.full & ~lists)
        return region

    # ---- requests ---------------------------------------------------------------------------------------------------

    def find(self, point: Point) -> Request | Standing | Unsayable:
        """A request that a test can send and that shows a point; IMPOSSIBLE where no request at all shows it."""
        if point.item in self._items.routes:
            region = self._sending.taking(self._space, self._items.routes.index(point.item))
            return self._said((region,)) if not region.is_empty else Standing.IMPOSSIBLE
        region, telling = self._regions(point)
        if region.is_empty:
            return Standing.IMPOSSIBLE
        sent = self._sending.sent(self._space, region)
        if sent.is_empty:
            return Unsayable(NEVER_SENT)
        return self._said((self._sending.sent(self._space, region & telling), sent))

    def _said(self, regions: tuple[Region, ...]) -> Request | Unsayable:
        problem = Unsayable(NEVER_SENT)
        for region in (*(one & self._sayable for one in regions), *regions):
            if region.is_empty:
                continue
            found = sayable(self._examples.request(region), self._side.mesh)
            if not isinstance(found, Unsayable):
                return found
            problem = found
        return problem


def _is_unmatched(cause: Cause | None) -> bool:
    """Whether no rule decided, and the request was refused for that."""
    return cause is not None and cause.outcome is Outcome.FORBIDDEN and cause.rule is None
