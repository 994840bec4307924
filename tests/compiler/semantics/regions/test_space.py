"""Spaces: what becomes of requests, what decides it, and requests that show it."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from meshc import ir
from meshc.errors import InternalError
from meshc.semantics.decide import Evaluator
from meshc.semantics.regions import Cause, Outcome, PortSide, Question, Space, TooComplexError, sides_of
from meshc.semantics.regions.literals import header_arrives, query_arrives
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

ANYONE = (ir.AnyPeer(),)


def side(condition=None, *, hops=0, **fields):
    """A port with these fields; with a condition, one that lets in exactly what it holds for."""
    if condition is not None:
        fields["access"] = (stage(ir.Effect.ALLOW, rule(1, ANYONE, condition)),)
    owner = workload("bank", "payments", port(8080, **fields))
    mesh = replace(SHOP, workloads=(owner,), trusted_hops=hops)
    return PortSide(mesh=mesh, owner=owner, port=owner.ports[0])


def example(one, outcome=Outcome.ALLOWED):
    space = Space.of([one])
    return space.witness(space.outcomes(one).where(lambda found: found is outcome))


# ---- outcomes --------------------------------------------------------------------------------------------------------


def test_everything_that_becomes_of_requests_has_an_example():
    payments = sides_of(SHOP)["bank", "payments", 8080]
    evaluator = Evaluator(SHOP)
    statuses = {
        outcome: evaluator.decide(request).status
        for outcome in Outcome
        if (request := example(payments, outcome)) is not None
    }
    assert statuses == {
        Outcome.NO_CONNECTION: None,
        Outcome.UNAUTHENTICATED: 401,
        Outcome.FORBIDDEN: 403,
        Outcome.ALLOWED: None,
    }


@pytest.mark.parametrize(
    ("fields", "outcomes"),
    [
        ({"mtls": ir.MtlsMode.OFF}, {Outcome.ALLOWED}),
        ({"protocol": ir.Protocol.TLS}, {Outcome.ALLOWED}),
        ({"access": (stage(ir.Effect.ALLOW),)}, {Outcome.NO_CONNECTION, Outcome.FORBIDDEN}),
        ({"access": (stage(ir.Effect.ALLOW, shadow=True),)}, {Outcome.NO_CONNECTION, Outcome.ALLOWED}),
        ({"mtls": ir.MtlsMode.PERMISSIVE}, {Outcome.NO_CONNECTION, Outcome.ALLOWED}),
        ({"protocol": ir.Protocol.TCP, "jwts": (IDP,)}, {Outcome.NO_CONNECTION, Outcome.ALLOWED}),
    ],
)
def test_what_can_become_of_requests(fields, outcomes):
    one = side(**fields)
    assert Space.of([one]).outcomes(one).values() - {None} == outcomes


def test_identities_that_nobody_sees_are_in_no_list():
    named = rule(1, (ir.ExactIdentity(FRONTEND),))
    for fields in ({"mtls": ir.MtlsMode.OFF}, {"protocol": ir.Protocol.TLS}):
        one = side(access=(stage(ir.Effect.ALLOW, named),), **fields)
        assert Space.of([one]).allowed(one).is_empty
    nobody_but = replace(named, principals=ir.Principals(ANYONE, (ir.AnyIdentity(),)))
    one = side(access=(stage(ir.Effect.ALLOW, nobody_but),), mtls=ir.MtlsMode.OFF)
    assert not Space.of([one]).allowed(one).is_empty


def test_what_no_request_can_have_lets_nobody_in():
    for condition in (
        ir.HeaderIs("x-envoy-internal", ir.IsPresent()),
        ir.HeaderIs("x-forwarded-client-cert", ir.StartsWith("")),
        ir.HeaderIs("x_under", ir.IsPresent()),
        ir.HeaderIs("host", ir.IsPresent()),
        ir.QueryIs("a&b", ir.IsPresent()),
        ir.QueryIs("a=b", ir.IsPresent()),
        ir.ClaimIs(("sub",), ir.IsPresent()),
        ir.MethodIs(("CONNECT",)),
        ir.PathIs(ir.ExactPath("/a/../b")),
        ir.AllOf((ir.PathIs(ir.ExactPath("/a")), ir.PathIs(ir.ExactPath("/b")))),
        ir.AllOf((ir.HeaderIs("x-a", ir.Equals("1")), ir.Not(ir.HeaderIs("x-a", ir.IsPresent())))),
        ir.AllOf((ir.QueryIs("q", ir.Equals("1")), ir.QueryIs("q", ir.Equals("2")))),
    ):
        one = side(condition)
        assert Space.of([one]).allowed(one).is_empty, condition


def test_names_that_arrive():
    assert header_arrives("x-a")
    assert not header_arrives("X-A"), "names are lower-case in rules"
    assert not any(map(header_arrives, ("", "x a", ":path", "x-envoy-a", "x_a", "host")))
    assert all(map(query_arrives, ("a", "", "a?b", "%20")))
    assert not any(map(query_arrives, ("a&b", "a=b", "a#b", "a b", "ä")))


def test_several_values_of_a_header_pass_what_no_single_one_does():
    both = ir.AllOf((ir.HeaderIs("x-a", ir.Equals("1")), ir.HeaderIs("x-a", ir.Equals("2"))))
    assert set(example(side(both)).headers) == {("x-a", "1"), ("x-a", "2")}


# ---- examples --------------------------------------------------------------------------------------------------------


def test_an_example_is_as_plain_as_can_be():
    found = example(side(operation("POST", "/a")))
    assert (found.method, found.path, found.headers, found.query, found.claims) == ("POST", "/a", (), (), None)
    assert (found.host, found.source_ip, found.sni) == (None, "127.0.0.1", None)
    assert example(side()).method == "GET"
    assert example(side(protocol=ir.Protocol.GRPC)).method == "POST"
    assert example(side(ir.Not(ir.MethodIs(("GET",))))).method not in {"GET", None}
    tcp = example(side(protocol=ir.Protocol.TCP))
    assert (tcp.method, tcp.path) == (None, None)


def test_an_address_behind_hops():
    client = ir.AddressIn(ir.AddressOf.CLIENT, (ip_network("10.1.0.0/16"),))
    peer = ir.AddressIn(ir.AddressOf.PEER, (ip_network("10.1.0.0/16"),))
    assert example(side(client)).source_ip == "10.1.0.1"
    found = example(side(ir.AllOf((client, ir.Not(peer))), hops=2))
    assert found.headers == (("x-forwarded-for", "10.1.0.1, 192.0.2.1"),)
    assert found.source_ip == "127.0.0.1"


def test_two_depths_at_once():
    """What two versions of a mesh take for the client's address are different entries of one header."""
    client = ir.AddressIn(ir.AddressOf.CLIENT, (ip_network("10.0.0.0/8"),))
    one, other = side(client, hops=1), side(client, hops=3)
    space = Space.of([one, other])
    found = space.witness(space.allowed(one) - space.allowed(other))
    assert found.headers == (("x-forwarded-for", "127.0.0.1, 192.0.2.1, 10.0.0.1"),)


def test_claims_inside_claims():
    deep = ir.AllOf((ir.ClaimIs(("a", "b"), ir.Contains("x")), ir.ClaimIs(("a", "c"), ir.Equals("y"))))
    assert example(side(deep, jwts=(IDP,))).claims == {"a": {"b": "x", "c": "y"}}
    torn = ir.AllOf((ir.ClaimIs(("a", "b"), ir.IsPresent()), ir.ClaimIs(("a",), ir.IsPresent())))
    assert example(side(torn, jwts=(IDP,))) is None


def test_what_a_provider_fills_in():
    """A token without `iss` and `aud` has those of the first provider, and rules see them."""
    condition = ir.AllOf((ir.ClaimIs(("iss",), ir.Equals(IDP.issuer)), ir.ClaimIs(("aud",), ir.Contains("payments"))))
    assert example(side(condition, jwts=(IDP,))).claims == {}
    assert example(side(ir.ClaimIs(("aud",), ir.Equals("payments")), jwts=(IDP,))).claims == {}
    two = replace(IDP, audiences=("payments", "x"))
    assert example(side(ir.ClaimIs(("aud",), ir.Equals("payments")), jwts=(two,))).claims == {"aud": "payments"}
    absent = ir.Not(ir.ClaimIs(("aud",), ir.IsPresent()))
    assert example(side(absent, jwts=(IDP,))).claims is None, "no token, for every token has an audience here"


def test_one_provider_that_needs_a_token_is_enough():
    needed = side(jwts=(IDP, replace(IDP, name="b", issuer="https://b.example", required=True)))
    assert example(needed, Outcome.UNAUTHENTICATED).claims is None
    assert example(needed).claims is not None
    assert example(side(jwts=(IDP,))).claims is None


def test_host_and_server_name():
    found = example(side(ir.HostIs(ir.Equals("other.example"))))
    assert found.host == "other.example"
    assert example(side(ir.HostIs(ir.EndsWith(".bank")))).host is None, "its own name will do"
    sni = ir.SniIs(ir.Equals("db.example."))
    assert example(side(sni, protocol=ir.Protocol.TLS)).sni == "db.example.."


def test_hosts_of_an_external_that_are_others():
    """Left out, a host would be another one on each side."""
    access = (stage(ir.Effect.ALLOW, rule(1, ANYONE, ir.HostIs(ir.EndsWith(".example")))),)
    sides = []
    for host in ("a.example", "b.example", "*.c.example"):
        owner = replace(SHOP.externals[0], hosts=(host,), ports=(port(443, ir.Protocol.HTTPS, access=access),))
        sides.append(PortSide(mesh=replace(SHOP, externals=(owner,)), owner=owner, port=owner.ports[0]))
    space = Space.of(sides)
    assert space.witness(space.allowed(sides[0]) & space.allowed(sides[1])).host == "a.example"
    assert example(sides[0]).host is None


def test_callers_of_an_external_are_workloads():
    found = example(sides_of(SHOP)["bank", "stripe", 443])
    assert found.identity in {one.identity for one in SHOP.workloads}


def test_an_example_that_is_decided_otherwise_is_our_fault(monkeypatch):
    monkeypatch.setattr("meshc.semantics.regions.space.is_outcome", lambda decision, outcome: False)
    with pytest.raises(InternalError, match="regions say"):
        example(side())


# ---- what decides ----------------------------------------------------------------------------------------------------


def test_what_rules_match_and_decide():
    deny = stage(
        ir.Effect.DENY, rule(10, (ir.ExactIdentity(OPS),)), rule(11, (ir.IdentityPrefix("spiffe://ops.example/"),))
    )
    allow = stage(
        ir.Effect.ALLOW,
        rule(20, (ir.AnyIdentity(),), operation("GET", "/a")),
        rule(21, (ir.ExactIdentity(FRONTEND),), operation("GET", "/a")),
        rule(22, (ir.ExactIdentity(OPS),)),
        rule(23, (ir.ExactIdentity("spiffe://foreign.example/a"),)),
        rule(24, (ir.ExactIdentity(CHECKOUT),)),
    )
    one = side(access=(deny, allow))
    space = Space.of([one])
    told = {
        found.rule.identifier: (found.matches.is_empty, found.decides.is_empty, found.is_deciding)
        for found in space.rule_regions(one)
    }
    assert told == {
        "r10": (False, False, True),
        "r11": (False, False, True),
        "r20": (False, False, True),
        "r21": (False, True, False),  # covered by the rule before it
        "r22": (False, True, False),  # everything that it allows is denied
        "r23": (True, True, False),  # gets no connection
        "r24": (False, False, True),
    }
    causes = space.causes(one).values()
    assert Cause(outcome=Outcome.NO_CONNECTION) in causes
    assert Cause(outcome=Outcome.FORBIDDEN, stage=1) in causes
    assert Cause(outcome=Outcome.ALLOWED, stage=1, rule=4) in causes


def test_without_stages_nothing_in_particular_allows():
    one = side()
    assert Cause(outcome=Outcome.ALLOWED) in Space.of([one]).causes(one).values()


def test_shadow_stages_keep_their_places():
    access = (stage(ir.Effect.DENY, rule(1, ANYONE), shadow=True), stage(ir.Effect.ALLOW, rule(2, ANYONE)))
    one = side(access=access)
    (found,) = Space.of([one]).rule_regions(one)
    assert found.cause == Cause(outcome=Outcome.ALLOWED, stage=1, rule=0)


# ---- questions -------------------------------------------------------------------------------------------------------


def test_a_question_is_answered_exactly():
    one = side(access=PAYMENTS_ACCESS, jwts=(IDP,))
    principals = ir.Principals((ir.ExactIdentity(FRONTEND),))
    question = Question(principals=principals, condition=ir.PathIs(ir.TemplatePath(("charge",), (), rest=True)))
    space = Space.of([one], [question])
    asked = space.callers(principals) & space.condition(one, question.condition) & space.allowed(one)
    found = space.witness(asked)
    assert (found.identity, found.method, found.path) == (FRONTEND, "POST", "/charge")
    assert space.witness(space.allowed(one) & space.callers(principals) - asked) is None


def test_callers_are_known_where_a_port_does_not_see_them():
    one = side(mtls=ir.MtlsMode.OFF)
    principals = ir.Principals((ir.ExactIdentity(FRONTEND),))
    space = Space.of([one], [Question(principals=principals, condition=ir.ALWAYS)])
    assert space.witness(space.allowed(one) & space.callers(principals)).identity == FRONTEND


def test_what_was_not_asked_for_cannot_be_answered():
    one = side()
    space = Space.of([one])
    with pytest.raises(InternalError):
        space.condition(one, ir.MethodIs(("GET",)))


# ---- bounds ----------------------------------------------------------------------------------------------------------


def test_one_header_looked_at_in_two_ways_is_not_decided():
    condition = ir.AllOf(
        (
            ir.AddressIn(ir.AddressOf.CLIENT, (ip_network("10.0.0.0/8"),)),
            ir.HeaderIs("x-forwarded-for", ir.IsPresent()),
        )
    )
    assert example(side(condition)) is not None
    with pytest.raises(TooComplexError, match="x-forwarded-for"):
        Space.of([side(condition, hops=1)])


def test_a_server_name_on_one_kind_of_port_alone_is_not_decided():
    name = ir.SniIs(ir.IsPresent())
    with pytest.raises(TooComplexError, match="sni"):
        Space.of([side(name, protocol=ir.Protocol.TLS), side(name)])
