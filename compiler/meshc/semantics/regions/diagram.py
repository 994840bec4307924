"""Decision diagrams with their values: functions from assignments of classes to values of one type, and sets of assignments.

An assignment gives each variable a class, `assignment[level]`. A `Region` is a set of assignments: a diagram of booleans.
Two diagrams of one forest are equal exactly if they are the same function.
"""

from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from meshc.semantics.regions.forest import Bits, Forest, Node

T = TypeVar("T", bound=Hashable)
U = TypeVar("U", bound=Hashable)

Cell = tuple[Bits, ...]
"""A product of sets of classes, one set for each variable."""


@dataclass(frozen=True, slots=True)
class Diagram(Generic[T]):
    """A function of assignments."""

    forest: Forest = field(repr=False)
    root: Node

    # ---- functions --------------------------------------------------------------------------------------------------

    def map(self, function: Callable[[T], U]) -> "Diagram[U]":
        """The values, each replaced by what a function makes of it."""
        forest = self.forest
        root = forest.convert(self.root, lambda node: forest.terminal(function(self._value(node))))
        return Diagram(forest, root)

    def where(self, accepts: Callable[[T], bool]) -> "Region":
        """The assignments whose value is accepted."""
        return self.map(accepts)

    def zip_with(self, other: "Diagram[T]", function: Callable[[T, T], U], *, same: U) -> "Diagram[U]":
        """What a function makes of the values of two diagrams of one forest; `same` is what it makes of equal ones."""
        forest = self.forest
        root = forest.combine(
            self.root,
            other.root,
            lambda one, another: forest.terminal(function(self._value(one), self._value(another))),
            same=forest.terminal(same),
        )
        return Diagram(forest, root)

    def values(self) -> frozenset[T]:
        """The values that occur."""
        bottom = self.forest.bottom
        return frozenset(
            self._value(node) for node in below(self.forest, self.root) if self.forest.level(node) == bottom
        )

    def at(self, assignment: Sequence[int]) -> T:
        """The value of an assignment."""
        return self._value(descend(self.forest, self.root, assignment))

    def cells(self) -> Iterator[tuple[Cell, T]]:
        """All assignments as disjoint cells, each with its value. There may be very many."""
        for bits, node in paths(self.forest, self.root):
            yield bits, self._value(node)

    def counts(self) -> Mapping[T, int]:
        """How many assignments have each value that occurs."""
        bottom = self.forest.bottom
        terminals = [node for node in below(self.forest, self.root) if self.forest.level(node) == bottom]
        return {self._value(node): count_to(self.forest, self.root, node) for node in terminals}

    def _value(self, node: Node) -> T:
        # INVARIANT: a `Diagram[T]` is only made from a node whose terminals carry values of type T.
        return cast("T", self.forest.value(node))

    # ---- sets -------------------------------------------------------------------------------------------------------

    def __and__(self: "Region", other: "Region") -> "Region":
        return Diagram(self.forest, self.forest.all_of((self.root, other.root)))

    def __or__(self: "Region", other: "Region") -> "Region":
        return Diagram(self.forest, self.forest.any_of((self.root, other.root)))

    def __sub__(self: "Region", other: "Region") -> "Region":
        return self & ~other

    def __invert__(self: "Region") -> "Region":
        """The other assignments, those of no possible request included."""
        return Diagram(self.forest, self.forest.negate(self.root))

    @property
    def is_empty(self: "Region") -> bool:
        return self.root == self.forest.false

    def __le__(self: "Region", other: "Region") -> bool:
        """Whether all of this lies in the other."""
        return (self - other).is_empty

    def restrict(self: "Region", level: int, bits: Bits) -> "Region":
        """The assignments of the region that have one of some classes."""
        return Diagram(self.forest, self.forest.all_of((self.root, self.forest.literal(level, bits))))

    @property
    def size(self: "Region") -> int:
        """How many assignments are in the region."""
        return count_to(self.forest, self.root, self.forest.true)

    def any_path(self: "Region", preferred: Sequence[int]) -> tuple[int, ...] | None:
        """An assignment of the region, with the preferred class of a variable wherever that can be; None for none."""
        forest = self.forest
        if self.is_empty:
            return None
        chosen = list(preferred)
        node = self.root
        while node != forest.true:
            level = forest.level(node)
            open_edges = [(bits, child) for bits, child in forest.edges(node) if child != forest.false]
            wanted = 1 << preferred[level]
            bits, node = next((edge for edge in open_edges if edge[0] & wanted), open_edges[0])
            chosen[level] = preferred[level] if bits & wanted else lowest(bits)
        return tuple(chosen)

    def classes(self: "Region", level: int) -> Bits:
        """The classes of one variable that some assignment of the region has."""
        forest = self.forest
        if self.is_empty:
            return 0
        found = 0
        for node in below(forest, self.root, level):
            if forest.level(node) == level:
                for bits, child in forest.edges(node):
                    found |= bits if child != forest.false else 0
            elif forest.level(node) > level and node != forest.false:
                return forest.full[level]  # a path to here asks nothing of the variable
        return found


Region = Diagram[bool]


def any_region(forest: Forest, regions: Iterable[Region]) -> Region:
    """The union of regions."""
    return Diagram(forest, forest.any_of(region.root for region in regions))


# ---- walks ----------------------------------------------------------------------------------------------------------


def lowest(bits: Bits) -> int:
    """The lowest class of a set that is not empty."""
    return (bits & -bits).bit_length() - 1


def below(forest: Forest, root: Node, level: int | None = None, known: Container[Node] = ()) -> list[Node]:
    """The nodes that are reached from a root, itself included, as far as the first at or below `level`, or the known ones."""
    stop = forest.bottom if level is None else level
    if root in known:
        return []
    found = {root: None}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if forest.level(node) >= stop:
            continue
        for _, child in forest.edges(node):
            if child not in found and child not in known:
                found[child] = None
                waiting.append(child)
    return list(found)


def descend(forest: Forest, root: Node, assignment: Sequence[int]) -> Node:
    """The terminal of an assignment."""
    node = root
    while (level := forest.level(node)) != forest.bottom:
        wanted = 1 << assignment[level]
        node = next(child for bits, child in forest.edges(node) if bits & wanted)
    return node


def paths(forest: Forest, root: Node) -> Iterator[tuple[Cell, Node]]:
    """The paths from a root to terminals, as disjoint cells."""
    waiting: list[tuple[Node, Cell]] = [(root, forest.full)]
    while waiting:
        node, cell = waiting.pop()
        level = forest.level(node)
        if level == forest.bottom:
            yield cell, node
            continue
        for bits, child in reversed(forest.edges(node)):
            waiting.append((child, (*cell[:level], bits, *cell[level + 1 :])))


def weights(forest: Forest, root: Node, terminal: Node, known: dict[Node, int] | None = None) -> Mapping[Node, int]:
    """How many assignments of the variables from its level on lead each node below a root to a terminal.

    `known` has what was found for other roots, and gets what is found now.
    """
    products = [1]
    for full in reversed(forest.full):
        products.append(products[-1] * full.bit_length())
    products.reverse()  # products[level]: assignments of the variables from `level` on
    found: dict[Node, int] = {} if known is None else known
    for node in sorted(below(forest, root, known=found), key=forest.level, reverse=True):
        level = forest.level(node)
        if level == forest.bottom:
            found[node] = int(node == terminal)
            continue
        found[node] = sum(
            bits.bit_count() * found[child] * (products[level + 1] // products[forest.level(child)])
            for bits, child in forest.edges(node)
        )
    return found


def count_to(forest: Forest, root: Node, terminal: Node) -> int:
    """How many assignments a root leads to a terminal."""
    skipped = 1
    for full in forest.full[: forest.level(root)]:
        skipped *= full.bit_length()
    return skipped * weights(forest, root, terminal)[root]
