"""Covers: together just the set, each box as wide as it can be, the largest first."""

import random
from itertools import product

import pytest

from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions import boxes
from meshc.semantics.regions.boxes import cover
from meshc.semantics.regions.diagram import Diagram
from meshc.semantics.regions.forest import Forest, bits_of

SIZES = (3, 2, 4, 2)
ASSIGNMENTS = list(product(*map(range, SIZES)))


def region(forest, inside):
    cells = (forest.all_of(forest.literal(level, 1 << number) for level, number in enumerate(one)) for one in inside)
    return Diagram(forest, forest.any_of(cells))


def inside(box):
    return set(product(*map(bits_of, box.cell)))


@pytest.mark.parametrize("seed", range(60))
def test_a_cover_is_the_set_and_its_boxes_are_as_wide_as_can_be(seed):
    chance = random.Random(seed)
    forest = Forest(SIZES)
    possible = {one for one in ASSIGNMENTS if chance.random() < chance.choice([0.6, 1])}
    wanted = {one for one in possible if chance.random() < chance.choice([0.1, 0.5, 0.9])}
    feasible = region(forest, possible)
    found = cover(region(forest, wanted), feasible, (0, 0, 0, 0))
    assert set().union(*map(inside, found)) & possible == wanted
    assert [box.size for box in found] == sorted((box.size for box in found), reverse=True)
    assert len({box.example for box in found}) == len(found)
    for box in found:
        held = inside(box) & possible
        assert held <= wanted
        assert len(held) == box.size
        assert box.example in held
        for level, bits in enumerate(box.cell):
            for number in set(range(SIZES[level])) - set(bits_of(bits)):
                wider = {(*one[:level], number, *one[level + 1 :]) for one in inside(box)}
                assert wider & possible - wanted, "the box could be wider"


def test_a_product_is_one_box():
    forest = Forest(SIZES)
    product_region = region(forest, {one for one in ASSIGNMENTS if one[0] != 1 and one[2] in {0, 3}})
    (box,) = cover(product_region, Diagram(forest, forest.true), (0, 0, 0, 0))
    assert box.cell == (0b101, 0b11, 0b1001, 0b11)
    assert box.size == 2 * 2 * 2 * 2


def test_what_cannot_be_makes_boxes_simpler():
    """The class of the last variable follows from that of the first, so a box need not name it."""
    forest = Forest((2, 2))
    feasible = region(forest, {(0, 0), (1, 1)})
    (box,) = cover(region(forest, {(1, 1)}), feasible, (0, 0))
    assert box.cell == (0b10, 0b11)


def test_nothing_takes_no_box():
    forest = Forest(SIZES)
    assert cover(Diagram(forest, forest.false), Diagram(forest, forest.true), (0, 0, 0, 0)) == ()


def test_too_many_boxes_are_refused(monkeypatch):
    monkeypatch.setattr(boxes, "MAX_BOXES", 3)
    forest = Forest((5, 5))
    diagonal = region(forest, {(one, one) for one in range(5)})
    with pytest.raises(TooComplexError, match="more than 3 parts"):
        cover(diagonal, Diagram(forest, forest.true), (0, 0))
