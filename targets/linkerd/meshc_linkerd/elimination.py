"""An automaton -> a regular expression, by taking out its states one by one, the cheapest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from meshc_linkerd.regular import UnprintableError, byte_class

Edges = Mapping[int, Mapping[int, int]]
"""For each state the states after it, each with the bytes that lead there."""


class _Form(IntEnum):
    """How tightly an expression binds."""

    CHOICE = 0
    SEQUENCE = 1
    ATOM = 2


@dataclass(frozen=True, slots=True)
class _Piece:
    """An expression; the empty one is a sequence."""

    text: str
    form: _Form

    def inside(self, form: _Form) -> str:
        """The text, in a group where it binds less than its surroundings."""
        return self.text if self.form >= form else f"(?:{self.text})"


_EMPTY = _Piece("", _Form.SEQUENCE)


def spell(edges: Edges, start: int, ends: Sequence[int], *, longest: int) -> str:
    """An expression for the texts that lead from `start` to one of `ends`; deterministic. At least one text does.

    Raises UnprintableError where it would have more than `longest` characters.
    """
    graph = _Graph(edges, start, ends, longest)
    graph.eliminate()
    return graph.result()


class _Graph:
    """Edges with expressions; -1 is before the start, -2 after the ends."""

    def __init__(self, edges: Edges, start: int, ends: Sequence[int], longest: int) -> None:
        self._longest = longest
        alive = _alive(edges, ends)
        self._after: dict[int, dict[int, _Piece]] = {-1: {start: _EMPTY}, -2: {}}
        for state in sorted(alive):
            some = sorted((target, members) for target, members in edges[state].items() if target in alive)
            self._after[state] = {target: _Piece(byte_class(members), _Form.ATOM) for target, members in some}
        for end in ends:
            self._after[end][-2] = _EMPTY
        self._before: dict[int, set[int]] = {state: set() for state in self._after}
        for state, targets in self._after.items():
            for target in targets:
                self._before[target].add(state)

    def eliminate(self) -> None:
        """Take out all states but the two outer ones."""
        left = {state for state in self._after if state >= 0}
        while left:
            state = min(left, key=lambda one: (self._cost(one), one))
            left.remove(state)
            self._take_out(state)

    def result(self) -> str:
        return self._after[-1][-2].text

    def _cost(self, state: int) -> int:
        """By how much the expressions grow that go around a state."""
        into = [len(self._after[one][state].text) for one in self._before[state] if one != state]
        out = [len(piece.text) for target, piece in self._after[state].items() if target != state]
        loop = len(self._after[state][state].text) if state in self._after[state] else 0
        grown = sum(into) * len(out) + sum(out) * len(into) + loop * len(into) * len(out)
        return grown - sum(into) - sum(out) - loop

    def _take_out(self, state: int) -> None:
        out = self._after.pop(state)
        loop = out.pop(state, None)
        around = _EMPTY if loop is None else _Piece(f"{loop.inside(_Form.ATOM)}*", _Form.SEQUENCE)
        before = sorted(self._before.pop(state) - {state})
        tails = {target: _sequence(around, piece) for target, piece in out.items()}
        for one in before:
            into = self._after[one].pop(state)
            for target, tail in tails.items():
                found = _sequence(into, tail)
                known = self._after[one].get(target)
                whole = found if known is None else _choice(known, found)
                # Every expression stands in the result at least once, so that one which is too long stays too long.
                if len(whole.text) > self._longest:
                    raise UnprintableError
                self._after[one][target] = whole
                self._before[target].add(one)
        for target in out:
            self._before[target].discard(state)


def _alive(edges: Edges, ends: Sequence[int]) -> set[int]:
    """The states from which an end can be reached."""
    alive = set(ends)
    while True:
        more = {state for state, some in edges.items() if state not in alive and not alive.isdisjoint(some)}
        if not more:
            return alive
        alive |= more


def _sequence(first: _Piece, second: _Piece) -> _Piece:
    if not first.text:
        return second
    if not second.text:
        return first
    return _Piece(first.inside(_Form.SEQUENCE) + second.inside(_Form.SEQUENCE), _Form.SEQUENCE)


def _choice(one: _Piece, other: _Piece) -> _Piece:
    if one == other:
        return one
    if not one.text or not other.text:
        some = one if one.text else other
        return _Piece(f"{some.inside(_Form.ATOM)}?", _Form.SEQUENCE)
    return _Piece(f"{one.text}|{other.text}", _Form.CHOICE)
