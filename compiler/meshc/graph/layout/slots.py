"""Slots: what stands in each column, top to bottom: items, and links on their way to columns further on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from meshc.graph.layout.model import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A slot of a column; `item` is None where a link passes."""

    column: int
    lane: int
    item: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """All slots, by number; those of items come first and have their numbers.

    `chains` are the slots that each link runs through, from left to right, so backwards for those that go to the left.
    """

    slots: tuple[Slot, ...]
    chains: tuple[tuple[int, ...], ...]
    columns: int

    def segments(self) -> list[tuple[int, int]]:
        """The steps of all chains, each from one column to the next."""
        return [pair for chain in self.chains for pair in pairwise(chain)]


def assign_slots(lanes: Sequence[int], links: Sequence[Link], ranks: Sequence[int]) -> Slots:
    """A slot for each item, and for each link one in every column that it passes; those are in the lane where it ends.

    `lanes` are the lanes of the items, counted from the top, and `ranks` their columns.
    """
    slots = [Slot(column=ranks[place], lane=lane, item=place) for place, lane in enumerate(lanes)]
    chains: list[tuple[int, ...]] = []
    for link in links:
        first, last = sorted((link.source, link.target), key=lambda item: ranks[item])
        lane = lanes[link.target]
        passed = range(ranks[first] + 1, ranks[last])
        chains.append((first, *range(len(slots), len(slots) + len(passed)), last))
        slots += (Slot(column=column, lane=lane, item=None) for column in passed)
    return Slots(slots=tuple(slots), chains=tuple(chains), columns=max(ranks, default=-1) + 1)
