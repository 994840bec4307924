"""Reach: whether some request of some callers gets to a port, and one that does.

Exact: asked of the regions of `meshc.semantics.regions`, never sampled. What is asked here is what a destination lets through;
callers' routes do not count, since whoever holds a certificate may send what it likes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from meshc import ir
from meshc.ir import MtlsMode
from meshc.request import Request
from meshc.semantics.regions.diagram import Region
from meshc.semantics.regions.ports import Outcome, PortSide, sides_of
from meshc.semantics.regions.space import Question, Space
from meshc.target import PortKey

ANYONE: Final = ir.Principals((ir.AnyPeer(),))
_NOBODY: Final = ir.Principals((ir.AnyPeer(),), (ir.AnyIdentity(),))
"""Callers without identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reacher:
    """Answers for one mesh; each port's answers to whole services are kept, since chains of calls ask for them again."""

    sides: Mapping[PortKey, PortSide]
    _known: dict[tuple[PortKey, str], Request | None] = field(default_factory=dict)

    @classmethod
    def of(cls, mesh: ir.Mesh) -> "Reacher":
        return cls(sides=sides_of(mesh))

    def allowed(self, key: PortKey, callers: ir.Principals, condition: ir.Condition) -> Request | None:
        """A request of the callers that fulfils the condition and is let through; None if there is none.

        Where mTLS is not strict, the callers could leave their identity out, so requests without one count as theirs.
        Raises TooComplexError.
        """
        space, region = self._asked(key, callers, condition, with_nobody=True)
        return space.witness(region & space.allowed(self.sides[key]))

    def allowed_others(self, key: PortKey, callers: ir.Principals, condition: ir.Condition) -> Request | None:
        """The same of everybody but the callers."""
        space = self._space(key, callers, condition)
        side = self.sides[key]
        others = space.feasible - space.callers(callers)
        return space.witness(others & space.condition(side, condition) & space.allowed(side))

    def refused(self, key: PortKey, callers: ir.Principals, condition: ir.Condition) -> Request | None:
        """A request of the callers that fulfils the condition and is refused, though it connects as the port wants it to and
        has no token that is refused.
        """
        space, region = self._asked(key, callers, condition, with_nobody=False)
        side = self.sides[key]
        outcomes = space.outcomes(side)
        connected = outcomes.where(lambda outcome: outcome not in {None, Outcome.NO_CONNECTION, Outcome.ALLOWED})
        refused = region & connected
        answered = outcomes.where(lambda outcome: outcome is Outcome.UNAUTHENTICATED)
        required = any(jwt.required for jwt in side.port.jwts)
        witness = space.witness(refused - answered)
        if witness is None and required:
            witness = space.witness(refused & answered & self._without_token(space))
        return witness

    def hop(self, key: PortKey, caller: ir.Workload) -> Request | None:
        """Any request of a service that the port lets through."""
        known = (key, caller.identity)
        if known not in self._known:
            callers = ir.Principals((ir.ExactIdentity(caller.identity),))
            self._known[known] = self.allowed(key, callers, ir.ALWAYS)
        return self._known[known]

    def _without_token(self, space: Space) -> Region:
        token = space.aspects.token
        if token is None:
            return space.feasible
        return space.feasible.restrict(token.given.level, token.given.full & ~0b10)

    def _space(self, key: PortKey, callers: ir.Principals, condition: ir.Condition) -> Space:
        questions = [Question(principals=one, condition=condition) for one in (callers, _NOBODY)]
        return Space.of([self.sides[key]], questions)

    def _asked(
        self, key: PortKey, callers: ir.Principals, condition: ir.Condition, *, with_nobody: bool
    ) -> tuple[Space, Region]:
        side = self.sides[key]
        space = self._space(key, callers, condition)
        who = space.callers(callers)
        if with_nobody and is_open_to_nobody(side):
            who |= space.callers(_NOBODY)
        return space, who & space.condition(side, condition)


def is_open_to_nobody(side: PortSide) -> bool:
    """Whether a caller may leave its identity out and still get a connection."""
    return not side.is_external and (side.hides_identities or side.port.mtls is not MtlsMode.STRICT)
