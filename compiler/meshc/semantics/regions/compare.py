"""Compare two versions of a port: everything that is answered in another way, complete, in few readable parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from meshc.ir import Mesh
from meshc.request import Request
from meshc.semantics.decide import PortKey
from meshc.semantics.regions.alike import is_alike
from meshc.semantics.regions.boxes import cover
from meshc.semantics.regions.describe import Part, describe
from meshc.semantics.regions.diagram import Cell, Diagram, Region
from meshc.semantics.regions.ports import Outcome, PortSide, sides_of
from meshc.semantics.regions.space import Question, Space


class Change(Enum):
    """OPENED: newly let through. CLOSED: no longer. CHANGED: refused before and after, in another way."""

    OPENED = "opened"
    CLOSED = "closed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What became of some requests before, and what does after; never the same."""

    before: Outcome
    after: Outcome

    @property
    def change(self) -> Change:
        if self.after is Outcome.ALLOWED:
            return Change.OPENED
        return Change.CLOSED if self.before is Outcome.ALLOWED else Change.CHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedPart:
    """Requests that take one turn: all that fit `parts`, of which there may be none, as far as there are such requests.

    `size` counts their cells, `cell` has the classes of each variable of the space. No larger part holds `witness`.
    """

    turn: Turn
    parts: tuple[Part, ...]
    cell: Cell
    size: int
    witness: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class PortDifference:
    """All that differs between two versions of a port. `turns` has None where nothing does."""

    before: PortSide
    after: PortSide
    space: Space
    turns: Diagram[Turn | None]

    @property
    def is_empty(self) -> bool:
        """Whether both versions answer every request alike."""
        return self.turns.values() == {None}

    def region(self, change: Change) -> Region:
        """The requests for which one kind of thing changed."""
        return self.turns.where(lambda turn: turn is not None and turn.change is change)

    def parts(self) -> tuple[ChangedPart, ...]:
        """All changed requests in parts, what is newly let through first, then what no longer is; the largest of each first.

        Parts of one turn may overlap. Raises TooComplexError where they are too many.
        """
        return tuple(sorted(self._parts(), key=lambda part: (_ORDER[part.turn.change], -part.size)))

    def _parts(self) -> Iterator[ChangedPart]:
        variables = self.space.aspects.ordered
        turns = sorted(filter(None, self.turns.values()), key=lambda turn: (turn.before.value, turn.after.value))
        for turn in turns:
            for box in cover(self._taking(turn), self.space.feasible, self.space.preferred):
                yield ChangedPart(
                    turn=turn,
                    parts=describe(variables, box.cell),
                    cell=box.cell,
                    size=box.size,
                    witness=self.space.request(box.example),
                )

    def _taking(self, turn: Turn) -> Region:
        return self.turns.where(lambda found: found == turn)


_ORDER = {change: place for place, change in enumerate(Change)}


def compare(before: PortSide, after: PortSide, questions: Sequence[Question] = ()) -> PortDifference:
    """The difference of two versions of a port. Raises TooComplexError: then nothing is known."""
    space = Space.of((before, after), questions)
    turns = space.outcomes(before).zip_with(space.outcomes(after), _turn, same=None)
    return PortDifference(before=before, after=after, space=space, turns=turns)


def _turn(before: Outcome | None, after: Outcome | None) -> Turn | None:
    # Which assignments are of no request does not depend on the side, so there is either None twice or never.
    return None if before is None or after is None else Turn(before=before, after=after)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortPair:
    """A port of two meshes, that one of them lacks (None), or of which they do not say the same."""

    key: PortKey
    before: PortSide | None
    after: PortSide | None


def differing_ports(before: Mesh, after: Mesh) -> tuple[PortPair, ...]:
    """The ports that are worth comparing, in order: all but those of which both meshes say the same."""
    old, new = sides_of(before), sides_of(after)
    pairs = (PortPair(key=key, before=old.get(key), after=new.get(key)) for key in sorted(old.keys() | new.keys()))
    return tuple(
        pair for pair in pairs if pair.before is None or pair.after is None or not is_alike(pair.before, pair.after)
    )
