"""Headers and other texts: what occurs is what the lists of values over a small alphabet show, no more and no less."""

import random
from itertools import combinations, product

import pytest

from meshc.ir import EndsWith, Equals, HeaderIs, IsPresent, Matches, QueryIs, StartsWith
from meshc.semantics.facts import Facts
from meshc.semantics.regions.diagram import Diagram
from meshc.semantics.regions.forest import Forest
from meshc.semantics.regions.texts import header_variables, query_variable, server_name_variable
from meshc_harness.cells import class_of, passes, vector

POOL = (
    Equals(""), Equals("a"), Equals("ab"), StartsWith("a"), StartsWith("ab"), EndsWith("b"), StartsWith(""),
    Matches("[ab]+"), Matches("a*"), Matches("(a|b)?"), IsPresent(),
)  # fmt: skip
VALUES = ["".join(one) for length in range(4) for one in product("abc", repeat=length)]


def header(*values):
    return Facts(identity=None, peer=None, client=None, headers={"x": tuple(values)} if values else {})


def passed(variables, facts):
    return tuple(int(passes(one.tests[0], facts)) for one in variables.variables)


@pytest.mark.parametrize("seed", range(40))
def test_combinations_of_a_header_are_those_of_its_lists_of_values(seed):
    """As many values as there are tests pass them in every way that there is, so lists of four are enough here."""
    chance = random.Random(seed)
    some = chance.sample(POOL, chance.randrange(1, 5))
    variables = header_variables(0, "x", some)
    forest = Forest([one.size for one in variables.variables])
    feasible = Diagram(forest, variables.feasible(forest))
    single = {passed(variables, header(value)): value for value in VALUES}.values()
    lists = [(), *(one for size in range(1, 5) for one in combinations(single, size))]
    seen = {passed(variables, header(*one)) for one in lists}
    told = {one for one in product((0, 1), repeat=len(variables.variables)) if feasible.at(one)}
    assert told == seen


@pytest.mark.parametrize("seed", range(40))
def test_values_are_chosen_that_pass_just_what_is_wanted(seed):
    chance = random.Random(seed)
    variables = header_variables(0, "x", chance.sample(POOL, chance.randrange(1, 6)))
    forest = Forest([one.size for one in variables.variables])
    feasible = Diagram(forest, variables.feasible(forest))
    for one in product((0, 1), repeat=len(variables.variables)):
        if one[0] and feasible.at(one):
            values = variables.chosen(sum(bit << place for place, bit in enumerate(one[1:])))
            assert values
            assert passed(variables, header(*values)) == one


def test_hundreds_of_values_are_no_hundreds_of_combinations():
    """Each value of its own can be sent or not, so nothing but their being there at all is bound."""
    some = [Equals(f"tenant-{number}") for number in range(300)]
    variables = header_variables(0, "x", some)
    forest = Forest([2] * 301)
    feasible = Diagram(forest, variables.feasible(forest))
    assert feasible.size == 2**300 + 1
    assert len(forest) < 2000
    assert variables.tests[HeaderIs("x", IsPresent())].level == 0
    assert variables.tests[HeaderIs("x", some[7])].level == 8


def test_a_parameter_is_there_or_not():
    some = [Equals("1"), IsPresent(), Equals("")]
    variable = query_variable(0, "q", some)
    assert variable.size == 4
    for value in (None, "", "1", "2"):
        query = {} if value is None else {"q": value}
        number = class_of(variable, Facts(identity=None, peer=None, client=None, query=query))
        assert (variable.values[number] is None) is (value is None)


def test_a_parameter_whose_presence_nobody_asks_for_has_no_class_for_other_values():
    variable = query_variable(0, "q", [Equals("1")])
    assert variable.values == (None, "1")
    assert variable.bits(QueryIs("q", Equals("1"))) == 0b10


def test_a_server_name_may_be_required():
    assert server_name_variable(0, [Equals("a")], may_lack=True).values == (None, "a")
    assert None not in server_name_variable(0, [Equals("a")], may_lack=False).values
    assert vector(server_name_variable(0, [IsPresent()], may_lack=True), 0) == [False]
