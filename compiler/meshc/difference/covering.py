"""Cover a set with named parts: how people would say which of all callers, or of all paths, are meant.

Sets are bit masks over the same cells. Answers are exact: what is included, less what is excluded, holds all that is wanted,
and besides at most what is optional.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from heapq import heapify, heappop, heappush
from operator import or_
from typing import Final

_WHOLES_TRIED: Final = 8
_PRICE_OF_EXCLUDING: Final = 1.5
"""What a reader finds harder: one part more, or one exception."""


@dataclass(frozen=True, slots=True)
class Part:
    """A set with a name."""

    name: str
    cells: int


@dataclass(frozen=True, slots=True)
class Cover:
    """The names of what is meant, and of what is taken away from all of it, each in the order of the parts."""

    include: tuple[str, ...]
    exclude: tuple[str, ...] = ()

    @property
    def price(self) -> float:
        """How hard it is to read."""
        return len(self.include) + _PRICE_OF_EXCLUDING * len(self.exclude)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What must be covered, and what may be: nobody can tell whether it is."""

    cells: int
    optional: int = 0

    @property
    def allowed(self) -> int:
        return self.cells | self.optional


def cover(wanted: Wanted, parts: Sequence[Part]) -> Cover | None:
    """The simplest cover that is found; None where the parts cannot tell what is wanted from the rest.

    Of equally simple ones, it is the one that says least of what is optional, and then the one of the earlier parts.
    """
    covers = [_directly(wanted, parts)]
    covers += (_with_exceptions(one, wanted, parts) for one in _wholes(wanted, parts))
    found = [one for one in covers if one is not None]
    return min(found, key=lambda one: (one.price, _beyond(one, wanted, parts)), default=None)


def _beyond(found: Cover, wanted: Wanted, parts: Sequence[Part]) -> int:
    """How many cells are said that need not be."""
    cells = {one.name: one.cells for one in reversed(parts)}
    included = reduce(or_, (cells[name] for name in found.include), 0)
    return (included & ~reduce(or_, (cells[name] for name in found.exclude), 0) & wanted.optional).bit_count()


def _directly(wanted: Wanted, parts: Sequence[Part]) -> Cover | None:
    chosen = _greedy(wanted.cells, wanted.allowed, parts)
    return None if chosen is None else Cover(chosen)


def _wholes(wanted: Wanted, parts: Sequence[Part]) -> list[Part]:
    """The parts that hold what is not allowed as well; those with most of what is wanted for what they hold of that."""
    fitting = [one for one in parts if one.cells & wanted.cells and one.cells & ~wanted.allowed]

    def gain(one: Part) -> int:
        return (one.cells & wanted.cells).bit_count() - (one.cells & ~wanted.allowed).bit_count()

    return sorted(fitting, key=gain, reverse=True)[:_WHOLES_TRIED]


def _with_exceptions(whole: Part, wanted: Wanted, parts: Sequence[Part]) -> Cover | None:
    further = _greedy(wanted.cells & ~whole.cells, wanted.allowed, parts)
    excluded = _greedy(whole.cells & ~wanted.allowed, ~wanted.cells, parts)
    if further is None or excluded is None:
        return None
    names = {whole.name, *further}
    return Cover(tuple(dict.fromkeys(one.name for one in parts if one.name in names)), excluded)


def _greedy(wanted: int, allowed: int, parts: Sequence[Part]) -> tuple[str, ...] | None:
    """Parts within `allowed` that cover `wanted`, the one with most of what is left first."""
    waiting = [
        (*_rank(one, wanted), place)
        for place, one in enumerate(parts)
        if one.cells & wanted and not one.cells & ~allowed
    ]
    heapify(waiting)
    chosen: set[str] = set()
    left = wanted
    while left:
        if not waiting:
            return None
        covered, _, place = heappop(waiting)
        rank = _rank(parts[place], left)
        if rank[0] == covered:  # what is left only gets less, so nothing still waiting covers more
            chosen.add(parts[place].name)
            left &= ~parts[place].cells
        elif rank[0]:
            heappush(waiting, (*rank, place))
    return tuple(dict.fromkeys(one.name for one in parts if one.name in chosen))


def _rank(part: Part, left: int) -> tuple[int, int]:
    """The smaller, the more a part covers, and then the less it says besides."""
    return -(part.cells & left).bit_count(), part.cells.bit_count()
