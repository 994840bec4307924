"""Boxes: a set of requests, covered by few products of sets of classes, for people to read.

A box is as wide as the set lets it be, and boxes may overlap: what they say together is the set, no more and no less.
Assignments that are of no request count as inside wherever that makes a box simpler.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions.diagram import Cell, Diagram, Region, weights
from meshc.semantics.regions.forest import Bits, Forest, Node

MAX_BOXES: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One product of classes, `cell[level]` for each variable; it constrains those where not all classes are in it.

    `size` is how many assignments of the set it holds, `example` one that no larger box of the cover holds.
    """

    cell: Cell
    size: int
    example: tuple[int, ...]


def cover(region: Region, feasible: Region, preferred: Sequence[int]) -> tuple[Box, ...]:
    """Boxes that cover a region of possible requests, the largest first. Raises TooComplexError where they are too many."""
    forest = region.forest
    allowed = (region | ~feasible).root
    boxes: list[Box] = []
    rest = region
    counts: dict[Node, int] = {}
    while not rest.is_empty:
        if len(boxes) == MAX_BOXES:
            raise TooComplexError(f"it takes more than {MAX_BOXES} parts to describe")
        cell = _heaviest_path(rest, counts)
        for level in reversed(range(forest.bottom)):
            if cell[level] != forest.full[level]:
                cell = _replaced(cell, level, _width(forest, allowed, cell, level))
        inside = _as_region(forest, cell)
        example = (rest & inside).any_path(preferred)
        assert example is not None  # the path that the box grew from lies in it
        boxes.append(Box(cell=cell, size=_count_inside(forest, region.root, cell), example=example))
        rest -= inside
    return tuple(sorted(boxes, key=lambda box: -box.size))


def _replaced(cell: Cell, level: int, bits: Bits) -> Cell:
    return (*cell[:level], bits, *cell[level + 1 :])


def _heaviest_path(region: Region, counts: dict[Node, int]) -> Cell:
    """The cell of a path to `true`, with most assignments at each step; `counts` are those of the nodes met so far."""
    forest = region.forest
    cell = list(forest.full)
    weights(forest, region.root, forest.true, counts)
    node = region.root
    while node != forest.true:
        level = forest.level(node)
        bits, node = max(forest.edges(node), key=lambda edge: (edge[0].bit_count() * counts[edge[1]], -edge[1]))
        cell[level] = bits
    return tuple(cell)


def _as_region(forest: Forest, cell: Cell) -> Region:
    narrowed = (level for level, bits in enumerate(cell) if bits != forest.full[level])
    return Diagram(forest, forest.all_of(forest.literal(level, cell[level]) for level in narrowed))


def _width(forest: Forest, allowed: Node, cell: Cell, level: int) -> Bits:
    """The classes of one variable with which the rest of a cell lies inside a set."""
    full = forest.full[level]
    found: dict[Node, Bits] = {forest.true: full, forest.false: 0}
    for node in _inside(forest, allowed, cell, level):
        if node in found:
            continue
        at = forest.level(node)
        if at == level:
            found[node] = sum(bits for bits, child in forest.edges(node) if found[child])
            continue
        width = full
        for bits, child in forest.edges(node):
            if bits & cell[at]:
                width &= found[child]
        found[node] = width
    return found[allowed]


def _count_inside(forest: Forest, root: Node, cell: Cell) -> int:
    """How many assignments of a set lie in a cell."""
    sizes = [bits.bit_count() for bits in cell]
    found: dict[Node, int] = {forest.true: 1, forest.false: 0}  # for each node those of the variables from its level on
    for node in _inside(forest, root, cell):
        if node not in found:
            level = forest.level(node)
            found[node] = sum(
                (bits & cell[level]).bit_count() * found[child] * prod(sizes[level + 1 : forest.level(child)])
                for bits, child in forest.edges(node)
                if bits & cell[level]
            )
    return found[root] * prod(sizes[: forest.level(root)])


def _inside(forest: Forest, root: Node, cell: Cell, free: int | None = None) -> list[Node]:
    """The nodes that a cell leads to, the lowest first; the class of `free` may be any."""
    seen = {root}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        level = forest.level(node)
        for bits, child in forest.edges(node):
            if child not in seen and (level == free or bits & cell[level]):
                seen.add(child)
                waiting.append(child)
    return sorted(seen, key=forest.level, reverse=True)
