"""Diagrams against tables: every operation on random functions of a few variables is what it is assignment by assignment."""

import random
from itertools import product

import pytest

from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions.diagram import Diagram, any_region, descend
from meshc.semantics.regions.forest import Forest, bits_of, singles

SIZES = (3, 2, 1, 4)
ASSIGNMENTS = list(product(*map(range, SIZES)))


def build(forest, table):
    """The function that a table gives, as a node made bottom up."""

    def node(prefix):
        if len(prefix) == len(SIZES):
            return forest.terminal(table[prefix])
        return forest.node(len(prefix), [(1 << one, node((*prefix, one))) for one in range(SIZES[len(prefix)])])

    return node(())


def table_of(forest, node):
    return {one: forest.value(descend(forest, node, one)) for one in ASSIGNMENTS}


def random_table(chance, values=(False, True), share=1.0):
    return {one: chance.choice(values) if chance.random() < share else values[0] for one in ASSIGNMENTS}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 20])
def test_many_operands_at_once(seed, count):
    """More than a dozen take another way than a few; both give what the table gives."""
    chance = random.Random(seed * 100 + count)
    forest = Forest(SIZES)
    tables = [random_table(chance, share=chance.choice([0.05, 0.2, 1.0])) for _ in range(count)]
    nodes = [build(forest, table) for table in tables]
    either, both = forest.any_of(nodes), forest.all_of(nodes)
    assert table_of(forest, either) == {one: any(table[one] for table in tables) for one in ASSIGNMENTS}
    assert table_of(forest, both) == {one: all(table[one] for table in tables) for one in ASSIGNMENTS}
    assert either == build(forest, {one: any(table[one] for table in tables) for one in ASSIGNMENTS})
    assert both == build(forest, {one: all(table[one] for table in tables) for one in ASSIGNMENTS})


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [1, 3, 20])
def test_the_first_that_does_not_skip(seed, count):
    chance = random.Random(seed * 100 + count)
    forest = Forest(SIZES)
    tables = [random_table(chance, ["skip", f"a{at}", f"b{at}"], share=0.2) for at in range(count)]
    node = forest.first_of([build(forest, table) for table in tables], forest.terminal("skip"))
    expected = {one: next((table[one] for table in tables if table[one] != "skip"), "skip") for one in ASSIGNMENTS}
    assert table_of(forest, node) == expected


@pytest.mark.parametrize("seed", range(20))
def test_functions_of_two(seed):
    chance = random.Random(seed)
    forest = Forest(SIZES)
    one, other = random_table(chance, "xyz"), random_table(chance, "xyz")
    first, second = build(forest, one), build(forest, other)
    node = forest.combine(
        first, second, lambda a, b: forest.terminal(f"{forest.value(a)}{forest.value(b)}"), same=forest.terminal("=")
    )
    expected = {at: "=" if one[at] == other[at] else one[at] + other[at] for at in ASSIGNMENTS}
    assert table_of(forest, node) == expected


@pytest.mark.parametrize("seed", range(20))
def test_sets(seed):
    chance = random.Random(seed)
    forest = Forest(SIZES)
    one, other = random_table(chance), random_table(chance, share=0.2)
    a, b = Diagram(forest, build(forest, one)), Diagram(forest, build(forest, other))
    for found, expected in (
        (a & b, {at: one[at] and other[at] for at in ASSIGNMENTS}),
        (a | b, {at: one[at] or other[at] for at in ASSIGNMENTS}),
        (a - b, {at: one[at] and not other[at] for at in ASSIGNMENTS}),
        (~a, {at: not one[at] for at in ASSIGNMENTS}),
        (any_region(forest, [a, b, ~a]), dict.fromkeys(ASSIGNMENTS, True)),
        (a.restrict(3, 0b0101), {at: one[at] and at[3] in {0, 2} for at in ASSIGNMENTS}),
    ):
        assert table_of(forest, found.root) == expected
        assert found.size == sum(expected.values())
        assert found.is_empty is not any(expected.values())
    assert a - b <= a
    assert (a <= b) is all(other[at] for at in ASSIGNMENTS if one[at])


@pytest.mark.parametrize("seed", range(20))
def test_what_is_told_of_a_function(seed):
    chance = random.Random(seed)
    forest = Forest(SIZES)
    table = random_table(chance, "xyz", share=0.3)
    diagram = Diagram(forest, build(forest, table))
    assert diagram.values() == set(table.values())
    assert all(diagram.at(one) == value for one, value in table.items())
    assert diagram.counts() == {value: list(table.values()).count(value) for value in set(table.values())}
    inside = {}
    for cell, value in diagram.cells():
        for one in product(*map(bits_of, cell)):
            assert one not in inside, "cells overlap"
            inside[one] = value
    assert inside == table
    region = diagram.where(lambda value: value == "y")
    for level in range(len(SIZES)):
        expected = {one[level] for one, value in table.items() if value == "y"}
        assert set(bits_of(region.classes(level))) == expected


@pytest.mark.parametrize("seed", range(20))
def test_an_example_is_inside_and_as_preferred_as_can_be(seed):
    chance = random.Random(seed)
    forest = Forest(SIZES)
    table = random_table(chance, share=0.2)
    region = Diagram(forest, build(forest, table))
    preferred = tuple(chance.randrange(size) for size in SIZES)
    found = region.any_path(preferred)
    if region.is_empty:
        assert found is None
    else:
        assert table[found]
        assert found == preferred or not table[preferred]
        first = {one[0] for one in ASSIGNMENTS if table[one]}
        assert found[0] == preferred[0] or preferred[0] not in first


def test_equal_functions_are_one_node():
    forest = Forest(SIZES)
    one, other = forest.literal(0, 0b011), forest.literal(3, 0b1000)
    left = forest.negate(forest.any_of((one, other)))
    right = forest.all_of((forest.negate(other), forest.literal(0, 0b100)))
    assert left == right
    assert forest.literal(0, 0b111) == forest.true
    assert forest.literal(0, 0) == forest.false
    assert forest.literal(2, 1) == forest.true, "a variable of one class decides nothing"


def test_values_of_different_types_are_different():
    forest = Forest(SIZES)
    assert len({forest.terminal(value) for value in (True, 1, 1.0, "1", False, 0, None)}) == 7


def test_thousands_of_variables():
    """No operation recurses over the variables."""
    forest = Forest([2] * 1500)
    everything = forest.all_of(forest.literal(level, 0b10) for level in range(1500))
    nothing = forest.all_of(forest.literal(level, 0b01) for level in reversed(range(1500)))
    region = Diagram(forest, forest.any_of((everything, nothing)))
    assert region.size == 2
    assert (~region).size == 2**1500 - 2
    assert region.any_path([1] * 1500) == (1,) * 1500
    assert len(list(region.cells())) > 1500
    assert (region - Diagram(forest, everything)).root == nothing


def test_too_much_work_is_refused():
    """Each pair of neighbours is cheap alone; all pairs, far apart in the order, need all combinations of the first halves."""
    forest = Forest([2] * 60, work=50_000)
    pairs = [forest.all_of((forest.literal(at, 0b10), forest.literal(at + 30, 0b10))) for at in range(30)]
    with pytest.raises(TooComplexError, match="too many ways"):
        forest.any_of(pairs)


def test_bits():
    assert list(bits_of(0b10110)) == [1, 2, 4]
    assert list(singles(0b10110)) == [0b10, 0b100, 0b10000]
