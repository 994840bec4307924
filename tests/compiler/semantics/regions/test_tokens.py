"""Tokens: every token is where `feasible` says that there is one, and what it says has an example that is there."""

import random
from itertools import product

import pytest

from meshc.ir import Contains, EndsWith, Equals, IsPresent, Matches, StartsWith
from meshc.semantics.facts import Facts
from meshc.semantics.regions.claims import claim_variables
from meshc.semantics.regions.diagram import Diagram
from meshc.semantics.regions.forest import Forest
from meshc.semantics.regions.literals import Literals
from meshc.semantics.regions.tokens import token_variables
from meshc_harness.cells import claim_classes

TESTS = (
    Equals("a"), Equals("a b"), Equals(""), IsPresent(), Contains("a"), Contains("b"), Contains(""), Contains("a b"),
    StartsWith("a"), EndsWith("b"), Matches("[ab]+"),
)  # fmt: skip
PLAIN = tuple(one for one in TESTS if isinstance(one, Equals | IsPresent | Contains))
VALUES = (
    *(None, 0, 1.5, True, {}, {"x": "a"}, [], [1], [None, {}], ["a"], ["b", "a"], ["a", 7], ["c"], ["a b"], [""], ["", "a", "b"]),
    *("", "a", "b", "c", "a b", "b a", "ab", "a c", "c b", " ", "a ", "aa"),
)  # fmt: skip


def located(tokens, claims):
    """The classes of a token with these claims, None for no token."""
    found = {tokens.given.level: int(claims is not None)}
    for claim in tokens.claims.values():
        found.update(claim_classes(claim, Facts(identity=None, peer=None, client=None, claims=claims)))
    return tuple(found[level] for level in range(len(found)))


def space_of(literals):
    tokens = token_variables(0, literals)
    forest = Forest([one.size for one in tokens.variables])
    return tokens, Diagram(forest, forest.all_of(tokens.feasible(forest)))


def random_literals(chance):
    def some(pool, most):
        return dict.fromkeys(chance.sample(pool, chance.randrange(most)))

    literals = Literals()
    literals.issuers.update(some(["a", "a b"], 3) or {"c": None})
    literals.audiences.update(some(["a", "b"], 3))
    for path in [("iss",), ("aud",), ("sub",), ("x",), ("x", "y"), ("x", "y", "z"), ("aud", "x")]:
        if chance.random() < 0.4:
            literals.claims[path] = some(chance.choice([TESTS, PLAIN]), 4) or {IsPresent(): None}
    return literals


def random_token(chance):
    token = {name: chance.choice(VALUES) for name in ("iss", "aud", "sub") if chance.random() < 0.8}
    inner = {"y": chance.choice([*VALUES, {"z": chance.choice(VALUES)}])}
    token["x"] = chance.choice([*VALUES, inner, inner])
    token["aud"] = chance.choice([token.get("aud"), {"x": chance.choice(VALUES)}])
    return {name: value for name, value in token.items() if value is not None}


@pytest.mark.parametrize("seed", range(60))
def test_every_token_is_where_one_may_be(seed):
    chance = random.Random(seed)
    tokens, feasible = space_of(random_literals(chance))
    for claims in (None, {}, *(random_token(chance) for _ in range(200))):
        assert feasible.at(located(tokens, claims)), claims


@pytest.mark.parametrize("seed", range(60))
def test_wherever_one_may_be_there_is_an_example(seed):
    chance = random.Random(seed)
    tokens, feasible = space_of(random_literals(chance))
    for _ in range(100):
        wanted = [chance.randrange(one.size) for one in tokens.variables]
        found = feasible.any_path(wanted)
        claims = tokens.value(found)
        assert located(tokens, claims) == found, claims


@pytest.mark.parametrize("seed", range(40))
def test_all_kinds_of_one_claim(seed):
    """Every combination of classes of one claim, and every value of a pool."""
    chance = random.Random(seed)
    path = chance.choice([("iss",), ("aud",), ("sub",)])
    audiences = chance.sample(["a", "b", "a b"], chance.randrange(3)) if path == ("aud",) else ()
    claim = claim_variables(0, path, chance.sample(TESTS, chance.randrange(5)), audiences)
    forest = Forest([one.size for one in claim.variables])
    feasible = Diagram(forest, claim.feasible(forest))
    for one in product(*(range(variable.size) for variable in claim.variables)):
        if feasible.at(one):
            value = claim.value(one)
            claims = {} if value is None else {path[0]: value}
            assert located_claim(claim, claims) == one, value
    for value in VALUES:
        assert feasible.at(located_claim(claim, {path[0]: value})), value


def located_claim(claim, claims):
    found = dict(claim_classes(claim, Facts(identity=None, peer=None, client=None, claims=claims)))
    return tuple(found[level] for level in range(len(found)))


def test_scopes_are_told_one_by_one():
    """Forty scopes can be together in any way; that is forty variables, and not two to the fortieth classes."""
    claim = claim_variables(0, ("scope",), [Contains(f"s{number}") for number in range(40)])
    forest = Forest([one.size for one in claim.variables])
    feasible = Diagram(forest, claim.feasible(forest))
    assert feasible.size == 2**40 + 1
    everything = (1,) * 41
    assert claim.value(everything) == " ".join(f"s{number}" for number in range(40))
    assert claim.value((1,) + (0,) * 40) == "other"
    assert claim.value((0,) * 41) is None


def test_a_list_where_no_string_will_do():
    claim = claim_variables(0, ("scope",), [Contains("a b"), Contains("c")])
    assert claim.value((1, 1, 1)) == ["a b", "c"]
    assert claim.value((1, 0, 1)) == "c"
