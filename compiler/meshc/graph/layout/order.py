"""Order: the slots of each column from top to bottom, by lanes, and within those so that few links cross."""

from bisect import bisect_right, insort
from collections.abc import Sequence
from typing import Final

from meshc.graph.layout.slots import Slots

_SWEEPS: Final = 16

Columns = list[list[int]]


def order(slots: Slots) -> tuple[tuple[int, ...], ...]:
    """For each column its slots, top to bottom: the best of some sweeps that pull each slot to the middle of its neighbours."""
    before: list[list[int]] = [[] for _ in slots.slots]
    after: list[list[int]] = [[] for _ in slots.slots]
    segments = slots.segments()
    for left, right in segments:
        after[left].append(right)
        before[right].append(left)
    columns: Columns = [[] for _ in range(slots.columns)]
    for number, slot in sorted(enumerate(slots.slots), key=lambda one: (one[1].lane, one[0])):
        columns[slot.column].append(number)
    best, fewest = [list(column) for column in columns], _crossings(columns, segments, slots)
    for sweep in range(_SWEEPS):
        to_the_right = sweep % 2 == 0
        neighbours = before if to_the_right else after
        for column in range(slots.columns) if to_the_right else reversed(range(slots.columns)):
            _sort(columns, column, neighbours, slots)
        crossings = _crossings(columns, segments, slots)
        if crossings < fewest:
            best, fewest = [list(column) for column in columns], crossings
    return tuple(tuple(column) for column in best)


def _sort(columns: Columns, column: int, neighbours: Sequence[Sequence[int]], slots: Slots) -> None:
    """Sort one column by lanes and then by where the neighbours are, as a share of their columns' lengths."""
    share = {
        slot: (place + 0.5) / len(columns[at])
        for at in (column - 1, column + 1)
        if 0 <= at < len(columns)
        for place, slot in enumerate(columns[at])
    }

    def key(entry: tuple[int, int]) -> tuple[int, float]:
        place, slot = entry
        around = [share[one] for one in neighbours[slot]]
        middle = sum(around) / len(around) if around else (place + 0.5) / len(columns[column])
        return slots.slots[slot].lane, middle

    columns[column] = [slot for _, slot in sorted(enumerate(columns[column]), key=key)]


def _crossings(columns: Columns, segments: Sequence[tuple[int, int]], slots: Slots) -> int:
    """How many pairs of segments cross."""
    places = {slot: place for column in columns for place, slot in enumerate(column)}
    between: list[list[tuple[int, int]]] = [[] for _ in columns]
    for left, right in segments:
        between[slots.slots[left].column].append((places[left], places[right]))
    return sum(map(_inversions, between))


def _inversions(pairs: list[tuple[int, int]]) -> int:
    found = 0
    seen: list[int] = []
    for _, right in sorted(pairs):
        found += len(seen) - bisect_right(seen, right)
        insort(seen, right)
    return found
