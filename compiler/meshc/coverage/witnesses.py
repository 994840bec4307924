"""Witnesses: for the points of one port, requests that show them, or why no test can."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Final

from meshc.coverage.clauses import Probe
from meshc.coverage.model import Edge, Item, Point, Standing
from meshc.coverage.near import METHODS, just_outside
from meshc.coverage.ports import ClauseItem, PortItems
from meshc.coverage.sayable import Unsayable, sayable
from meshc.coverage.sending import Sending
from meshc.difference.examples import Examples
from meshc.difference.naming import Naming
from meshc.ir import ALWAYS, AnyIdentity, AnyPeer, IdentityPrefix, MethodIs, Principals
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
        causes = self._space.causes(self._side)
        if point.edge is Edge.INSIDE:
            return self._probed(one.clause.inside), causes.where(lambda cause: cause == one.cause)
        region = self._probed(one.clause.outside) & causes.where(one.is_unmasked)
        return region, causes.where(_is_allowed) if one.cause.outcome is Outcome.FORBIDDEN else region

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
            if region.is_empty:
                return Standing.IMPOSSIBLE
            # Where a request went that is refused, real sidecars do not show.
            arriving = self._sending.sent(self._space, self._space.allowed(self._side))
            return self._said((region & arriving, region))
        region, better = self._regions(point)
        if region.is_empty:
            return Standing.IMPOSSIBLE
        sent = self._sending.sent(self._space, region)
        if sent.is_empty:
            return Unsayable(NEVER_SENT)
        return self._said((self._sending.sent(self._space, region & better), sent))

    def near(self, point: Point) -> Iterator[Request]:
        """Requests that may show a clause from just outside, the nearest first; a test can say them all."""
        one = self._clauses[point.item]
        inside = self.find(Point(point.item, Edge.INSIDE))
        if isinstance(inside, Request):
            side = self._side
            for request in just_outside(one.clause.test, inside, side.mesh, side.port.protocol):
                found = sayable(request, side.mesh)
                if not isinstance(found, Unsayable):
                    yield found

    def _said(self, regions: tuple[Region, ...]) -> Request | Unsayable:
        problem = Unsayable(NEVER_SENT)
        for region in (*(one & self._sayable for one in regions), *regions):
            if region.is_empty:
                continue
            found = sayable(self._with_usual_method(self._examples.request(region)), self._side.mesh)
            if not isinstance(found, Unsayable):
                return found
            problem = found
        return problem

    def _with_usual_method(self, request: Request) -> Request:
        """The request with a method that people know, where any that no rule names will do."""
        variable = self._space.aspects.method
        named = {test.methods[0] for test in variable.tests if isinstance(test, MethodIs)} if variable else set[str]()
        if variable is None or request.method in named:
            return request
        return replace(request, method=next((one for one in METHODS if one not in named), request.method))


def _is_allowed(cause: Cause | None) -> bool:
    return cause is not None and cause.outcome is Outcome.ALLOWED
