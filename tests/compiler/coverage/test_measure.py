"""What counts as exercised: rules, clauses from both sides, regions and routes; what does not count, and why."""

import pytest

from meshc.coverage import Edge, Kind, Program, Standing, count, measure
from meshc.coverage.witnesses import Witnesses
from meshc.semantics.languages import TooComplexError
from meshc_harness.compare import analyze_text
from meshc_harness.covering import Covered, completed, covered

START = """
mesh shop { trust-domain "shop.example" also "ops.example" }
namespace shop
namespace bank
service web in shop { port 80 http }
service job in bank
service pay in bank { port 8080 http version v1 version v2 }
service db in bank { port 5432 tcp }
"""
S, M, U, N = Standing.SHOWN, Standing.MISSING, Standing.UNTESTABLE, Standing.IMPOSSIBLE


def after(text: str, *cases: str) -> Covered:
    body = f'test "t" {{ {" ".join(cases)} }}' if cases else ""
    return covered(f"{START}{text}\n{body}", boundaries=False)


def clause(one: Covered, text: str) -> tuple[Standing, Standing]:
    points = one.entry(text).points
    return points[Edge.INSIDE], points[Edge.OUTSIDE]


CHARGE = "access pay { allow web from 10.0.0.0/8 to POST /charge }"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        # (source, address, method, path), inside and outside each
        ("allow web POST pay /charge from 10.1.2.3", ((S, M), (S, M), (S, M), (S, M))),
        ("deny job POST pay /charge from 10.1.2.3", ((M, S), (M, M), (M, M), (M, M))),
        ("deny web POST pay /charge", ((M, M), (M, S), (M, M), (M, M))),
        ("deny web GET pay /charge from 10.1.2.3", ((M, M), (M, M), (M, S), (M, M))),
        ("deny web POST pay /charge/ from 10.1.2.3", ((M, M), (M, M), (M, M), (M, S))),
        # Two clauses fail: neither is shown.
        ("deny job POST pay /charge", ((M, M), (M, M), (M, M), (M, M))),
        ("deny anyone POST pay /charge from 10.1.2.3", ((M, M), (M, M), (M, M), (M, M))),
    ],
)
def test_a_clause_is_shown_from_outside_by_what_fails_for_it_alone(
    case: str, expected: tuple[tuple[Standing, Standing], ...]
) -> None:
    found = after(CHARGE, case)
    texts = ("`shop.web`", "`from 10.0.0.0/8`", "`POST`", "`/charge`")
    assert tuple(clause(found, text) for text in texts) == expected


def test_a_rule_is_exercised_by_what_it_decides_alone() -> None:
    rules = "access pay { allow web to GET /a deny anyone to GET /a/b allow web to GET /a/** }"
    found = after(rules, "deny web GET pay /a/b")
    assert [found.entry(text, "rule").is_exercised for text in ("deny", "allow web to GET /a/**")] == [True, False]
    # The deny decided; the allow matched, which shows its clauses from inside.
    assert found.entry("`/a/**`").points[Edge.INSIDE] is S


def test_what_another_rule_lets_in_shows_nothing_from_outside() -> None:
    rules = "access pay { allow web to GET /a allow web to GET /b }"
    assert clause(after(rules, "allow web GET pay /b"), "`/a`") == (M, M)
    assert clause(after(rules, "deny web GET pay /c"), "`/a`") == (M, S)


def test_the_outside_of_a_deny_is_what_no_deny_refuses() -> None:
    rules = "access pay { allow web deny anyone to DELETE /a deny anyone to /x/** }"
    assert clause(after(rules, "deny web DELETE pay /x/a"), "`/a`") == (M, M)
    assert clause(after(rules, "allow web DELETE pay /b"), "`/a`") == (M, S)


def test_alternatives_are_clauses_of_their_own() -> None:
    found = after(
        'access pay { allow web to GET|HEAD /a when header "x" in ("1", "2") }',
        'allow web GET pay /a with header "x" "1"',
    )
    assert [clause(found, text)[0] for text in ("`GET`", "`HEAD`", '`header "x" == "1"`', '`header "x" == "2"`')] == [
        S,
        M,
        S,
        M,
    ]


def test_not_and_except_are_clauses_too() -> None:
    rules = 'access pay { allow namespace shop, job except job when not (header "x" is present and query "q" == "1") }'
    found = after(rules, 'deny web GET pay / with header "x" "", query "q" "1"')
    assert clause(found, '`header "x" is absent`') == (M, S)
    assert clause(found, '`query "q" != "1"`') == (M, S)
    assert clause(after(rules, "deny job GET pay /"), "`except bank.job`") == (M, S)


def test_what_always_holds_has_no_outside() -> None:
    found = after("access pay { allow anyone }", "allow web GET pay /")
    assert clause(found, "`anyone`") == (S, N)
    assert found.entry("`anyone`").is_exercised


def test_dead_rules_count_apart_with_their_clauses() -> None:
    found = after("access pay { deny web allow web to GET /a allow job }")
    assert [one.item.text for one in found.coverage.dead] == ["allow web to GET /a"]
    assert not [one for one in found.coverage.entries if one.item.rule == "allow web to GET /a"]
    assert count(found.coverage.entries, Kind.RULE).total == 2


def test_shadow_rules_do_not_count() -> None:
    assert not [one for one in after("access pay { shadow deny web }").coverage.entries if one.item.kind is Kind.RULE]


def test_regions_are_answers_with_their_causes() -> None:
    jwt = 'authenticate pay { jwt corp { issuer "https://i.example" jwks file "k.json" required } }'
    found = after(f"{CHARGE} {jwt}", "deny anyone GET pay /", "deny web GET pay /")
    regions = {
        one.item.text: one.is_exercised for one in found.coverage.entries if one.item.port == ("bank", "pay", 8080)
    }
    assert regions == {
        "no connection for this caller": True,
        "401: the token is not accepted": True,
        "denied: no allow rule fits": False,
        "allowed by `allow web from 10.0.0.0/8 to POST /charge`": False,
    }


def test_routes_count_where_there_are_any() -> None:
    routes = 'access pay { allow web } traffic pay { route GET /a, GET /b -> pay@v2 route /old { redirect "/a" } }'
    found = after(routes, "route web GET pay /b -> pay@v2", 'expect web GET pay /old -> redirect "/a"')
    texts = {one.item.text: one.is_exercised for one in found.coverage.entries if one.item.kind is Kind.ROUTE}
    assert texts == {
        "route GET /a": False,
        "route GET /b": True,
        "route /old": True,
        "requests that no route matches": False,
    }
    assert count(after("traffic pay { timeout 1s }").coverage.entries, Kind.ROUTE).total == 0


def test_what_a_proxy_answers_is_judged_by_no_port() -> None:
    text = "access pay { allow web } traffic pay { route /old { respond 404 } }"
    assert not after(text, "expect web GET pay /old -> status 404").entry("allow web", "rule").is_exercised


def test_rules_are_judged_on_what_routes_make_of_a_request() -> None:
    text = 'access pay { allow web to POST /new } traffic pay { route /old { rewrite path "/new" } }'
    found = after(text, "allow web POST pay /old")
    assert found.entry("allow web", "rule").is_exercised


def test_what_callers_never_send_does_not_count() -> None:
    text = "access pay { allow web deny anyone to /x/** } traffic pay { route /x/** { respond 404 } }"
    deny = after(text).entry("deny anyone", "rule")
    assert (deny.points[Edge.WHOLE], deny.counts, deny.is_dead) == (U, False, False)


def test_what_no_test_can_say_does_not_count() -> None:
    found = next(
        one
        for one in after("authenticate pay { mtls permissive }").coverage.entries
        if one.item.text.startswith("no connection") and one.item.port == ("bank", "pay", 8080)
    )
    assert found.points[Edge.WHOLE] is U
    assert "trust domains" in found.reasons[Edge.WHOLE]


def test_a_rule_of_several_services_counts_once_and_its_regions_for_each() -> None:
    found = after("access mesh { deny anyone from 10.9.0.0/16 }", "deny web GET pay / from 10.9.1.1")
    rule = found.entry("deny anyone", "rule")
    assert (rule.subject, rule.is_exercised) == ("mesh", True)
    regions = [one.is_exercised for one in found.coverage.entries if one.item.text.startswith("denied by `deny anyone")]
    assert sorted(regions) == [False, False, True]


def test_an_environment_adds_what_it_declares_and_its_tests_count() -> None:
    text = f'{START}{CHARGE} environment staging {{ access pay {{ allow job }} test "s" {{ allow job GET pay / }} }}'
    found = covered(text)
    assert found.entry("allow job", "rule").is_exercised
    assert not found.entry("allow web", "rule").is_exercised
    assert (
        "environment staging {\n  test" not in found.suggestions.text
    )  # what holds everywhere is a test of the program


def test_what_only_an_environment_shows_is_suggested_there() -> None:
    text = f"{START}{CHARGE} environment staging {{ access pay {{ allow job }} }}"
    found = covered(text)
    assert "environment staging {\n  test" in found.suggestions.text
    assert completed(found).coverage.percent == 100


def test_a_port_that_is_too_complex_is_not_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(*_: object) -> None:
        raise TooComplexError("too much")

    monkeypatch.setattr(Witnesses, "find", find)
    found = after(CHARGE, "allow web POST pay /charge from 10.1.2.3")
    assert {one.reason for one in found.coverage.undecided} == {"too much"}
    assert found.entry("allow web", "rule").is_exercised
    assert clause(found, "`POST`") == (S, Standing.UNDECIDED)
    assert found.coverage.percent < 100


def test_without_anything_to_exercise_all_is() -> None:
    mesh = analyze_text("namespace a service b in a").mesh
    assert mesh is not None
    assert measure([Program(environment=None, mesh=mesh)]).coverage.percent == 100
