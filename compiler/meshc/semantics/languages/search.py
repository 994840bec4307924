"""Look for the shortest text of each kind, breadth first, the most readable of equally long ones first."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Final, TypeVar

from meshc.semantics.languages.dfa import DEAD, Product, State
from meshc.semantics.languages.model import STATE_STEPS, Budget

Kind = TypeVar("Kind", bound=Hashable)

_OFF: Final = -1
"""Where a text is that no word of a trie goes on from."""

_ATTEMPTS: Final = 3

Place = tuple[int, State]
"""A node of the trie of words to avoid, or `_OFF`, and a state of the product."""


class Words:
    """A set of words as a trie; node 0 is its root."""

    def __init__(self, words: Iterable[bytes] = ()) -> None:
        self.children: list[dict[int, int]] = [{}]
        self._ends: set[int] = set()
        for word in words:
            self._add(word)

    def __contains__(self, node: int) -> bool:
        """Whether a word ends at a node."""
        return node in self._ends

    @property
    def start(self) -> int:
        return 0 if self._ends else _OFF

    def _add(self, word: bytes) -> None:
        at = 0
        for byte in word:
            child = self.children[at].get(byte)
            if child is None:
                child = self.children[at][byte] = len(self.children)
                self.children.append({})
            at = child
        self._ends.add(at)


def shortest_texts(
    product: Product, start: State, kind_of: Callable[[State], Kind | None], avoid: Words, budget: Budget
) -> dict[Kind, bytes]:
    """The shortest text of each kind that is none of the words to avoid.

    The kind of a text is that of the state after it; None is of no interest. The first automaton of the product says which
    texts there are. The empty text stands only for a kind that has no other. Raises TooComplexError.
    """
    first = (avoid.start, start)
    seen: set[Place] = set()
    reached: list[tuple[Place, int, int]] = []  # the place, the number of the one before it, the byte between them
    found: dict[Kind, bytes] = {}

    def visit(place: Place, before: int) -> None:
        for byte, after in _steps(product, place, avoid, budget):
            if after not in seen:
                seen.add(after)
                budget.spend(STATE_STEPS)
                reached.append((after, before, byte))

    visit(first, -1)
    number = 0
    while number < len(reached):
        place = reached[number][0]
        kind = None if place[0] in avoid else kind_of(place[1])
        if kind is not None and kind not in found:
            found[kind] = _spelled(reached, number)
        visit(place, number)
        number += 1
    if first[0] not in avoid and (kind := kind_of(start)) is not None:
        found.setdefault(kind, b"")
    return found


def texts_but(
    words: frozenset[bytes], shortest: Callable[[frozenset[bytes]], Mapping[Kind, bytes]]
) -> Mapping[Kind, bytes]:
    """The shortest text of each kind that is none of `words`; `shortest` finds them for a set of words to avoid.

    Words are avoided only once they get in the way: those that do not are many, and would cost much.
    """
    avoided: frozenset[bytes] = frozenset()
    for _ in range(_ATTEMPTS):
        found = shortest(avoided)
        met = words.intersection(found.values())
        if not met:
            return found
        avoided |= met
    return shortest(words)


def _steps(product: Product, place: Place, avoid: Words, budget: Budget) -> list[tuple[int, Place]]:
    """The places after one more byte, each with such a byte."""
    node, state = place
    members = product.classes.members
    budget.spend(len(members) * len(state))
    alive = ((some, after) for some, after in zip(members, product.step(state), strict=True) if after[0] != DEAD)
    if node == _OFF or not avoid.children[node]:
        return [(some[0], (_OFF, after)) for some, after in alive]
    children = avoid.children[node]
    steps: list[tuple[int, Place]] = []
    for some, after in alive:
        steps += ((byte, (children[byte], after)) for byte in some if byte in children)
        free = next((byte for byte in some if byte not in children), None)
        if free is not None:
            steps.append((free, (_OFF, after)))
    return sorted(steps, key=lambda step: product.classes.rank[step[0]])


def _spelled(reached: list[tuple[Place, int, int]], number: int) -> bytes:
    spelled = bytearray()
    while number >= 0:
        _, number, byte = reached[number]
        spelled.append(byte)
    return bytes(reversed(spelled))
