"""Wires: where links leave and enter boxes, and the ways that they take."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from meshc.graph.layout.model import Arrow, Item, Link
from meshc.graph.layout.slots import Slots

PASSING: Final = 8.0
"""The height of a slot in which a link passes."""

_LABELLED: Final = 17.0
"""Between two links that enter a box, for a line of text."""

_PLAIN: Final = 7.0
_PADDING: Final = 8.0
HEAD: Final = 8.0
"""The length of an arrow's head; the way ends where it begins to be drawn over, at the box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The links on one side of a box, from top to bottom, each with whether it enters there."""

    links: tuple[tuple[int, bool], ...]

    @property
    def height(self) -> float:
        """The room that they take."""
        return sum(_room(enters) for _, enters in self.links)


def sides_of_items(
    items: Sequence[Item], links: Sequence[Link], slots: Slots, columns: Sequence[Sequence[int]]
) -> tuple[tuple[Side, Side], ...]:
    """For each item its left and its right side, sorted by where the links come from, so that they do not cross at the box."""
    places = {slot: place for column in columns for place, slot in enumerate(column)}
    left: list[list[tuple[int, int, bool]]] = [[] for _ in items]
    right: list[list[tuple[int, int, bool]]] = [[] for _ in items]
    for number, (link, chain) in enumerate(zip(links, slots.chains, strict=True)):
        first, last = chain[0], chain[-1]
        right[first].append((places[chain[1]], number, link.target == first))
        left[last].append((places[chain[-2]], number, link.target == last))
    return tuple((_side(some), _side(others)) for some, others in zip(left, right, strict=True))


def _side(found: list[tuple[int, int, bool]]) -> Side:
    return Side(links=tuple((number, enters) for _, number, enters in sorted(found)))


def box_height(item: Item, sides: tuple[Side, Side]) -> float:
    """The height that an item takes, with room for its text and its links."""
    return max(item.height, *(side.height + _PADDING for side in sides))


def attachments(sides: Iterable[tuple[Side, Side]], middles: Sequence[float]) -> dict[tuple[int, bool], float]:
    """At what height each link is attached; keys are the link and whether it enters there."""
    found: dict[tuple[int, bool], float] = {}
    for item, both in enumerate(sides):
        for side in both:
            at = middles[item] - side.height / 2
            for number, enters in side.links:
                room = _room(enters)
                # The text of an entering link stands on it, so it runs below the middle of its room.
                found[number, enters] = at + (room * 0.72 if enters and len(side.links) > 1 else room / 2)
                at += room
    return found


def _room(enters: bool) -> float:  # noqa: FBT001 -- a property of the link
    return _LABELLED if enters else _PLAIN


# ---- ways -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: where its boxes are, and how far the labels on either side of them reach."""

    left: float
    right: float
    labels_left: float
    labels_right: float


def way(link: Link, chain: Sequence[int], heights: Sequence[float], columns: Sequence[Column]) -> Arrow:
    """The way of a link; `heights` and `columns` are those of its slots, from left to right."""
    first, last = columns[0], columns[-1]
    points = [(first.right, heights[0]), (first.right + first.labels_right, heights[0])]
    for column, height in zip(columns[1:-1], heights[1:-1], strict=True):
        points += (column.left - column.labels_left, height), (column.right + column.labels_right, height)
    points += (last.left - last.labels_left, heights[-1]), (last.left, heights[-1])
    points_right = link.target == chain[-1]
    if not points_right:
        points.reverse()
    (before, y), (end, _) = points[-2:]
    label_x = (before + end - (HEAD if points_right else -HEAD)) / 2
    return Arrow(path=_path(points), end_x=end, end_y=y, label_x=label_x, points_right=points_right)


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Straight from the first point to the second, curved to the third, straight to the fourth, and so on."""
    shown = [f"M{points[0][0]:.1f},{points[0][1]:.1f}", f"L{points[1][0]:.1f},{points[1][1]:.1f}"]
    for at in range(2, len(points), 2):
        (x, y), (to_x, to_y), (on_x, on_y) = points[at - 1 : at + 2]
        middle = (x + to_x) / 2
        shown.append(f"C{middle:.1f},{y:.1f} {middle:.1f},{to_y:.1f} {to_x:.1f},{to_y:.1f} L{on_x:.1f},{on_y:.1f}")
    return " ".join(shown)
