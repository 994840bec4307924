"""Callers: every identity is in one class, and every class has an example."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshc.ir import ExactIdentity, IdentityPrefix
from meshc.semantics.facts import Facts
from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions import callers
from meshc.semantics.regions.callers import caller_variable
from meshc.semantics.regions.variables import HasIdentity, InTrustDomain
from meshc_harness.cells import class_of, passes, vector

TEXTS = ("a.b", "a", "a.b.c", "x", "a.b/ns/x", "a.b/ns/x/sa/y", "a.b/ns/x/sa/", "a.b/ns/", "a.b/", "x/ns/x/", "")
IDENTITIES = [f"spiffe://{text}" for text in TEXTS]
tests = st.one_of(
    st.sampled_from(IDENTITIES).map(ExactIdentity),
    st.sampled_from(IDENTITIES).map(IdentityPrefix),
    st.sampled_from(["a.b", "a", "x"]).map(InTrustDomain),
    st.just(HasIdentity()),
)


def facts(identity):
    return Facts(identity=identity, peer=None, client=None)


@settings(deadline=None)
@given(st.lists(tests, max_size=8, unique=True))
def test_every_identity_is_in_one_class_and_every_class_has_an_example(some):
    variable = caller_variable(0, some, None)
    for number, identity in enumerate(variable.values):
        assert vector(variable, number) == [passes(test, facts(identity)) for test in variable.tests]
    for identity in (None, *IDENTITIES, *(f"{one}{more}" for one in IDENTITIES for more in ("/", "x", "/ns/x/sa/z"))):
        class_of(variable, facts(identity))


def test_examples_look_like_identities():
    some = [InTrustDomain("a.b"), ExactIdentity("spiffe://a.b/ns/x/sa/y"), IdentityPrefix("spiffe://a.b/ns/x/")]
    assert caller_variable(0, some, None).values == (
        None,
        "spiffe://a.b/ns/x/sa/y",
        "spiffe://unknown/ns/unknown/sa/unknown",
        "spiffe://a.b/ns/unknown/sa/unknown",
        "spiffe://a.b/ns/x/sa/unknown",
    )


def test_an_example_avoids_longer_prefixes():
    some = [IdentityPrefix("spiffe://a/ns/"), IdentityPrefix("spiffe://a/ns/unknown"), IdentityPrefix("spiffe://a/")]
    variable = caller_variable(0, some, None)
    alone = variable.bits(some[2]) & ~variable.bits(some[0])
    assert variable.values[alone.bit_length() - 1] == "spiffe://a/unknown"
    between = variable.bits(some[0]) & ~variable.bits(some[1])
    assert variable.values[between.bit_length() - 1].startswith("spiffe://a/ns/a")


def test_prefixes_that_leave_nothing_are_refused(monkeypatch):
    monkeypatch.setattr(callers, "_ATTEMPTS", 30)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    with pytest.raises(TooComplexError, match="free of longer prefixes"):
        caller_variable(0, [IdentityPrefix(f"spiffe://a/{one}") for one in ("", *letters)], None)


def test_a_test_for_what_is_no_identity_holds_for_nobody():
    some = [ExactIdentity("nobody"), IdentityPrefix("nobody/"), IdentityPrefix("spiffe")]
    variable = caller_variable(0, some, None)
    assert [variable.bits(test) for test in some] == [0, 0, variable.bits(HasIdentity())]


def test_a_thousand_identities():
    chance = random.Random(1)
    named = [f"spiffe://a.b/ns/n{chance.randrange(40)}/sa/s{number}" for number in range(1000)]
    variable = caller_variable(0, [*map(ExactIdentity, named), InTrustDomain("a.b")], named[7])
    assert variable.size == 1003
    assert variable.values[variable.preferred] == named[7]
    assert all(variable.values.count(one) == 1 for one in named[:20])
