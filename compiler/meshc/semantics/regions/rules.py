"""Rules: for each the requests that it matches, and those that it decides."""

from dataclasses import dataclass, field

from meshc.ir import Rule
from meshc.semantics.regions.diagram import Diagram, Region
from meshc.semantics.regions.ports import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRegion:
    """One rule of a port. `cause` says which it is, and what it does where it decides.

    A rule that matches nothing can never count. One that decides nothing is covered by what is asked before it, or, if it is an
    ALLOW rule, by what refuses later. Regions are worked out when they are asked for.
    """

    rule: Rule
    cause: Cause
    is_deciding: bool
    matched: Region = field(repr=False)
    """The assignments that principals and condition hold for, possible or not."""
    reaching: Region = field(repr=False)
    causes: Diagram[Cause | None] = field(repr=False)

    @property
    def matches(self) -> Region:
        """The requests that it matches, among those that stages are asked about."""
        return self.matched & self.reaching

    @property
    def decides(self) -> Region:
        """The requests for which it is the one that decides."""
        return self.causes.where(lambda cause: cause == self.cause)
