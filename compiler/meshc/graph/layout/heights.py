"""Heights: how high each slot is, and where: close to its neighbours, in its lane, and clear of the slots above and below."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from meshc.graph.layout.model import BAND_HEADER, BAND_PADDING
from meshc.graph.layout.slots import Slots

GAP: Final = 18.0
"""Between two slots of a column."""

_LANE_GAP: Final = 18.0
_SWEEPS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Heights:
    """The middle of each slot, and for each lane where it begins and ends."""

    middles: tuple[float, ...]
    lanes: Mapping[int, tuple[float, float]]


def place_heights(slots: Slots, columns: Sequence[Sequence[int]], sizes: Sequence[float]) -> Heights:
    """`sizes` are the heights of the slots."""
    stacks = [list(some) for column in columns for _, some in groupby(column, key=lambda one: slots.slots[one].lane)]
    lanes = _stack_lanes(slots, stacks, sizes)
    middles = [0.0] * len(slots.slots)
    for stack in stacks:
        top, bottom = _inside(lanes[slots.slots[stack[0]].lane])
        at = (top + bottom - _total(stack, sizes)) / 2
        for slot in stack:
            middles[slot] = at + sizes[slot] / 2
            at += sizes[slot] + GAP
    neighbours: list[list[int]] = [[] for _ in slots.slots]
    for left, right in slots.segments():
        neighbours[left].append(right)
        neighbours[right].append(left)
    for sweep in range(_SWEEPS):
        for stack in stacks if sweep % 2 == 0 else reversed(stacks):
            _align(stack, middles, neighbours, sizes, _inside(lanes[slots.slots[stack[0]].lane]))
    return Heights(middles=tuple(middles), lanes=lanes)


def _stack_lanes(
    slots: Slots, stacks: Iterable[Sequence[int]], sizes: Sequence[float]
) -> Mapping[int, tuple[float, float]]:
    highest: dict[int, float] = {}
    for stack in stacks:
        lane = slots.slots[stack[0]].lane
        highest[lane] = max(highest.get(lane, 0.0), _total(stack, sizes))
    found: dict[int, tuple[float, float]] = {}
    at = 0.0
    for lane in sorted(highest):
        end = at + BAND_HEADER + highest[lane] + BAND_PADDING
        found[lane] = at, end
        at = end + _LANE_GAP
    return found


def _inside(lane: tuple[float, float]) -> tuple[float, float]:
    return lane[0] + BAND_HEADER, lane[1] - BAND_PADDING


def _total(stack: Sequence[int], sizes: Sequence[float]) -> float:
    return sum(sizes[slot] for slot in stack) + GAP * (len(stack) - 1)


def _align(
    stack: Sequence[int],
    middles: list[float],
    neighbours: Sequence[Sequence[int]],
    sizes: Sequence[float],
    inside: tuple[float, float],
) -> None:
    """Move the slots of a stack as near to the middle of their neighbours as the others and the lane let them."""
    offsets = [0.0]
    for above, below in pairwise(stack):
        offsets.append(offsets[-1] + (sizes[above] + sizes[below]) / 2 + GAP)
    wanted = [
        (sum(middles[one] for one in neighbours[slot]) / len(neighbours[slot]) if neighbours[slot] else middles[slot])
        - offset
        for slot, offset in zip(stack, offsets, strict=True)
    ]
    lowest = inside[0] + sizes[stack[0]] / 2
    highest = inside[1] - sizes[stack[-1]] / 2 - offsets[-1]
    for slot, offset, at in zip(stack, offsets, _rising(wanted), strict=True):
        middles[slot] = min(max(at, lowest), max(lowest, highest)) + offset


def _rising(wanted: Iterable[float]) -> list[float]:
    """The numbers that never fall and are nearest to the wanted ones, by least squares: pools of neighbours that would."""
    pools: list[tuple[float, int]] = []
    for one in wanted:
        mean, count = one, 1
        while pools and pools[-1][0] >= mean:
            above, more = pools.pop()
            mean = (mean * count + above * more) / (count + more)
            count += more
        pools.append((mean, count))
    return [mean for mean, count in pools for _ in range(count)]
