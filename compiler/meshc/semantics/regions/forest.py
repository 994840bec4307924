"""Decision diagrams as nodes of one store: each function has exactly one node, so equality of functions is equality of numbers.

A node asks for the class of one variable, called a level, and goes on to a child for each class; levels rise on the way down.
An edge is a set of classes, as the bits of an int, and the child for all of them. At the bottom are terminals, which carry
any hashable value. Nothing here recurses, so the number of levels has no limit but the bound of work.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from meshc.semantics.languages import TooComplexError

Bits = int
"""A set of classes: bit i is set where class i is in it."""

Node = int
"""The number of a node in its forest."""

Edge = tuple[Bits, Node]

State = TypeVar("State", bound=Hashable)

MAX_WORK: Final = 10_000_000
"""How much work one forest may take. A step takes about a microsecond, so this is some ten seconds."""

_NODE_WORK: Final = 10
"""What a new node costs beside the work of finding it: it takes memory, about half a kibibyte with what leads to it."""

_NARROW: Final = 4
"""Edges of at most this many classes are handled class by class where many operands meet."""

_MANY: Final = 12

_Blocks = list[tuple[Bits, tuple[Node, ...]]]


class Forest:
    """A store of nodes over variables with `sizes` classes, in this order.

    INVARIANT: the edges of a node have different children, at least two, and their bits are a partition of all classes.
    """

    def __init__(self, sizes: Sequence[int], *, work: int = MAX_WORK) -> None:
        self.full: tuple[Bits, ...] = tuple((1 << size) - 1 for size in sizes)
        self.bottom: int = len(self.full)
        self._work = work
        self._levels: list[int] = []
        self._edges: list[tuple[Edge, ...]] = []
        self._unique: dict[tuple[int, tuple[Edge, ...]], Node] = {}
        self._values: list[Hashable] = []
        self._terminals: dict[tuple[type, Hashable], Node] = {}
        self._overlaid: dict[tuple[Node, bool], dict[tuple[Node, ...], Node]] = {}
        # INVARIANT: these are nodes 0 and 1, so two children whose sum is 1 are they.
        self.false: Node = self.terminal(False)  # noqa: FBT003 -- a value like any other
        self.true: Node = self.terminal(True)  # noqa: FBT003

    # ---- nodes ------------------------------------------------------------------------------------------------------

    def terminal(self, value: Hashable) -> Node:
        """The function that is `value` everywhere."""
        key = type(value), value  # True and 1 are equal, and not the same value
        node = self._terminals.get(key)
        if node is None:
            node = self._terminals[key] = len(self._levels)
            self._levels.append(self.bottom)
            self._edges.append(())
            self._values.append(value)
        return node

    def node(self, level: int, edges: Iterable[Edge]) -> Node:
        """The function that goes on to a child by the class of `level`; children are below it, bits a partition."""
        merged: dict[Node, Bits] = {}
        for bits, child in edges:
            merged[child] = merged.get(child, 0) | bits
        if len(merged) == 1:
            return next(iter(merged))
        return self._node(level, tuple(sorted((bits, child) for child, bits in merged.items())))

    def _node(self, level: int, edges: tuple[Edge, ...]) -> Node:
        """The same for edges that are in order, with different children."""
        key = level, edges
        node = self._unique.get(key)
        if node is None:
            self.spend(_NODE_WORK)
            node = self._unique[key] = len(self._levels)
            self._levels.append(level)
            self._edges.append(edges)
            self._values.append(None)
        return node

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self._levels)

    def level(self, node: Node) -> int:
        """The variable that a node asks for; `bottom` for a terminal."""
        return self._levels[node]

    def edges(self, node: Node) -> tuple[Edge, ...]:
        """The children of a node; none for a terminal."""
        return self._edges[node]

    def value(self, node: Node) -> Hashable:
        """What a terminal carries."""
        return self._values[node]

    def literal(self, level: int, bits: Bits) -> Node:
        """The condition that the class of `level` is one of `bits`."""
        yes, no = (bits & self.full[level], self.true), (~bits & self.full[level], self.false)
        if not no[0]:
            return self.true
        if not yes[0]:
            return self.false
        return self._node(level, (yes, no) if yes < no else (no, yes))

    # ---- operations -------------------------------------------------------------------------------------------------

    def any_of(self, nodes: Iterable[Node]) -> Node:
        """Where at least one of some conditions holds."""
        literals: dict[int, Bits] = {}
        others: set[Node] = set()
        for node in nodes:
            edges = self._edges[node]
            if len(edges) == 2 and edges[0][1] + edges[1][1] == 1:
                bits = edges[0][0] if edges[0][1] == self.true else edges[1][0]
                literals[self._levels[node]] = literals.get(self._levels[node], 0) | bits
            else:
                others.add(node)
        others.update(self.literal(level, bits) for level, bits in literals.items())
        return self._overlay(tuple(sorted(others)), self.false, ordered=False)

    def all_of(self, nodes: Iterable[Node]) -> Node:
        """Where all of some conditions hold."""
        operands = sorted(set(nodes), key=self._levels.__getitem__)
        # Most conjunctions begin with literals of different variables: those are put on top of the rest without a search.
        literals = 0
        while literals + 1 < len(operands) and self._is_above(operands[literals], operands[literals + 1]):
            literals += 1
        rest = operands[literals:]
        node = rest[0] if len(rest) == 1 else self._overlay(tuple(sorted(rest)), self.true, ordered=False)
        for literal in reversed(operands[:literals]):
            if node != self.false:
                one, other = ((bits, node if child == self.true else child) for bits, child in self._edges[literal])
                node = self._node(self._levels[literal], (one, other))
        return node

    def _is_above(self, node: Node, other: Node) -> bool:
        """Whether a node is a literal of a variable above all that another asks for."""
        edges = self._edges[node]
        return self._levels[node] < self._levels[other] and len(edges) == 2 and edges[0][1] + edges[1][1] == 1

    def first_of(self, nodes: Iterable[Node], skip: Node) -> Node:
        """At each place the value of the first of some functions that is not the terminal `skip` there; else `skip`."""
        return self._overlay(tuple(dict.fromkeys(nodes)), skip, ordered=True)

    def convert(self, node: Node, function: Callable[[Node], Node]) -> Node:
        """The same function with each terminal replaced."""

        def expand(at: Node) -> Node | tuple[int, Sequence[Edge]]:
            level = self._levels[at]
            return function(at) if level == self.bottom else (level, self._edges[at])

        return self.grow(node, expand)

    def negate(self, node: Node) -> Node:
        """Where a condition does not hold."""
        return self.convert(node, lambda terminal: self.false if terminal == self.true else self.true)

    def combine(
        self, left: Node, right: Node, function: Callable[[Node, Node], Node], same: Node | None = None
    ) -> Node:
        """The function of two others, by what it makes of two terminals; `same` is what it makes of two equal ones."""
        levels, edges = self._levels, self._edges

        def expand(pair: tuple[Node, Node]) -> Node | tuple[int, list[tuple[Bits, tuple[Node, Node]]]]:
            one, other = pair
            if same is not None and one == other:
                return same
            level = min(levels[one], levels[other])
            if level == self.bottom:
                return function(one, other)
            if levels[other] > level:
                return level, [(bits, (child, other)) for bits, child in edges[one]]
            if levels[one] > level:
                return level, [(bits, (one, child)) for bits, child in edges[other]]
            ours = edges[one]
            return level, [(both, (a, b)) for bits, b in edges[other] for some, a in ours if (both := bits & some)]

        return self.grow((left, right), expand)

    def grow(
        self,
        start: State,
        expand: Callable[[State], Node | tuple[int, Sequence[tuple[Bits, State]]]],
        known: dict[State, Node] | None = None,
    ) -> Node:
        """Build a function from states: `expand` gives a state's node, or its level and the state for each class.

        `known` has the nodes of some states already, and gets those that are built. Raises TooComplexError beyond the bound.
        """
        done: dict[State, Node] = {} if known is None else known
        plans: dict[State, tuple[int, Sequence[tuple[Bits, State]]]] = {}
        waiting = [start]
        while waiting:
            state = waiting[-1]
            if state in done:
                waiting.pop()
                continue
            plan = plans.pop(state, None)
            if plan is None:
                step = expand(state)
                if isinstance(step, int):
                    done[state] = step
                    continue
                self.spend(len(step[1]))
                missing = [after for _, after in step[1] if after not in done]
                if missing:
                    plans[state] = step
                    waiting += missing
                    continue
                plan = step
            done[state] = self.node(plan[0], [(bits, done[after]) for bits, after in plan[1]])
        return done[start]

    def spend(self, work: int) -> None:
        """Count work. Raises TooComplexError once there was too much of it."""
        self._work -= work
        if self._work < 0:
            raise TooComplexError("its rules combine in too many ways to look at all of them")

    # ---- many operands at once --------------------------------------------------------------------------------------

    def _overlay(self, nodes: tuple[Node, ...], skip: Node, *, ordered: bool) -> Node:
        levels, bottom = self._levels, self.bottom

        def settled(state: Iterable[Node]) -> tuple[Node, ...]:
            kept: list[Node] = []
            for one in dict.fromkeys(state):
                if levels[one] != bottom:
                    kept.append(one)
                elif one != skip:
                    return (*kept, one) if ordered else (one,)
            return tuple(kept if ordered else sorted(kept))

        def expand(state: tuple[Node, ...]) -> Node | tuple[int, Sequence[tuple[Bits, tuple[Node, ...]]]]:
            if not state:
                return skip
            if len(state) == 1:
                return state[0]
            self.spend(len(state))
            level = min(levels[one] for one in state)
            merged: dict[tuple[Node, ...], Bits] = {}
            for bits, children in self._blocks(state, level, skip):
                after = settled(children)
                merged[after] = merged.get(after, 0) | bits
            return level, [(bits, after) for after, bits in merged.items()]

        return self.grow(settled(nodes), expand, self._overlaid.setdefault((skip, ordered), {}))

    def _blocks(self, state: tuple[Node, ...], level: int, skip: Node) -> _Blocks:
        """The classes of a level, cut so that all of a block lead to the same children, in the order of the operands."""
        if len(state) > _MANY:
            return self._blocks_of_many(state, level, skip)
        blocks: _Blocks = [(self.full[level], ())]
        for one in state:
            if self._levels[one] > level:
                blocks = [(bits, (*children, one)) for bits, children in blocks]
                continue
            edges = self._edges[one]
            self.spend(len(blocks) * len(edges))
            blocks = [
                (both, children if child == skip else (*children, child))
                for bits, children in blocks
                for some, child in edges
                if (both := bits & some)
            ]
        return blocks

    def _blocks_of_many(self, state: tuple[Node, ...], level: int, skip: Node) -> _Blocks:
        """The same for many operands, most of which say something of few classes.

        Wide edges cut the classes to blocks. What narrow ones add is kept for each class, with the place of its operand.
        """
        blocks: list[tuple[Bits, tuple[tuple[int, Node], ...]]] = [(self.full[level], ())]
        narrow: dict[Bits, list[tuple[int, Node]]] = {}
        for place, one in enumerate(state):
            if self._levels[one] > level:
                blocks = [(bits, (*children, (place, one))) for bits, children in blocks]
                continue
            for some, child in self._edges[one]:
                if child == skip:
                    continue
                if some.bit_count() <= _NARROW:
                    for single in singles(some):
                        narrow.setdefault(single, []).append((place, child))
                    continue
                self.spend(len(blocks))
                blocks = [
                    (part, (*children, (place, child)) if inside else children)
                    for bits, children in blocks
                    for part, inside in ((bits & some, True), (bits & ~some, False))
                    if part
                ]
        return _with_narrow(blocks, narrow)


def _with_narrow(
    blocks: list[tuple[Bits, tuple[tuple[int, Node], ...]]], narrow: dict[Bits, list[tuple[int, Node]]]
) -> _Blocks:
    special = 0
    for single in narrow:
        special |= single
    found: _Blocks = []
    for bits, children in blocks:
        if rest := bits & ~special:
            found.append((rest, tuple(child for _, child in children)))
        for single in singles(bits & special):
            found.append((single, tuple(child for _, child in sorted((*children, *narrow[single])))))
    return found


def singles(bits: Bits) -> Iterator[Bits]:
    """The classes of a set, each as a set of its own, the lowest first."""
    while bits:
        single = bits & -bits
        yield single
        bits ^= single


def bits_of(bits: Bits) -> Iterator[int]:
    """The classes of a set, in rising order."""
    for single in singles(bits):
        yield single.bit_length() - 1
