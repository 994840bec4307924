"""Draw: items and links -> a `Drawing`. The order of the steps is here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from meshc.graph.layout.heights import place_heights
from meshc.graph.layout.model import BAND_HEADER, BAND_PADDING, Box, Drawing, Frame, Item, Link
from meshc.graph.layout.order import order
from meshc.graph.layout.ranks import rank
from meshc.graph.layout.slots import Slots, assign_slots
from meshc.graph.layout.wires import HEAD, PASSING, Column, attachments, box_height, sides_of_items, way

_CURVE: Final = 70.0
"""Between the labels of two columns, where arrows bend."""

_LABEL_PADDING: Final = 8.0
_NO_LABELS: Final = 14.0
_MARGIN: Final = 16.0


def draw(items: Sequence[Item], links: Sequence[Link], framed: frozenset[int]) -> Drawing:
    """Lay items and links out. Bands of `framed` get a frame; they come after the others, the leftmost first.

    Bands that have no columns in common may stand side by side.
    """
    ranks = rank(len(items), [(link.source, link.target) for link in links])
    lanes = _lanes(items, ranks, framed)
    slots = assign_slots([lanes[item.band] for item in items], links, ranks)
    orders = order(slots)
    sides = sides_of_items(items, links, slots, orders)
    tall = [box_height(item, both) for item, both in zip(items, sides, strict=True)]
    heights = place_heights(slots, orders, [*tall, *[PASSING] * (len(slots.slots) - len(items))])
    columns = _columns(items, links, slots)
    moved = [middle + _MARGIN for middle in heights.middles]
    boxes = tuple(_box(columns[ranks[place]], moved[place], height) for place, height in enumerate(tall))
    ends = attachments(sides, moved)
    return Drawing(
        width=max((column.right + column.labels_right for column in columns), default=0.0) + _MARGIN,
        height=max((end for _, end in heights.lanes.values()), default=0.0) + 2 * _MARGIN,
        boxes=boxes,
        arrows=tuple(
            way(
                link,
                chain,
                _heights(link, chain, moved, entering=ends[number, True], leaving=ends[number, False]),
                [columns[slots.slots[slot].column] for slot in chain],
            )
            for number, (link, chain) in enumerate(zip(links, slots.chains, strict=True))
        ),
        frames=tuple(_frames(boxes, items, sorted(framed & lanes.keys()))),
    )


def _box(column: Column, middle: float, height: float) -> Box:
    return Box(x=column.left, y=middle - height / 2, width=column.right - column.left, height=height)


def _lanes(items: Sequence[Item], ranks: Sequence[int], framed: frozenset[int]) -> Mapping[int, int]:
    """The lane of each band: the first in which no other band has items between its leftmost and its rightmost column."""
    columns: dict[int, list[int]] = {}
    for item, column in zip(items, ranks, strict=True):
        columns.setdefault(item.band, []).append(column)
    ordered = sorted(columns, key=lambda band: (band in framed, sum(columns[band]) / len(columns[band]), band))
    lanes: list[set[int]] = []
    found: dict[int, int] = {}
    for band in ordered:
        taken = set(range(min(columns[band]), max(columns[band]) + 1))
        lane = next((number for number, used in enumerate(lanes) if not used & taken), len(lanes))
        if lane == len(lanes):
            lanes.append(set())
        lanes[lane] |= taken
        found[band] = lane
    return found


def _columns(items: Sequence[Item], links: Sequence[Link], slots: Slots) -> list[Column]:
    """The columns from left to right, each as wide as its widest item, with room for the labels beside it."""
    widths = [0.0] * slots.columns
    for place, item in enumerate(items):
        column = slots.slots[place].column
        widths[column] = max(widths[column], item.width)
    labels = [[_NO_LABELS, _NO_LABELS] for _ in widths]
    for link, chain in zip(links, slots.chains, strict=True):
        beside = labels[slots.slots[link.target].column]
        side = 0 if link.target == chain[-1] else 1
        beside[side] = max(beside[side], link.label_width + HEAD + 2 * _LABEL_PADDING)
    found: list[Column] = []
    at = _MARGIN + BAND_PADDING
    for number, (width, (before, after)) in enumerate(zip(widths, labels, strict=True)):
        at += before + _CURVE if number else 0.0
        found.append(Column(left=at, right=at + width, labels_left=before, labels_right=after))
        at += width + after
    return found


def _heights(
    link: Link, chain: Sequence[int], middles: Sequence[float], *, entering: float, leaving: float
) -> list[float]:
    """The heights of a link in all columns that it runs through, from left to right."""
    ends = (leaving, entering) if link.target == chain[-1] else (entering, leaving)
    return [ends[0], *(middles[slot] for slot in chain[1:-1]), ends[1]]


def _frames(boxes: Sequence[Box], items: Sequence[Item], bands: Iterable[int]) -> Iterator[Frame]:
    for band in bands:
        inside = [box for box, item in zip(boxes, items, strict=True) if item.band == band]
        left = min(box.x for box in inside) - BAND_PADDING
        right = max(box.x + box.width for box in inside) + BAND_PADDING
        top = min(box.y for box in inside) - BAND_HEADER
        bottom = max(box.y + box.height for box in inside) + BAND_PADDING
        yield Frame(band=band, x=left, y=top, width=right - left, height=bottom - top)
