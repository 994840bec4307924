"""Differences of two versions of a port: complete, true, and the same whichever way they are looked for."""

import random
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from meshc import ir
from meshc.semantics.regions import Change, Outcome, PortSide, Space, TooComplexError, Turn, compare, differing_ports
from meshc.semantics.regions.alike import is_alike
from meshc.semantics.regions.describe import Term
from meshc.semantics.regions.ports import sides_of
from meshc.semantics.regions.variables import HasIdentity, InTrustDomain
from meshc_strategies import meshes, stages
from meshc_strategies.shop import (
    CHECKOUT,
    FRONTEND,
    IDP,
    OPS,
    PAYMENTS_ACCESS,
    SHOP,
    operation,
    port,
    rule,
    stage,
    workload,
)

few = settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


def side(**fields):
    owner = workload("bank", "payments", port(8080, **fields))
    return PortSide(mesh=replace(SHOP, workloads=(owner,)), owner=owner, port=owner.ports[0])


def allowing(*rules):
    return (stage(ir.Effect.ALLOW, *rules),)


def exactly(identity):
    return (ir.ExactIdentity(identity),)


def test_a_widened_path():
    before = side(access=allowing(rule(1, exactly(FRONTEND), operation("GET", "/a"))))
    wider = ir.AllOf((ir.MethodIs(("GET",)), ir.PathIs(ir.TemplatePath(("a",), (), rest=True))))
    (part,) = compare(before, side(access=allowing(rule(1, exactly(FRONTEND), wider)))).parts()
    assert part.turn == Turn(before=Outcome.FORBIDDEN, after=Outcome.ALLOWED)
    assert part.turn.change is Change.OPENED
    assert {one.subject: one.terms for one in part.parts} == {
        "caller": (Term(passed=exactly(FRONTEND)),),
        "path": (
            Term(passed=(ir.PathIs(ir.TemplatePath(("a",), (), rest=True)),), failed=(ir.PathIs(ir.ExactPath("/a")),)),
        ),
        "method": (Term(passed=(ir.MethodIs(("GET",)),)),),
    }
    assert (part.witness.identity, part.witness.method) == (FRONTEND, "GET")
    assert part.witness.path.startswith("/a/")


def test_a_dropped_condition():
    test = ir.HeaderIs("x-region", ir.Equals("eu"))
    before = side(access=allowing(rule(1, exactly(FRONTEND), test)))
    (part,) = compare(before, side(access=allowing(rule(1, exactly(FRONTEND))))).parts()
    assert [one.subject for one in part.parts] == ["caller", 'header "x-region"']
    assert part.parts[1].terms == (Term(failed=(test,)),), "whether it is there at all need not be said"
    assert ("x-region", "eu") not in part.witness.headers


def test_a_deny_that_is_gone():
    before = side(access=PAYMENTS_ACCESS)
    difference = compare(before, side(access=PAYMENTS_ACCESS[1:]))
    assert {part.turn.change for part in difference.parts()} == {Change.OPENED}
    assert difference.region(Change.CLOSED).is_empty
    (part,) = (
        part
        for part in difference.parts()
        if any(one.subject == "caller" and FRONTEND in str(one.terms) for one in part.parts)
    )
    assert part.witness.source_ip == "10.66.0.1"


def test_plaintext_let_in():
    before, after = side(mtls=ir.MtlsMode.STRICT), side(mtls=ir.MtlsMode.PERMISSIVE)
    (part,) = compare(before, after).parts()
    assert part.turn == Turn(before=Outcome.NO_CONNECTION, after=Outcome.ALLOWED)
    assert part.parts[0].terms == (Term(failed=(HasIdentity(),)),)
    assert part.witness.identity is None


def test_a_domain_that_is_no_longer_trusted():
    before = side()
    domains = SHOP.trust_domains[:1]
    owner = before.owner
    after = PortSide(mesh=replace(before.mesh, trust_domains=domains), owner=owner, port=before.port)
    (part,) = compare(before, after).parts()
    assert part.turn == Turn(before=Outcome.ALLOWED, after=Outcome.NO_CONNECTION)
    assert part.parts[0].terms == (Term(passed=(InTrustDomain("ops.example"),)),)


def test_another_answer_is_told_apart_from_opened_and_closed():
    before = side(access=allowing())
    parts = compare(before, side(access=allowing(), jwts=(replace(IDP, required=True),))).parts()
    assert {part.turn for part in parts} == {Turn(before=Outcome.FORBIDDEN, after=Outcome.UNAUTHENTICATED)}
    assert parts[0].turn.change is Change.CHANGED
    told = {tuple(one.subject for one in part.parts if one.subject != "caller") for part in parts}
    assert told == {("token",), ("issuer",), ('claim "aud"', 'claim "aud"')}


def test_a_port_that_stops_to_see_requests():
    """A tcp port knows no paths, so a rule with a path lets nobody in there; a request stands for its connection."""
    access = allowing(rule(1, exactly(FRONTEND), operation("GET", "/a")))
    difference = compare(side(access=access), side(access=access, protocol=ir.Protocol.TCP))
    (part,) = difference.parts()
    assert part.turn == Turn(before=Outcome.ALLOWED, after=Outcome.FORBIDDEN)


def test_trusted_hops_that_are_others():
    block = ir.AddressIn(ir.AddressOf.CLIENT, (ip_network("10.0.0.0/8"),))
    before = side(access=allowing(rule(1, (ir.AnyPeer(),), block)))
    meshes_ = [replace(before.mesh, trusted_hops=hops) for hops in (0, 1, 2)]
    sides = [PortSide(mesh=mesh, owner=before.owner, port=before.port) for mesh in meshes_]
    for one in sides:
        for other in sides:
            difference = compare(one, other)
            assert difference.is_empty is (one is other)
            assert {part.turn.change for part in difference.parts()} <= {Change.OPENED, Change.CLOSED}


# ---- what is the same ------------------------------------------------------------------------------------------------


def test_what_is_said_in_another_way_is_no_difference():
    get, post = operation("GET", "/a"), operation("POST", "/a")
    both = ir.AllOf((ir.MethodIs(("POST", "GET")), ir.PathIs(ir.ExactPath("/a"))))
    before = side(access=allowing(rule(1, (*exactly(FRONTEND), *exactly(CHECKOUT)), both)))
    split = [rule(2, exactly(who), one) for who in (CHECKOUT, FRONTEND) for one in (post, get)]
    twice = rule(3, exactly(CHECKOUT), ir.Not(ir.Not(get)))
    assert compare(before, side(access=allowing(*split, twice))).is_empty


def test_a_rule_that_never_counts_is_no_difference():
    """A deny of a domain that gets no connection, and an allow of what is denied."""
    prefix = (ir.IdentityPrefix("spiffe://elsewhere.example/"),)
    deny = stage(ir.Effect.DENY, rule(1, prefix), rule(2, exactly(OPS)))
    before = side(access=(stage(ir.Effect.DENY, rule(2, exactly(OPS))), *allowing(rule(3, exactly(FRONTEND)))))
    assert compare(before, side(access=(deny, *allowing(rule(3, exactly(FRONTEND)), rule(4, exactly(OPS)))))).is_empty


@pytest.mark.slow
@few
@given(meshes(), st.randoms())
def test_order_of_rules_is_no_difference(mesh, chance):
    for one in sides_of(mesh).values():
        access = tuple(
            replace(stage, rules=tuple(chance.sample(stage.rules, len(stage.rules)))) for stage in one.port.access
        )
        other = PortSide(mesh=mesh, owner=one.owner, port=replace(one.port, access=access))
        assert compare(one, other).is_empty


@pytest.mark.slow
@few
@given(meshes(), meshes())
def test_what_one_way_opens_the_other_way_closes(one, other):
    for before, after in zip(sides_of(one).values(), sides_of(other).values(), strict=True):
        there, back = compare(before, after), compare(after, before)
        for change, opposite in ((Change.OPENED, Change.CLOSED), (Change.CHANGED, Change.CHANGED)):
            assert there.region(change).size == back.region(opposite).size
        assert there.is_empty is back.is_empty
        covered = there.space.feasible - there.space.feasible
        for part in there.parts():
            assert part.size > 0
            covered |= there.space.cell(part.cell)
        changed = there.region(Change.OPENED) | there.region(Change.CLOSED) | there.region(Change.CHANGED)
        assert covered == changed


@pytest.mark.slow
@few
@given(meshes(), stages)
def test_one_more_deny_opens_nothing(mesh, more):
    deny = replace(more, effect=ir.Effect.DENY, shadow=False)
    for one in sides_of(mesh).values():
        stricter = replace(one.port, access=(deny, *one.port.access))
        difference = compare(one, PortSide(mesh=mesh, owner=one.owner, port=stricter))
        assert difference.region(Change.OPENED).is_empty
        assert difference.region(Change.CHANGED).is_empty, "the answer to what is refused does not tell why"


# ---- meshes ----------------------------------------------------------------------------------------------------------


def test_ports_that_say_the_same_are_left_out():
    assert differing_ports(SHOP, SHOP) == ()
    first, *rest = SHOP.workloads
    changed = replace(first, ports=(replace(first.ports[0], access=()), port(9)))
    other = replace(SHOP, workloads=(changed, *rest[1:]))
    found = {pair.key: (pair.before is None, pair.after is None) for pair in differing_ports(SHOP, other)}
    assert found == {
        ("bank", "ledger", 9): (True, False),
        ("bank", "ledger", 5432): (False, False),
        ("bank", "payments", 8080): (False, True),
        ("bank", "payments", 9090): (False, True),
    }


def test_alike_are_ports_whose_outcomes_depend_on_the_same():
    one = side(access=PAYMENTS_ACCESS)
    shadows = side(access=(*PAYMENTS_ACCESS, stage(ir.Effect.ALLOW, shadow=True)))
    assert is_alike(one, shadows)
    assert compare(one, shadows).is_empty
    for other in (
        side(access=PAYMENTS_ACCESS[:1]),
        side(access=PAYMENTS_ACCESS, jwts=(IDP,)),
        side(access=PAYMENTS_ACCESS, mtls=ir.MtlsMode.PERMISSIVE),
    ):
        assert not is_alike(one, other)
        assert not compare(one, other).is_empty
    hops = PortSide(mesh=replace(one.mesh, trusted_hops=1), owner=one.owner, port=one.port)
    assert not is_alike(one, hops)


# ---- bounds ----------------------------------------------------------------------------------------------------------


def random_rules(count):
    """Rules of one large port, the same each time."""
    chance = random.Random(1)
    rules = []
    for number in range(count):
        who = tuple(ir.ExactIdentity(f"spiffe://shop.example/ns/n/sa/s{chance.randrange(200)}") for _ in range(2))
        name = f"r{chance.randrange(150)}"
        pattern = chance.choice(
            [
                ir.ExactPath(f"/{name}"),
                ir.TemplatePath((name,), (), rest=True),
                ir.TemplatePath((name, None), ("x",), rest=False),
            ]
        )
        parts = [ir.MethodIs((chance.choice(["GET", "POST", "PUT"]),)), ir.PathIs(pattern)]
        if number % 10 == 0:
            parts.append(ir.HeaderIs("x-tenant", ir.Equals(f"t{chance.randrange(20)}")))
        rules.append(rule(number + 1, who, ir.AllOf(tuple(parts))))
    return rules


@pytest.mark.slow
def test_five_hundred_rules_are_little_work():
    """Work is counted the same on every machine; this much is a tenth of a second."""
    rules = random_rules(500)
    before, after = side(access=allowing(*rules)), side(access=allowing(*rules[:7], *rules[8:]))
    space = Space.of((before, after), work=60_000)
    assert space.outcomes(before) != space.outcomes(after)
    assert space.outcomes(before) == space.outcomes(before)
    closed = compare(before, after)
    assert closed.region(Change.OPENED).is_empty
    assert len(closed.parts()) == 1


def test_too_much_is_not_decided():
    one = side(access=allowing(*random_rules(50)))
    with pytest.raises(TooComplexError):
        Space.of((one,), work=100).outcomes(one)
