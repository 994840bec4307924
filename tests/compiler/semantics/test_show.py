"""The intermediate form as `.mesh` text."""

from ipaddress import ip_network

import pytest

from meshc import ir
from meshc.semantics.show import (
    identity_names,
    show_condition,
    show_path,
    show_principals,
    show_regex,
    show_route,
    show_rule_body,
    show_text,
)
from meshc_strategies.shop import CHECKOUT, FRONTEND, OPS, SHOP, at, route, to

NAMES = identity_names(SHOP)
A, B, C = (ir.HeaderIs(name, ir.Equals("1")) for name in "abc")

CONDITIONS = [
    (A, 'header "a" == "1"'),
    (ir.Not(A), 'header "a" != "1"'),
    (ir.Not(ir.QueryIs("q", ir.IsPresent())), 'query "q" is absent'),
    (ir.Not(ir.HostIs(ir.IsPresent())), "host is absent"),
    (ir.Not(ir.SniIs(ir.Equals("x"))), 'sni != "x"'),
    (ir.Not(ir.HeaderIs("a", ir.StartsWith("x"))), 'not header "a" starts with "x"'),
    (ir.AllOf((A, B)), 'header "a" == "1" and header "b" == "1"'),
    (ir.AnyOf((A, B)), 'header "a" == "1" or header "b" == "1"'),
    (ir.AllOf((ir.AnyOf((A, B)), C)), '(header "a" == "1" or header "b" == "1") and header "c" == "1"'),
    (ir.AnyOf((ir.AllOf((A, B)), C)), 'header "a" == "1" and header "b" == "1" or header "c" == "1"'),
    (ir.Not(ir.AllOf((A, B))), 'not (header "a" == "1" and header "b" == "1")'),
    (ir.AnyOf((A, ir.HeaderIs("a", ir.Equals("2")))), 'header "a" in ("1", "2")'),
    (ir.AllOf((ir.AnyOf((A, ir.HeaderIs("a", ir.Equals("2")))), B)), 'header "a" in ("1", "2") and header "b" == "1"'),
    (ir.ClaimIs(("iss",), ir.EndsWith("x")), 'issuer ends with "x"'),
    (ir.ClaimIs(("sub",), ir.IsPresent()), "subject is present"),
    (ir.ClaimIs(("a", "b"), ir.Contains("c")), 'claim "a" "b" has "c"'),
    (ir.HostIs(ir.Matches('a".*\\"\n')), 'host matches re"a\\".*\\"\\n"'),
    (
        ir.AddressIn(ir.AddressOf.CLIENT, (ip_network("10.0.0.0/8"), ip_network("::1/128"))),
        "remote ip in (10.0.0.0/8, ::1)",
    ),
    (ir.AllOf(()), "always"),
    (ir.AnyOf(()), "never"),
    (ir.Not(ir.MethodIs(("GET",))), "not (GET)"),
    (ir.AllOf((ir.MethodIs(("GET",)), ir.PathIs(ir.ExactPath("/a")))), "(GET /a)"),
]


@pytest.mark.parametrize(("condition", "shown"), CONDITIONS)
def test_conditions(condition: ir.Condition, shown: str) -> None:
    assert show_condition(condition) == shown


PATHS = [
    (ir.ExactPath("/a"), "/a"),
    (ir.ExactPath("/a,(b)"), '"/a,(b)"'),
    (ir.ANY_PATH, "/**"),
    (ir.TemplatePath(("a", None), ("id",), rest=True), "/a/{id}/**"),
    (ir.TemplatePath((None, ""), (), rest=False), "/{_}/"),
    (ir.RegexPath("/a[0-9]+"), 're"/a[0-9]+"'),
]


@pytest.mark.parametrize(("pattern", "shown"), PATHS)
def test_paths(pattern: ir.PathPattern, shown: str) -> None:
    assert show_path(pattern) == shown


def test_principals() -> None:
    def shown(*include: ir.Principal, exclude: tuple[ir.Principal, ...] = ()) -> str:
        return show_principals(ir.Principals(include, exclude), NAMES)

    assert shown(ir.ExactIdentity(FRONTEND), ir.ExactIdentity(CHECKOUT)) == "shop.frontend, shop.checkout"
    assert shown(ir.IdentityPrefix("spiffe://shop.example/ns/bank/sa/")) == "namespace bank"
    assert shown(ir.IdentityPrefix("spiffe://ops.example/ns/ops/")) == 'identity "spiffe://ops.example/ns/ops/*"'
    assert shown(ir.AnyPeer(), exclude=(ir.ExactIdentity(OPS),)) == f'anyone except identity "{OPS}"'
    assert shown(ir.AnyIdentity()) == "authenticated"
    assert shown() == "nobody"


def test_rules() -> None:
    who = ir.Principals((ir.AnyPeer(),))
    address = ir.AddressIn(ir.AddressOf.PEER, (ip_network("10.1.2.3/32"),))
    charge = (ir.MethodIs(("POST",)), ir.PathIs(ir.ExactPath("/charge")))
    several = ir.AnyOf((ir.AllOf(charge), ir.MethodIs(("GET",))))
    assert show_rule_body(who, ir.ALWAYS, {}) == "anyone"
    assert show_rule_body(who, address, {}) == "anyone from 10.1.2.3"
    assert show_rule_body(who, ir.AllOf(charge), {}) == "anyone to POST /charge"
    assert show_rule_body(who, ir.AllOf((*charge, A, B)), {}) == (
        'anyone to POST /charge when header "a" == "1" and header "b" == "1"'
    )
    assert show_rule_body(who, ir.AllOf((address, several, A)), {}) == (
        'anyone from 10.1.2.3 to POST /charge, GET when header "a" == "1"'
    )
    assert show_rule_body(who, ir.Not(several), {}) == "anyone when not ((POST /charge) or (GET))"


def test_routes() -> None:
    callers = ir.Principals((ir.ExactIdentity(FRONTEND),))
    one = route(1, ir.ANY_PATH, ir.Forward(destinations=(to("a"),)), methods=("GET",), condition=A, callers=callers)
    assert show_route(one, NAMES) == 'GET when header "a" == "1" by shop.frontend -> bank.a:8080'
    assert show_route(route(1, ir.ANY_PATH, ir.Respond(status=404, body="", span=at(1))), {}) == "/** { respond 404 }"


def test_text_is_escaped() -> None:
    assert show_text('a"b\\c\n\t\x1b\u202eé') == r'"a\"b\\c\n\t\u{1b}\u{202e}é"'
    assert show_regex(r"a\\") == 're"a\\\\"'
