"""Regions in pieces: what one side does otherwise, as boxes that people can read, each with what no larger one says."""

from collections.abc import Sequence
from dataclasses import dataclass

from meshc.difference.covering import Wanted
from meshc.semantics.regions.boxes import cover
from meshc.semantics.regions.diagram import Cell, Diagram, Region
from meshc.semantics.regions.forest import Forest


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One box of a region. `inside` are the requests of it that no larger piece holds; `wanted[level]` are their classes.

    What is optional of a variable lies in the region too, or stands for no request.
    """

    wanted: tuple[Wanted, ...]
    inside: Region
    size: int


def pieces_of(region: Region, possible: Region, preferred: Sequence[int]) -> tuple[Piece, ...]:
    """The pieces of a region, the largest first; together they are the region. `possible` has what a reader may think of.

    Raises TooComplexError where they are too many.
    """
    pieces: list[Piece] = []
    left = region & possible
    for box in cover(left, possible, preferred):
        inside = left & as_region(region.forest, box.cell)
        if not inside.is_empty:
            pieces.append(Piece(wanted=_wanted(box.cell, inside), inside=inside, size=inside.size))
            left -= inside
    return tuple(sorted(pieces, key=lambda piece: -piece.size))


def _wanted(cell: Cell, inside: Region) -> tuple[Wanted, ...]:
    needed = [inside.classes(level) for level in range(len(cell))]
    return tuple(Wanted(some, bits & ~some) for some, bits in zip(needed, cell, strict=True))


def as_region(forest: Forest, cell: Cell) -> Region:
    """The assignments of a cell."""
    constrained = (level for level, bits in enumerate(cell) if bits != forest.full[level])
    return Diagram(forest, forest.all_of(forest.literal(level, cell[level]) for level in constrained))
