"""Several automata read one text at the same time, made deterministic as far as they are used.

Bytes that no edge of any of them tells apart are one class. A state of one automaton is the set of nodes that it may be at,
with what the last byte was where assertions ask for it; state 0 is the empty set, from which nothing is reached.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Final

from meshc.semantics.languages.model import STATE_STEPS, Budget
from meshc.semantics.languages.nfa import ANY_BYTE, Nfa
from meshc.semantics.languages.re2_syntax import Assertion

DEAD: Final = 0

State = tuple[int, ...]
"""A state of each automaton of a product."""

_NEWLINE: Final = 1 << ord("\n")
_WORD: Final = sum(1 << byte for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")


class _Side(Enum):
    """What stands on one side of a place between two bytes, as far as assertions look."""

    TEXT_END = "no byte"
    NEWLINE = "newline"
    WORD = "letter, digit or underscore"
    OTHER = "other byte"


def _holds(assertion: Assertion, before: _Side, after: _Side) -> bool:
    match assertion:
        case Assertion.BEGIN_TEXT:
            return before is _Side.TEXT_END
        case Assertion.END_TEXT:
            return after is _Side.TEXT_END
        case Assertion.BEGIN_LINE:
            return before in {_Side.TEXT_END, _Side.NEWLINE}
        case Assertion.END_LINE:
            return after in {_Side.TEXT_END, _Side.NEWLINE}
        case Assertion.WORD:
            return (before is _Side.WORD) is not (after is _Side.WORD)
        case Assertion.NO_WORD:
            return (before is _Side.WORD) is (after is _Side.WORD)


class Classes:
    """The classes of bytes that some automata tell apart, in the order of preference, as are the members of each.

    `preference` holds all bytes.
    """

    def __init__(self, nfas: Sequence[Nfa], preference: Sequence[int]) -> None:
        sets = {edge.members for nfa in nfas for edges in nfa.edges for edge in edges if edge.members}
        if any(_has_assertions(nfa) for nfa in nfas):
            sets |= {_NEWLINE, _WORD}
        kinds = [0] * 256
        for bit, members in enumerate(sorted(sets - {ANY_BYTE})):
            for byte in range(256):
                kinds[byte] |= (members >> byte & 1) << bit
        grouped: dict[int, list[int]] = {}
        for byte in preference:
            grouped.setdefault(kinds[byte], []).append(byte)
        self.rank: Mapping[int, int] = {byte: place for place, byte in enumerate(preference)}
        self.members: tuple[tuple[int, ...], ...] = tuple(tuple(some) for some in grouped.values())
        numbers = {kind: number for number, kind in enumerate(grouped)}
        self.of_byte: tuple[int, ...] = tuple(numbers[kind] for kind in kinds)
        self.sides: tuple[_Side, ...] = tuple(_side(some[0]) for some in self.members)

    def inside(self, members: int) -> tuple[int, ...]:
        """The classes that lie in a set of bytes."""
        return tuple(number for number, some in enumerate(self.members) if members >> some[0] & 1)


def _side(byte: int) -> _Side:
    return _Side.NEWLINE if _NEWLINE >> byte & 1 else _Side.WORD if _WORD >> byte & 1 else _Side.OTHER


def _has_assertions(nfa: Nfa) -> bool:
    return any(edge.assertion is not None for edges in nfa.edges for edge in edges)


class Dfa:
    """One automaton. States are numbered as they are met."""

    def __init__(self, nfa: Nfa, classes: Classes, budget: Budget) -> None:
        self._nfa = nfa
        self._classes = classes
        self._budget = budget
        self._looks = _has_assertions(nfa)
        self._steps = tuple(
            tuple((classes.inside(edge.members), edge.target) for edge in edges if edge.members) for edges in nfa.edges
        )
        self._reached: dict[int, frozenset[int]] = {}
        self._states: list[tuple[frozenset[int], _Side]] = []
        self._numbers: dict[tuple[frozenset[int], _Side], int] = {}
        self._rows: dict[int, tuple[int, ...]] = {}
        self._labels: dict[int, int] = {}
        self._number(frozenset(), _Side.OTHER)
        self.start: int = self._number(self._closure(nfa.start), _Side.TEXT_END)

    def row(self, state: int) -> tuple[int, ...]:
        """The state after one byte of each class."""
        row = self._rows.get(state)
        if row is None:
            row = self._rows[state] = self._new_row(state)
        return row

    def label(self, state: int) -> int:
        """The tests that hold of a text that ends in this state."""
        label = self._labels.get(state)
        if label is None:
            label = 0
            for node in self._passed(state, _Side.TEXT_END):
                label |= self._nfa.labels[node]
            self._labels[state] = label
        return label

    def _new_row(self, state: int) -> tuple[int, ...]:
        targets: list[set[int]] = [set() for _ in self._classes.members]
        sides = self._classes.sides
        work = len(targets)
        for side in dict.fromkeys(sides) if self._looks else (None,):
            for node in self._passed(state, side):
                for classes, target in self._steps[node]:
                    reached = self._closure(target)
                    work += len(classes) * len(reached)
                    for number in classes:
                        if side is None or sides[number] is side:
                            targets[number] |= reached
        self._budget.spend(work)
        return tuple(
            self._number(frozenset(nodes), side) for nodes, side in zip(targets, self._classes.sides, strict=True)
        )

    def _number(self, nodes: frozenset[int], before: _Side) -> int:
        key = nodes, before if self._looks and nodes else _Side.OTHER
        number = self._numbers.get(key)
        if number is None:
            self._budget.spend(STATE_STEPS)
            number = self._numbers[key] = len(self._states)
            self._states.append(key)
        return number

    def _passed(self, state: int, after: _Side | None) -> frozenset[int]:
        """The nodes of a state, and those behind assertions that hold before `after`."""
        nodes, before = self._states[state]
        if not self._looks or after is None:
            return nodes
        found = set(nodes)
        waiting = list(nodes)
        while waiting:
            for edge in self._nfa.edges[waiting.pop()]:
                if edge.assertion is not None and _holds(edge.assertion, before, after):
                    new = self._closure(edge.target) - found
                    found |= new
                    waiting += new
        return frozenset(found)

    def _closure(self, node: int) -> frozenset[int]:
        """The nodes that are reached over no byte and no assertion, as far as they do something."""
        known = self._reached.get(node)
        if known is not None:
            return known
        found = {node}
        waiting = [node]
        while waiting:
            for edge in self._nfa.edges[waiting.pop()]:
                if not edge.members and edge.assertion is None and edge.target not in found:
                    found.add(edge.target)
                    waiting.append(edge.target)
        self._budget.spend(len(found))
        closure = frozenset(one for one in found if self._does_something(one))
        self._reached[node] = closure
        return closure

    def _does_something(self, node: int) -> bool:
        edges = self._nfa.edges[node]
        return bool(self._nfa.labels[node]) or any(edge.members or edge.assertion is not None for edge in edges)


class Product:
    """Automata that read the same text."""

    def __init__(self, nfas: Sequence[Nfa], preference: Sequence[int], budget: Budget) -> None:
        self.classes = Classes(nfas, preference)
        self._dfas = tuple(Dfa(nfa, self.classes, budget) for nfa in nfas)
        self.start: State = tuple(dfa.start for dfa in self._dfas)

    def step(self, state: State) -> Iterable[State]:
        """The state after one byte of each class, in the order of the classes."""
        return zip(*(dfa.row(one) for dfa, one in zip(self._dfas, state, strict=True)), strict=True)

    def run(self, state: State, text: bytes) -> State:
        """The state after a text."""
        numbers = [self.classes.of_byte[byte] for byte in text]
        return tuple(_run(dfa, one, numbers) for dfa, one in zip(self._dfas, state, strict=True))

    def labels(self, state: State) -> tuple[int, ...]:
        """What holds of a text that ends in this state, for each automaton."""
        return tuple(dfa.label(one) for dfa, one in zip(self._dfas, state, strict=True))


def _run(dfa: Dfa, state: int, numbers: Iterable[int]) -> int:
    for number in numbers:
        if state == DEAD:
            break
        state = dfa.row(state)[number]
    return state
