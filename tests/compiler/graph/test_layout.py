"""The drawing: nothing overlaps, no arrow runs through a box, and the same input makes the same drawing."""

import re
from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshc.graph.layout import Arrow, Box, Drawing, Item, Link, draw
from meshc.graph.layout.order import order
from meshc.graph.layout.ranks import rank
from meshc.graph.layout.slots import assign_slots

NUMBER = re.compile(r"-?\d+\.\d")
LABEL_HEIGHT = 10.0
LABEL_GAP = 3.0
"""The text of a label stands this far above its line."""

Point = tuple[float, float]

Rectangle = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def box_area(box: Box) -> Rectangle:
    return box.x, box.y, box.x + box.width, box.y + box.height


def label_area(arrow: Arrow, width: float) -> Rectangle:
    bottom = arrow.end_y - LABEL_GAP
    return arrow.label_x - width / 2, bottom - LABEL_HEIGHT, arrow.label_x + width / 2, bottom


def overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def points(arrow: Arrow) -> list[Point]:
    """Points along the way."""
    found: list[Point] = []
    for stretch in re.findall(r"[MLC][^MLC]*", arrow.path):
        numbers = [float(one) for one in NUMBER.findall(stretch)]
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        if stretch[0] == "M":
            found = pairs
            continue
        start = found[-1]
        controls = pairs if stretch[0] == "C" else [start, pairs[0], pairs[0]]
        found += (bezier(start, *controls, share / 8) for share in range(1, 9))
    return found


def between(one: Point, other: Point, share: float) -> Point:
    return one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share


def bezier(a: Point, b: Point, c: Point, d: Point, share: float) -> Point:
    ab, bc, cd = between(a, b, share), between(b, c, share), between(c, d, share)
    return between(between(ab, bc, share), between(bc, cd, share), share)


@st.composite
def inputs(draw_one: st.DrawFn) -> tuple[list[Item], list[Link]]:
    count = draw_one(st.integers(1, 12))
    sizes = st.builds(
        lambda band, width, lines: Item(band=band, width=width, height=15.0 * lines + 10),
        st.integers(0, 3),
        st.sampled_from([40.0, 90.0, 150.0]),
        st.integers(1, 3),
    )
    items = draw_one(st.lists(sizes, min_size=count, max_size=count))
    ends = st.integers(0, count - 1)
    pairs = draw_one(st.lists(st.tuples(ends, ends, st.sampled_from([20.0, 120.0])), max_size=20))
    return items, [Link(source=one, target=two, label_width=width) for one, two, width in pairs if one != two]


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(inputs())
def test_nothing_overlaps(drawn: tuple[list[Item], list[Link]]) -> None:
    items, links = drawn
    drawing = draw(items, links, frozenset({1, 2, 3}))
    boxes = [box_area(box) for box in drawing.boxes]
    labels = [label_area(arrow, link.label_width) for arrow, link in zip(drawing.arrows, links, strict=True)]
    for one, other in combinations([*boxes, *labels], 2):
        assert not overlap(one, other)
    for arrow, link in zip(drawing.arrows, links, strict=True):
        way = points(arrow)
        assert touches(way[0], boxes[link.source])
        assert touches(way[-1], boxes[link.target])
        assert not any(left < x < right and top < y < bottom for x, y in way for left, top, right, bottom in boxes)
    for left, top, right, bottom in (*boxes, *labels):
        assert left >= 0
        assert top >= 0
        assert right <= drawing.width
        assert bottom <= drawing.height
    check_frames(drawing, items)


def touches(point: Point, box: Rectangle) -> bool:
    """Whether a point is on the left or right side of a box, but for rounding."""
    return min(abs(point[0] - box[0]), abs(point[0] - box[2])) < 0.1 and box[1] < point[1] < box[3]


def check_frames(drawing: Drawing, items: Sequence[Item]) -> None:
    """Each frame has all boxes of its band and no other."""
    frames = {one.band: (one.x, one.y, one.x + one.width, one.y + one.height) for one in drawing.frames}
    assert frames.keys() == {item.band for item in items} - {0}
    for box, item in zip(drawing.boxes, items, strict=True):
        for band, frame in frames.items():
            assert overlap(box_area(box), frame) is (band == item.band)
    for one, other in combinations(frames.values(), 2):
        assert not overlap(one, other)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=30))
def test_links_go_to_the_right_but_for_cycles(count: int, some: list[tuple[int, int]]) -> None:
    pairs = [(one % count, other % count) for one, other in some if one % count != other % count]
    ranks = rank(count, pairs)
    assert len(ranks) == count
    assert min(ranks) == 0
    assert all(ranks[one] != ranks[other] for one, other in pairs)
    if all(one < other for one, other in pairs):
        assert all(ranks[one] < ranks[other] for one, other in pairs)


def test_a_caller_of_one_thing_stands_beside_it() -> None:
    assert rank(5, [(0, 1), (1, 2), (2, 3), (4, 3)]) == (0, 1, 2, 3, 2)


def test_what_is_not_linked_shares_the_columns() -> None:
    assert rank(6, [(0, 1)])[2:] == (0, 1, 0, 1)
    assert set(rank(9, [])) == {0, 1, 2}
    assert rank(0, []) == ()


def test_crossings_are_undone() -> None:
    links = [Link(source=0, target=3, label_width=1), Link(source=1, target=2, label_width=1)]
    slots = assign_slots([0, 0, 0, 0], links, [0, 0, 1, 1])
    left, right = order(slots)
    assert [right.index({0: 3, 1: 2}[one]) for one in left] == [0, 1]


def test_lanes_hold_against_crossings() -> None:
    links = [Link(source=0, target=3, label_width=1), Link(source=1, target=2, label_width=1)]
    assert order(assign_slots([0, 1, 0, 1], links, [0, 0, 1, 1])) == ((0, 1), (2, 3))


def test_bands_without_common_columns_stand_side_by_side() -> None:
    items = [Item(band=band, width=50, height=30) for band in (1, 2)]
    drawing = draw(items, [Link(source=0, target=1, label_width=30)], frozenset({1, 2}))
    assert drawing.boxes[0].y == drawing.boxes[1].y


@pytest.mark.parametrize("count", [0, 1])
def test_small_drawings(count: int) -> None:
    drawing = draw([Item(band=0, width=50, height=30)] * count, [], frozenset())
    assert len(drawing.boxes) == count
    assert drawing.width > 0
    assert drawing.height > 0


def test_the_same_input_makes_the_same_drawing() -> None:
    items = [Item(band=number % 3, width=60, height=40) for number in range(9)]
    pairs = [(one, (one * 4 + 1) % 9) for one in range(9)]
    links = [Link(source=one, target=other, label_width=50) for one, other in pairs if one != other]
    assert draw(items, links, frozenset({1})) == draw(list(items), list(links), frozenset({1}))
