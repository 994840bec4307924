"""The nearest requests that are allowed: those that differ from a refused one in the fewest dimensions.

Found exactly, with the regions of the port that refuses: no allowed request differs in fewer dimensions there. Each is asked of
`decide` before it is told, with routing and all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import combinations
from typing import Final

from meshc.explaining.dimensions import Dimension, changed, dimensions_of, in_words
from meshc.explaining.model import RequestChange
from meshc.ir import AddressOf
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc.semantics.facts import Facts
from meshc.semantics.regions import PortSide, Region, Space
from meshc.semantics.regions.aspects import FORWARDED
from meshc.semantics.regions.forest import bits_of
from meshc.semantics.regions.literals import collect_literals
from meshc.semantics.regions.locate import class_of_identity, locate
from meshc.semantics.regions.networks import address_variable
from meshc.semantics.show import Names, identity_names, show_identity
from meshc.semantics.show_request import show_request

MAX_CHANGES: Final = 3
"""How many changed dimensions are still a change of the request, and not another request."""

MAX_SHOWN: Final = 5


def nearest_requests(evaluator: Evaluator, side: PortSide, request: Request, facts: Facts) -> tuple[RequestChange, ...]:
    """Allowed requests with the fewest dimensions changed; none where that takes more than a few.

    `side` is the port that refuses, `facts` are those of the request as it leaves its caller. Raises TooComplexError.
    """
    space = Space.of((side,))
    at = locate(space.aspects, facts, request.claims)
    if at is None:
        return ()
    search = _Search(
        evaluator=evaluator,
        side=side,
        space=space,
        allowed=space.allowed(side) & space.feasible,
        request=request,
        at=at,
        names=identity_names(evaluator.mesh),
        addresses=_addresses(side, space) if _is_own_client(request) else (),
    )
    for size in range(1, MAX_CHANGES + 1):
        found = tuple(search.with_changes(size))
        if found:
            return found[:MAX_SHOWN]
    return ()


def _is_own_client(request: Request) -> bool:
    """Whether nobody stands before the peer: its address is then the client's, and the two change together."""
    return all(name.lower() != FORWARDED for name, _ in request.headers)


def _addresses(side: PortSide, space: Space) -> tuple[str, ...]:
    """One address of each class that tests of peers and of clients make together; none where only one of the two is tested."""
    if space.aspects.peer is None or not space.aspects.clients:
        return ()
    literals = collect_literals((side,))
    blocks = dict.fromkeys((*literals.peers, *(one for found in literals.clients.values() for one in found)))
    values = address_variable(0, AddressOf.PEER, tuple(blocks)).values
    return tuple(one for one in values if one is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """`addresses` are what to try where the client's address is the peer's, which only such an example keeps together."""

    evaluator: Evaluator
    side: PortSide
    space: Space
    allowed: Region
    request: Request
    at: tuple[int, ...]
    names: Names
    addresses: tuple[str, ...]

    def with_changes(self, size: int) -> Iterator[RequestChange]:
        """One allowed request for each choice of dimensions, as far as there are such."""
        dimensions = dimensions_of(self.space.aspects, self.at)
        for chosen in combinations(dimensions, size):
            region = self._changing(chosen)
            if not region.is_empty and (found := self._example(region, chosen)) is not None:
                yield found

    def _changing(self, chosen: Sequence[Dimension]) -> Region:
        """The allowed requests that differ in the chosen dimensions alone."""
        free = {level for one in chosen for level in one.levels}
        if self._is_moving(chosen):
            free |= {one.level for one in self.space.aspects.clients.values()}
        region = self.allowed
        for level, number in enumerate(self.at):
            if level not in free:
                region = region.restrict(level, 1 << number)
        return region

    def _example(self, region: Region, chosen: Sequence[Dimension]) -> RequestChange | None:
        """The example that is most like the request. Each choice narrows the next ones."""
        preferred = list(self.at)
        callers: tuple[str, ...] = ()
        for one in chosen:
            level = one.levels[0]
            if len(one.levels) > 1:
                preferred[level] = self.space.preferred[level]
                continue
            classes = region.classes(level)
            if one.kind == "caller":
                callers = self._workloads(classes)
                if not callers:
                    return None
                number = class_of_identity(self.space.aspects.ordered[level], callers[0])
            else:
                number = self._most_alike(level, classes)
            if number is not None:
                region = region.restrict(level, 1 << number)
        assignment = region.any_path(preferred)
        return None if assignment is None else self._checked(self.space.request(assignment), chosen, callers)

    def _is_moving(self, chosen: Sequence[Dimension]) -> bool:
        """Whether the client moves with the peer."""
        kinds = {one.kind for one in chosen}
        return bool(self.addresses) and "address" in kinds and "client" not in kinds

    def _checked(self, witness: Request, chosen: Sequence[Dimension], callers: tuple[str, ...]) -> RequestChange | None:
        witness = replace(witness, identity=callers[0]) if callers else witness
        request = self.request
        for one in chosen:
            request = changed(request, witness, one)
        others = self.addresses if self._is_moving(chosen) else ()
        asked = (request, *(replace(request, source_ip=one) for one in others if one != self.request.source_ip))
        allowed = next((one for one in asked if self.evaluator.decide(one).allowed is True), None)
        if allowed is None:
            return None
        return RequestChange(
            changes=tuple(in_words(allowed, self._callers_text(callers), one) for one in chosen),
            request=allowed,
            text=show_request(allowed, self.side.port.protocol, self.names),
        )

    def _workloads(self, classes: int) -> tuple[str, ...]:
        """The identities of a mesh's own services among some classes of callers; the service itself comes last."""
        caller = self.space.aspects.caller
        if caller is None:
            return ()
        ordered = sorted(self.side.mesh.workloads, key=lambda one: (one.namespace, one.name) == self.side.key[:2])
        own = dict.fromkeys(one.identity for one in ordered)
        known = ((identity, class_of_identity(caller, identity)) for identity in own)
        return tuple(identity for identity, number in known if number is not None and classes >> number & 1)

    def _callers_text(self, callers: tuple[str, ...]) -> str:
        shown = " or ".join(show_identity(one, self.names) for one in callers[:3])
        return f"{shown} or {len(callers) - 3} more" if len(callers) > 3 else shown

    def _most_alike(self, level: int, classes: int) -> int | None:
        """The class whose example reads most like the request's own text; the usual one where there is nothing to read."""
        variable = self.space.aspects.ordered[level]
        own = (self.request.path or "").partition("?")[0] if variable is self.space.aspects.path else ""
        numbers = list(bits_of(classes))
        if variable.preferred in numbers and not own:
            return variable.preferred
        return max(
            numbers, key=lambda one: SequenceMatcher(None, own, variable.values[one] or "").ratio(), default=None
        )
