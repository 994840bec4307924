"""Automata that read bytes and say which tests hold of what they have read: from expressions, and from lists of literals."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from meshc.semantics.languages.model import Budget
from meshc.semantics.languages.re2_syntax import Assertion, Bytes, Choice, Expression, Repeat, Sequence

ANY_BYTE: Final = (1 << 256) - 1
_SPACE: Final = 1 << ord(" ")

Build = Callable[["Nfa"], int]
"""Adds nodes to an automaton, and returns the one to start at."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A way to `target`: over one of the bytes in `members`, or over none, where the assertion, if any, holds."""

    target: int
    members: int = 0
    assertion: Assertion | None = None


class Nfa:
    """Nodes with edges. Bit i of a node's label is set where test i holds of a text that ends there."""

    def __init__(self, build: Build, budget: Budget) -> None:
        self._budget = budget
        self.edges: list[list[Edge]] = []
        self.labels: list[int] = []
        self.start = build(self)

    def node(self, *edges: Edge, label: int = 0) -> int:
        """Add a node."""
        self._budget.spend(1)
        self.edges.append(list(edges))
        self.labels.append(label)
        return len(self.edges) - 1

    def ever_after(self, label: int) -> int:
        """Add a node whose label stays, whatever comes."""
        node = self.node(label=label)
        self.edges[node].append(Edge(node, ANY_BYTE))
        return node


# ---- expressions ----------------------------------------------------------------------------------------------------


def expression_nfa(expression: Expression, label: int, budget: Budget) -> Nfa:
    """An automaton for the texts that match an expression as a whole."""
    return Nfa(lambda nfa: _before(nfa, expression, nfa.node(label=label)), budget)


def _before(nfa: Nfa, expression: Expression, target: int) -> int:
    """The node from which `expression` leads to `target`."""
    match expression:
        case Bytes(members=0):
            return nfa.node()  # such as `\p{Greek}`, of which Latin-1 has nothing
        case Bytes(members=members):
            return nfa.node(Edge(target, members))
        case Sequence(parts=parts):
            for part in reversed(parts):
                target = _before(nfa, part, target)
            return target
        case Choice(branches=branches):
            return nfa.node(*(Edge(_before(nfa, branch, target)) for branch in branches))
        case Repeat():
            return _before_repeat(nfa, expression, target)
        case Assertion():
            return nfa.node(Edge(target, assertion=expression))
        case _:
            assert_never(expression)


def _before_repeat(nfa: Nfa, repeat: Repeat, target: int) -> int:
    start = target
    if repeat.most is None:
        start = nfa.node(Edge(target))
        nfa.edges[start].append(Edge(_before(nfa, repeat.body, start)))
    else:
        for _ in range(repeat.most - repeat.least):
            start = nfa.node(Edge(_before(nfa, repeat.body, start)), Edge(target))
    for _ in range(repeat.least):
        start = _before(nfa, repeat.body, start)
    return start


# ---- literals -------------------------------------------------------------------------------------------------------


def prefix_nfa(literals: Mapping[bytes, int], budget: Budget) -> Nfa:
    """An automaton for texts that start with literals, each of which has a label."""

    def build(nfa: Nfa) -> int:
        root = nfa.node()
        for end, label in _grow_trie(nfa, root, literals):
            nfa.edges[end].append(Edge(nfa.ever_after(label)))
        return root

    return Nfa(build, budget)


def suffix_nfa(literals: Mapping[bytes, int], budget: Budget) -> Nfa:
    """An automaton for texts that end with literals, each of which has a label."""

    def build(nfa: Nfa) -> int:
        root = nfa.node()
        for end, label in _grow_trie(nfa, root, literals):
            nfa.labels[end] = label
        start = nfa.node(Edge(root))
        nfa.edges[start].append(Edge(start, ANY_BYTE))
        return start

    return Nfa(build, budget)


def part_nfa(literals: Mapping[bytes, int], budget: Budget) -> Nfa:
    """An automaton for texts of which a part between single spaces is a literal, each of which has a label."""

    def build(nfa: Nfa) -> int:
        root = nfa.node()
        for end, label in _grow_trie(nfa, root, literals):
            nfa.labels[end] = label
            nfa.edges[end].append(Edge(nfa.ever_after(label), _SPACE))
        start = nfa.node(Edge(root))
        other = nfa.node(Edge(start, _SPACE))
        nfa.edges[other].append(Edge(other, ANY_BYTE & ~_SPACE))
        nfa.edges[start].append(Edge(other))
        return start

    return Nfa(build, budget)


def _grow_trie(nfa: Nfa, root: int, literals: Mapping[bytes, int]) -> list[tuple[int, int]]:
    """Share the beginnings of literals; the result is each literal's last node and its label."""
    children: dict[tuple[int, int], int] = {}
    ends: list[tuple[int, int]] = []
    for literal, label in literals.items():
        at = root
        for byte in literal:
            child = children.get((at, byte))
            if child is None:
                child = children[at, byte] = nfa.node()
                nfa.edges[at].append(Edge(child, 1 << byte))
            at = child
        ends.append((at, label))
    return ends
