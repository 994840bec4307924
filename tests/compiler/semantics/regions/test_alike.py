"""Ports that say the same: what is called alike lets the same through, whatever was moved, split, renamed or said twice."""

import random
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from meshc import ir
from meshc.semantics.regions import PortSide, compare
from meshc.semantics.regions.alike import is_alike
from meshc_strategies import meshes, stages
from meshc_strategies.shop import CHECKOUT, FRONTEND, SHOP, at, operation, port, rule, stage, workload

few = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)

A, B = (ir.HeaderIs(name, ir.Equals("1")) for name in ("a", "b"))
WEB, PAY = (ir.ExactIdentity(one) for one in (FRONTEND, CHECKOUT))
NOBODY = ir.Rule(
    identifier="mtls",
    principals=ir.Principals((ir.AnyPeer(),), (ir.AnyIdentity(),)),
    condition=ir.ALWAYS,
    span=at(1),
)


def side(*stages_: ir.Stage, mtls: ir.MtlsMode = ir.MtlsMode.PERMISSIVE) -> PortSide:
    owner = workload("bank", "payments", port(8080, access=stages_, mtls=mtls))
    return PortSide(mesh=replace(SHOP, workloads=(owner,)), owner=owner, port=owner.ports[0])


def allowing(*conditions: ir.Condition, who: tuple[ir.Principal, ...] = (WEB,)) -> ir.Stage:
    return stage(ir.Effect.ALLOW, *(rule(line, who, one) for line, one in enumerate(conditions, 1)))


def template(name: str, *, rest: bool = False) -> ir.Condition:
    return ir.PathIs(ir.TemplatePath(("a", None), (name,), rest=rest))


def methods(*names: str) -> ir.Condition:
    return ir.MethodIs(names)


def peers(*blocks: str) -> ir.Condition:
    return ir.AddressIn(ir.AddressOf.PEER, tuple(map(ip_network, blocks)))


SAME = {
    "another name of a part of the path": ((allowing(template("id")),), (allowing(template("p2")),)),
    "another order": ((allowing(A, B),), (allowing(B, A),)),
    "another order of a conjunction": ((allowing(ir.AllOf((A, B))),), (allowing(ir.AllOf((B, A))),)),
    "rules in one": ((allowing(A, B),), (allowing(ir.AnyOf((A, B))),)),
    "said twice": ((allowing(A),), (allowing(A, A),)),
    "methods one by one": (
        (allowing(ir.AllOf((methods("GET", "PUT"), A))),),
        (allowing(ir.AllOf((methods("GET"), A)), ir.AllOf((A, methods("PUT")))),),
    ),
    "blocks one by one": (
        (allowing(peers("10.0.0.0/8", "1.2.3.4/32")),),
        (allowing(peers("10.0.0.0/8"), peers("1.2.3.4/32")),),
    ),
    "callers one by one": (
        (allowing(A, who=(WEB, PAY)),),
        (stage(ir.Effect.ALLOW, rule(1, (WEB,), A), rule(2, (PAY,), A)),),
    ),
    "no method of several": (
        (allowing(ir.Not(methods("GET", "PUT"))),),
        (allowing(ir.AllOf((ir.Not(methods("PUT")), ir.Not(methods("GET"))))),),
    ),
    "de Morgan": (
        (allowing(ir.Not(ir.AnyOf((A, ir.Not(B))))),),
        (allowing(ir.AllOf((B, ir.Not(A)))),),
    ),
    "multiplied out": (
        (allowing(ir.AllOf((ir.AnyOf((A, B)), methods("GET")))),),
        (allowing(ir.AllOf((B, methods("GET"))), ir.AllOf((A, methods("GET")))),),
    ),
    "denials in two steps": (
        (stage(ir.Effect.DENY, rule(1, (WEB,), A), rule(2, (WEB,), B)), allowing(ir.ALWAYS)),
        (stage(ir.Effect.DENY, rule(1, (WEB,), B)), stage(ir.Effect.DENY, rule(1, (WEB,), A)), allowing(ir.ALWAYS)),
    ),
    "a step that lets more through than another": ((allowing(A),), (allowing(A, B), allowing(A))),
    "a denial of those whom nothing lets in": (
        (stage(ir.Effect.DENY, NOBODY), allowing(A)),
        (allowing(A),),
    ),
    "for every identity, or for all but those without": (
        (stage(ir.Effect.DENY, NOBODY), allowing(A, who=(ir.AnyPeer(),))),
        (allowing(A, who=(ir.AnyIdentity(),)),),
    ),
}

OTHER = {
    "another effect": ((allowing(A),), (stage(ir.Effect.DENY, rule(1, (WEB,), A)),)),
    "one or both": ((allowing(ir.AllOf((A, B))),), (allowing(ir.AnyOf((A, B))),)),
    "both, or each in its step": ((allowing(A, B),), (allowing(A), allowing(B))),
    "the opposite": ((allowing(A),), (allowing(ir.Not(A)),)),
    "another caller": ((allowing(A),), (allowing(A, who=(PAY,)),)),
    "an exception": (
        (allowing(A, who=(ir.AnyPeer(),)),),
        (
            stage(
                ir.Effect.ALLOW,
                replace(rule(1, (), A), principals=ir.Principals((ir.AnyPeer(),), (WEB,))),
            ),
        ),
    ),
    "a wider path": ((allowing(template("id")),), (allowing(template("id", rest=True)),)),
    "a rule more": ((allowing(A),), (allowing(A, B),)),
    "a method more": ((allowing(methods("GET")),), (allowing(methods("GET", "PUT")),)),
    "nothing said, and everything refused": ((), (allowing(),)),
    "a denial of those whom something lets in": (
        (stage(ir.Effect.DENY, NOBODY), allowing(A, who=(ir.AnyPeer(),))),
        (allowing(A, who=(ir.AnyPeer(),)),),
    ),
    "a denial of those without identity, and no list": ((stage(ir.Effect.DENY, NOBODY),), ()),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_what_says_the_same_in_other_words(one, other):
    assert is_alike(side(*one), side(*other))
    assert is_alike(side(*other), side(*one))
    assert compare(side(*one), side(*other)).is_empty


@pytest.mark.parametrize(("one", "other"), OTHER.values(), ids=OTHER)
def test_what_says_something_else(one, other):
    assert not is_alike(side(*one), side(*other))
    assert not is_alike(side(*other), side(*one))
    assert not compare(side(*one), side(*other)).is_empty


def test_a_condition_with_many_cases_is_left_to_be_compared_by_meaning():
    pairs = [ir.AnyOf((A, ir.HeaderIs(f"h{one}", ir.IsPresent()))) for one in range(12)]
    assert not is_alike(side(allowing(ir.AllOf(tuple(pairs)))), side(allowing(ir.AllOf(tuple(pairs[::-1])))))


def test_rules_of_one_operation_are_not_taken_for_those_of_another():
    assert not is_alike(side(allowing(operation("GET", "/a"))), side(allowing(operation("GET", "/b"))))


def reworded(condition: ir.Condition, chance: random.Random) -> ir.Condition:
    """The same condition, in other words."""
    match condition:
        case ir.AllOf(conditions=parts) | ir.AnyOf(conditions=parts):
            listed = [reworded(one, chance) for one in parts]
            chance.shuffle(listed)
            made = type(condition)(tuple(listed))
        case ir.Not(condition=inner):
            made = ir.Not(reworded(inner, chance))
        case ir.MethodIs(methods=names):
            made = ir.AnyOf(tuple(ir.MethodIs((one,)) for one in names))
        case ir.PathIs(pattern=ir.TemplatePath(segments=segments, names=names, rest=rest)):
            made = ir.PathIs(
                ir.TemplatePath(segments, tuple(f"x{number}" for number, _ in enumerate(names)), rest=rest)
            )
        case _:
            made = condition
    return ir.Not(ir.Not(made)) if chance.random() < 0.3 else made


def reworded_stage(one: ir.Stage, chance: random.Random) -> ir.Stage:
    rules = [
        replace(each, identifier=f"other-{number}", condition=reworded(each.condition, chance))
        for number, each in enumerate(one.rules)
    ]
    chance.shuffle(rules)
    return replace(one, rules=tuple(rules))


@pytest.mark.slow
@given(meshes(), st.randoms(use_true_random=False))
@few
def test_random_ports_in_other_words(mesh, chance):
    """reworded(port) is alike, and lets the same through."""
    for owner in mesh.workloads:
        for one in owner.ports:
            other = replace(one, access=tuple(reworded_stage(each, chance) for each in one.access))
            before, after = (PortSide(mesh=mesh, owner=owner, port=each) for each in (one, other))
            assert is_alike(before, after)
            assert compare(before, after).is_empty


@pytest.mark.slow
@given(meshes(), stages, stages)
@few
def test_random_ports_that_are_called_alike_are(mesh, some, others):
    """is_alike(one, other) implies that nothing differs: of stages joined in different ways, with one left out."""
    owner = mesh.workloads[0]
    for one in owner.ports:
        lists = [(some, others), (others, some), (some,), (others,), (some, some), ()]
        sides = [PortSide(mesh=mesh, owner=owner, port=replace(one, access=tuple(each))) for each in lists]
        for before in sides:
            for after in sides:
                if is_alike(before, after):
                    assert compare(before, after).is_empty
