"""Access, compared: seeded mistakes are found, each with a request that shows it, and nothing else is."""

from dataclasses import replace

import pytest

from meshc.difference.model import Change, Presence
from meshc.semantics.decide import Evaluator
from meshc_harness.comparing import START, compared, only, regions, side

ACCESS = """
access pay:8080 {
  allow group edge from 10.0.0.0/8 to POST /charge, GET|HEAD /charge/{id}
  allow job to /jobs/** when header "x-region" in ("eu", "us")
  deny anyone to /internal/**
}
access pay:admin { allow identity "spiffe://ops.example/ns/ops/sa/*" to rpc bank.Admin/* }
access db { allow pay }
access vault { allow anyone from 10.0.0.0/8 when sni == "vault" }
access stripe { allow pay to POST /v1/** }
"""


def edited(before: str, after: str) -> str:
    assert before in ACCESS
    return ACCESS.replace(before, after)


MISTAKES = [
    pytest.param(
        ("GET|HEAD /charge/{id}", "GET|HEAD /charge/**"),
        ("bank.pay:8080", "opened", "group edge from 10.0.0.0/8 to GET|HEAD /charge/** except /charge/{id}"),
        id="a widened path",
    ),
    pytest.param(
        (' when header "x-region" in ("eu", "us")', ""),
        (
            "bank.pay:8080",
            "opened",
            'bank.job to /jobs/** when header "x-region" != "eu" and header "x-region" != "us"',
        ),
        id="a dropped condition",
    ),
    pytest.param(
        ("POST /charge", "PUT /charge"),
        None,
        id="a swapped method",
    ),
    pytest.param(
        (" from 10.0.0.0/8 to POST", " to POST"),
        None,
        id="a dropped address",
    ),
    pytest.param(
        ('"spiffe://ops.example/ns/ops/sa/*"', '"spiffe://ops.example/ns/*"'),
        (
            "bank.pay:9090",
            "opened",
            'identity "spiffe://ops.example/ns/*" except identity "spiffe://ops.example/ns/ops/sa/*" to rpc bank.Admin/*',
        ),
        id="a shorter prefix",
    ),
    pytest.param(
        ("access db { allow pay }", "access db { allow pay allow namespace shop }"),
        ("bank.db:5432", "opened", "namespace shop"),
        id="a namespace too many",
    ),
    pytest.param(
        ('when sni == "vault"', 'when sni starts with "vault"'),
        ("bank.vault:8443", "opened", 'anyone from 10.0.0.0/8 when sni starts with "vault" and not (sni == "vault")'),
        id="a looser server name",
    ),
    pytest.param(
        ("allow pay to POST /v1/**", "allow pay, web to POST /v1/**"),
        ("bank.stripe:443", "opened", "shop.web to POST /v1/**"),
        id="an external for one more",
    ),
]


def check_witnesses(old: str, new: str) -> int:
    """Re-decide every witness on both sides; gives how many there were."""
    before, after = side(START + old, "old.mesh").mesh, side(START + new).mesh
    evaluators = [Evaluator(before), Evaluator(after)]
    seen = 0
    for subject in compared(old, new).subjects:
        for region in subject.regions:
            was, now = (one.decide(region.witness.request).allowed for one in evaluators)
            seen += 1
            match region.change:
                case Change.OPENED:
                    assert (was, now) == (False, True), region
                case Change.CLOSED:
                    assert (was, now) == (True, False), region
                case Change.CHANGED:
                    assert (was, now) == (False, False), region
                case _:
                    raise AssertionError(region)
    return seen


@pytest.mark.parametrize(("edit", "expected"), MISTAKES)
def test_a_seeded_mistake_is_found(edit: tuple[str, str], expected: tuple[str, str, str] | None) -> None:
    new = edited(*edit)
    found = regions(compared(ACCESS, new))
    if expected is not None:
        assert found == [expected]
    assert check_witnesses(ACCESS, new) >= 1
    assert Change.OPENED in compared(ACCESS, new).changes


@pytest.mark.parametrize(("edit", "_expected"), MISTAKES)
def test_what_opens_one_way_closes_the_other(edit: tuple[str, str], _expected: object) -> None:
    new = edited(*edit)
    there = [(subject, scope) for subject, kind, scope in regions(compared(ACCESS, new)) if kind == "opened"]
    back = [(subject, scope) for subject, kind, scope in regions(compared(new, ACCESS)) if kind == "closed"]
    assert there == back


def test_a_swapped_method_opens_one_and_closes_the_other() -> None:
    assert regions(compared(ACCESS, edited("POST /charge", "PUT /charge"))) == [
        ("bank.pay:8080", "opened", "group edge from 10.0.0.0/8 to PUT /charge"),
        ("bank.pay:8080", "closed", "group edge from 10.0.0.0/8 to POST /charge"),
    ]


def test_a_deny_that_moved_out_of_scope() -> None:
    old = "access pay:8080 { allow web deny anyone to /internal/** }"
    new = "access pay:8080 { allow web } access cart { allow web deny anyone to /internal/** }"
    found = regions(compared(old, new))
    assert ("bank.pay:8080", "opened", "shop.web to /internal/**") in found
    assert ("shop.cart:80", "opened", "shop.web to /** except /internal/**") in found
    assert len(found) == 2


REFACTORINGS = [
    pytest.param("allow group edge from", "allow cart, web from", id="a group spelled out"),
    pytest.param("POST /charge, GET|HEAD /charge/{id}", "HEAD|GET /charge/{key}, POST /charge", id="another order"),
    pytest.param('in ("eu", "us")', 'matches re"eu|us"', id="an expression instead"),
    pytest.param(
        "allow group edge from 10.0.0.0/8 to POST /charge, GET|HEAD /charge/{id}",
        "allow web from 10.0.0.0/8 to POST /charge, GET|HEAD /charge/{id}\n"
        "  allow cart from 10.0.0.0/9, 10.128.0.0/9 to POST /charge, GET|HEAD /charge/{id}",
        id="a rule split in two",
    ),
    pytest.param("deny anyone to", "deny anyone to /internal/** deny authenticated to", id="a redundant rule"),
    pytest.param("access db { allow pay }", 'access db { allow pay because "ledger" }', id="a reason"),
    pytest.param("access db { allow pay }", "## New.\naccess db { allow pay until 2020-01-01 }", id="a doc comment"),
    pytest.param("access db { allow pay }", "access db { allow pay deny job }", id="a deny of what was denied"),
]


@pytest.mark.parametrize(
    ("before", "after"), [one.values for one in REFACTORINGS], ids=[one.id for one in REFACTORINGS]
)
def test_a_refactoring_changes_nothing(before: str, after: str) -> None:
    new = edited(before, after).replace(" until 2020-01-01", "")
    difference = compared(ACCESS, new)
    assert difference.is_empty, regions(difference)
    assert difference.compared == 7


def test_renamed_groups_change_nothing() -> None:
    start = START.replace("group edge = web, cart", "group inner = cart\ngroup front = group inner, web")
    old = side(START + ACCESS, "old.mesh")
    from meshc.difference.compare import Comparer

    assert Comparer().compare(old, side(start + ACCESS.replace("group edge", "group front"))).is_empty


def test_who_is_meant_is_said_with_groups_and_namespaces() -> None:
    old = "access pay:8080 { allow job to /a }"
    for sources, shown in (
        ("web, cart", "group edge"),
        ("namespace shop except web", "namespace shop except shop.web"),
        ("namespace shop", "namespace shop"),
        ("web", "shop.web"),
        ("anyone", "anyone"),
        ("anyone except web", "anyone except shop.web"),
        ("namespace shop, job", "namespace shop, bank.job"),
        ('identity "spiffe://ops.example/*"', 'identity "spiffe://ops.example/*"'),
    ):
        new = f"access pay:8080 {{ allow job to /a allow {sources} to /b }}"
        assert regions(compared(old, new)) == [("bank.pay:8080", "opened", f"{shown} to /b")], sources


def test_both_sides_are_to_blame() -> None:
    old = 'access pay:8080 {\n allow web\n deny web to /x because "quarantined"\n}'
    region = only(compared(old, "access pay:8080 {\n allow web\n}"))
    assert (region.old.text, region.new.text) == ("403", "allowed")
    assert region.old.blame[0].text == "deny shop.web to /x"
    assert region.old.blame[0].because == "quarantined"
    lines = START.count("\n")
    assert str(region.old.place) == f"old.mesh:{lines + 3}"
    assert str(region.new.place) == f"new.mesh:{lines + 2}"


def test_defaults_are_blamed_too() -> None:
    region = only(compared("", "access db { allow pay }"))
    assert region.old.blame[0].text == "default access deny"
    opened = compared("", "namespace open { default access allow }\nservice s in open { port 1 tcp }")
    assert only(opened).new.blame[0].text == "default access allow"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            'authenticate pay:8080 { jwt a { issuer "i" jwks url "https://i/k" required } } access pay:8080 { allow web }',
            'authenticate pay:8080 { jwt a { issuer "i" jwks url "https://i/k" } } access pay:8080 { allow web }',
            ("bank.pay:8080", "opened", "shop.web when no token is sent"),
        ),
        (
            'authenticate pay:8080 { jwt a { issuer "i" jwks url "https://i/k" } } access pay:8080 { allow web }',
            'authenticate pay:8080 { jwt a { issuer "i" jwks url "https://i/k" } } access pay:8080 { allow web }'.replace(
                "allow web", 'allow web when claim "scope" has "a"'
            ),
            ("bank.pay:8080", "closed", 'shop.web when not claim "scope" has "a"'),
        ),
        (
            'access pay:8080 { allow web when query "q" is present }',
            "access pay:8080 { allow web }",
            ("bank.pay:8080", "opened", 'shop.web when query "q" is absent'),
        ),
        (
            "access pay:8080 { allow web }",
            'access pay:8080 { allow web when host ends with ".shop" or header "x-a" is present }',
            ("bank.pay:8080", "closed", 'shop.web when not host ends with ".shop" and header "x-a" is absent'),
        ),
    ],
)
def test_conditions_in_words(old: str, new: str, expected: tuple[str, str, str]) -> None:
    assert expected in regions(compared(old, new))
    assert check_witnesses(old, new) >= 1


def test_answered_differently() -> None:
    old = "access db { allow pay }"
    new = "authenticate db { mtls permissive } access db { allow pay }"
    found = compared(old, new)
    assert regions(found) == [("bank.db:5432", "changed", "callers without identity")]
    assert (only(found).old.text, only(found).new.text) == ("no connection", "refused")
    assert found.changes == {Change.CHANGED, Change.WEAKENED_MTLS, Change.SETTINGS}


def test_a_new_port_is_opened_for_whom_it_allows() -> None:
    found = compared("", "service new in shop { port 81 http } access new { allow web to /a }")
    subject = found.subjects[0]
    assert (str(subject.subject), subject.presence) == ("shop.new:81", Presence.ADDED)
    assert regions(found) == [("shop.new:81", "opened", "shop.web to /a")]
    assert only(found).old.text == "no such port"
    assert only(found).witness.old is None
    assert found.changes == {Change.OPENED}
    back = compared("service new in shop { port 81 http } access new { allow web to /a }", "")
    assert back.subjects[0].presence is Presence.REMOVED
    assert back.changes == {Change.CLOSED}


def test_a_new_port_that_takes_plaintext_is_weaker() -> None:
    new = "service new in shop { port 81 http } authenticate new { mtls permissive } access new { allow web }"
    assert Change.WEAKENED_MTLS in compared("", new).changes


def test_a_new_trust_domain_lets_its_callers_in() -> None:
    start = START.replace('also "ops.example"', 'also "ops.example", "far.example"')
    from meshc.difference.compare import Comparer

    access = "access db { allow anyone }"
    found = Comparer().compare(side(START + access, "old.mesh"), side(start + access))
    assert ("bank.db:5432", "opened", 'trust domain "far.example"') in regions(found)


def test_what_is_too_complex_is_said_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    from meshc.difference import access
    from meshc.semantics.languages import TooComplexError

    def refuse(*_: object) -> None:
        raise TooComplexError("it is")

    monkeypatch.setattr(access.Space, "of", refuse)
    found = compared("access db { allow pay }", "access db { allow web }")
    assert [one.reason for one in found.subjects[0].undecided] == ["it is"]
    assert {Change.OPENED, Change.CLOSED, Change.CHANGED} <= found.changes
    assert not replace(found, subjects=()).changes
