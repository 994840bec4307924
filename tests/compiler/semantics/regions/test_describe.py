"""Descriptions hold for the classes that they describe, and for no others."""

import random
from ipaddress import ip_network

import pytest

from meshc import ir
from meshc.errors import InternalError
from meshc.semantics.regions.callers import caller_variable
from meshc.semantics.regions.claims import claim_variables
from meshc.semantics.regions.describe import Term, describe, terms_of
from meshc.semantics.regions.networks import address_variable
from meshc.semantics.regions.texts import path_variable, query_variable
from meshc.semantics.regions.variables import HasIdentity, InTrustDomain, classes_to_variable

PATTERNS = [
    ir.ExactPath("/a"), ir.ExactPath("/a/b"), ir.TemplatePath(("a",), (), rest=True), ir.ANY_PATH,
    ir.TemplatePath(("a", None), ("x",), rest=False), ir.TemplatePath((None, "b"), ("x",), rest=False),
    ir.RegexPath("/a/[0-9]+"),
]  # fmt: skip
IDENTITIES = [f"spiffe://a.b/ns/{space}/sa/{name}" for space in "xy" for name in "pqr"]
VARIABLES = [
    path_variable(0, PATTERNS),
    caller_variable(
        0,
        [InTrustDomain("a.b"), *map(ir.ExactIdentity, IDENTITIES), ir.IdentityPrefix("spiffe://a.b/ns/x/sa/")],
        None,
    ),
    address_variable(0, ir.AddressOf.PEER, [ip_network("10.0.0.0/8"), ip_network("10.1.0.0/16"), ip_network("::/0")]),
    query_variable(0, "q", [ir.Equals("1"), ir.StartsWith("1"), ir.IsPresent(), ir.Matches("[0-9]+")]),
    claim_variables(0, ("aud",), [ir.StartsWith("a"), ir.Contains("b")], ["a"]).kind,
    claim_variables(0, ("iss",), [ir.Equals("a"), ir.IsPresent()]).kind,
    claim_variables(0, ("sub",), [ir.Equals("a"), ir.EndsWith("b")]).kind,
]


def held(variable, term):
    bits = variable.full
    for test in term.passed:
        bits &= variable.bits(test)
    for test in term.failed:
        bits &= ~variable.bits(test)
    return bits


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.subject)
def test_terms_hold_for_just_these_classes(variable):
    chance = random.Random(variable.subject)
    sets = range(1, variable.full) if variable.size < 9 else [chance.randrange(1, variable.full) for _ in range(300)]
    for wanted in sets:
        bits = 0
        for term in terms_of(variable, wanted):
            bits |= held(variable, term)
        assert bits == wanted


def test_words_are_few():
    path, caller = VARIABLES[:2]
    below, exact = ir.PathIs(PATTERNS[2]), ir.PathIs(PATTERNS[1])
    assert terms_of(path, path.bits(below)) == (Term(passed=(below,)),)
    assert terms_of(path, path.full & ~path.bits(below)) == (Term(failed=(below,)),)
    assert terms_of(path, path.bits(below) & ~path.bits(exact)) == (Term(passed=(below,), failed=(exact,)),)
    one, other = (ir.ExactIdentity(IDENTITIES[at]) for at in (0, 3))
    assert terms_of(caller, caller.bits(one) | caller.bits(other)) == (Term(passed=(one,)), Term(passed=(other,)))
    assert terms_of(caller, 1) == (Term(failed=(HasIdentity(),)),)


def test_only_what_is_constrained_is_described():
    one, other = classes_to_variable(0, "one", [HasIdentity()], [(0, None), (1, "a")]), VARIABLES[3]
    (part,) = describe([one], (0b10,))
    assert (part.subject, part.terms, part.classes) == ("one", (Term(passed=(HasIdentity(),)),), 0b10)
    assert describe([one], (0b11,)) == ()
    assert describe([other], (other.full,)) == ()


def test_classes_that_nothing_tells_apart_are_a_fault():
    variable = classes_to_variable(0, "one", [HasIdentity()], [(1, "a"), (1, "b")])
    with pytest.raises(InternalError, match="same tests"):
        terms_of(variable, 0b01)
