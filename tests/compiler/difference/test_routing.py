"""Routing, compared: which requests go elsewhere or travel otherwise, and what is merely written otherwise."""

import pytest

from meshc.difference.model import Change
from meshc.difference.rewriting import Target, is_same
from meshc.ir import ANY_PATH, ExactPath, RegexPath, TemplatePath
from meshc.semantics.decide import Evaluator
from meshc_harness.comparing import START, compared, only, only_setting, regions, settings, side

TRAFFIC = """
traffic pay:8080 {
  timeout 2s
  retry 2 on 5xx, connect-failure { per-try 500ms }
  split pay@v1 95%, pay@v2 5%
  route POST /charge { timeout 5s retry never }
  route GET /charge/{id} when header "x-canary" == "1" -> pay@v2
  route /legacy/** { redirect "/charge" status 308 }
}
"""


def edited(before: str, after: str) -> str:
    assert before in TRAFFIC
    return TRAFFIC.replace(before, after)


def test_a_route_that_now_wins() -> None:
    found = compared(TRAFFIC, edited('when header "x-canary" == "1" ', ""))
    region = only(found)
    assert region.scope.text == 'anyone to GET /charge/{id} when header "x-canary" != "1"'
    assert (region.old.text, region.new.text) == (
        "-> bank.pay:8080@v1 95%, bank.pay:8080@v2 5%",
        "-> bank.pay:8080@v2",
    )
    assert region.old.blame[0].text == "what holds for all other requests"
    assert region.new.blame[0].text == "route GET /charge/{id}"
    assert found.changes == {Change.ROUTING}
    was, now = (Evaluator(side(START + text).mesh).decide(region.witness.request) for text in (TRAFFIC, ""))
    assert [one.version for one in was.destinations] == ["v1", "v2"]
    assert [one.version for one in now.destinations] == [None]


def test_a_caller_of_its_own() -> None:
    new = "traffic pay:8080 { route /a by web -> pay@v2 }"
    assert regions(compared("", new)) == [("bank.pay:8080", "routing", "shop.web to /a")]


def test_a_redirect_goes_elsewhere() -> None:
    found = compared(TRAFFIC, edited('redirect "/charge" status 308', 'redirect "/charges" status 308'))
    assert only(found).new.text == 'redirect "/charges" status 308'
    assert only(found).witness.new is not None
    assert only(found).witness.new.redirect == "/charges"


def test_a_timeout_where_it_counts() -> None:
    found = compared(TRAFFIC, edited("timeout 2s", "timeout 3s"))
    assert settings(found) == [
        ("bank.pay:8080", "timeout", "2s", "3s", "anyone to /** except /charge, /legacy/**"),
        ("bank.pay:8080", "timeout", "2s", "3s", "anyone to /charge by any method but POST"),
    ]
    assert found.changes == {Change.SETTINGS}


def test_a_timeout_of_one_route() -> None:
    change = only_setting(compared(TRAFFIC, edited("timeout 5s", "timeout 6s")))
    assert (change.name, change.old, change.new) == ("timeout", "5s", "6s")
    assert change.scope is not None
    assert change.scope.text == "anyone to POST /charge"
    assert change.witness is not None
    assert (change.witness.old.timeout_ms, change.witness.new.timeout_ms) == (5000, 6000)


SETTINGS = [
    ("timeout 2s", "", "timeout", "2s", "none"),
    (
        "per-try 500ms",
        "per-try 250ms",
        "retry",
        "2 on 5xx, connect-failure { per-try 500ms }",
        "2 on 5xx, connect-failure { per-try 250ms }",
    ),
    ("timeout 2s", "timeout 2s idle-timeout 1m", "idle-timeout", "none", "1m"),
    ("timeout 2s", "timeout 2s mirror 10% to pay@v2", "mirror", "none", "10% to bank.pay:8080@v2"),
    ("timeout 2s", "timeout 2s fault delay 200ms for 1%", "fault", "none", "delay 200ms for 1%"),
    ("timeout 2s", 'timeout 2s set request header "x-a" "1"', "headers", "none", 'set request header "x-a" "1"'),
    ("timeout 2s", 'timeout 2s rewrite host "a.b"', "rewrite host", "none", '"a.b"'),
]


@pytest.mark.parametrize(("before", "after", "name", "old", "new"), SETTINGS)
def test_every_setting_of_routes(before: str, after: str, name: str, old: str, new: str) -> None:
    found = [one for one in settings(compared(TRAFFIC, edited(before, after))) if one[1] == name]
    assert found
    assert {(one[2], one[3]) for one in found} == {(old, new)}


REFACTORINGS = [
    ("5xx, connect-failure", "connect-failure, 5xx"),
    ("pay@v1 95%, pay@v2 5%", "pay@v2 5%, pay@v1 95%"),
    ("{id}", "{key}"),
    ("timeout 5s retry never", "retry never timeout 5s"),
    ("timeout 2s", "timeout 2000ms"),
]


@pytest.mark.parametrize(("before", "after"), REFACTORINGS)
def test_a_refactoring_changes_nothing(before: str, after: str) -> None:
    found = compared(TRAFFIC, edited(before, after))
    assert found.is_empty, (regions(found), settings(found))


def test_a_route_that_says_what_holds_anyway_changes_nothing() -> None:
    found = compared(TRAFFIC, edited("route /legacy", "route GET /other { timeout 2s }\n  route /legacy"))
    assert found.is_empty, settings(found)


def test_a_fault_under_a_condition_strikes_where_it_holds() -> None:
    new = 'traffic pay:8080 { fault abort 503 for 10% when header "x-a" == "1" fault abort 500 for 5% }'
    found = settings(compared("", new))
    assert found == [
        ("bank.pay:8080", "fault abort", "none", "abort 500 for 5%", 'anyone when header "x-a" != "1"'),
        (
            "bank.pay:8080",
            "fault abort",
            "none",
            "abort 503 for 10%, abort 500 for 5%",
            'anyone when header "x-a" == "1"',
        ),
    ]


def test_a_tcp_port() -> None:
    found = compared("", "traffic db { idle-timeout 1h connect-timeout 250ms }")
    assert settings(found) == [
        ("bank.db:5432", "connect-timeout", "none", "250ms", ""),
        ("bank.db:5432", "idle-timeout", "none", "1h", ""),
    ]


def test_a_setting_of_everything_has_no_scope() -> None:
    change = only_setting(compared("", "traffic cart { timeout 1s }"))
    assert change.scope is None
    assert str(change.new_place).startswith("new.mesh:")


def test_a_port_that_is_no_longer_http() -> None:
    old = START.replace("service db in bank { port 5432 tcp }", "service db in bank { port 5432 http }")
    new = START
    from meshc.difference.compare import Comparer

    route = "access db { allow pay to /a } traffic db { route /a { respond 204 } }"
    found = Comparer().compare(side(old + route), side(new + "access db { allow pay }"))
    (subject,) = found.subjects
    assert subject.kind == "http to tcp port"
    assert ("protocol", "http", "tcp") in [(one.name, one.old, one.new) for one in subject.settings]
    assert {(one.change, one.scope.text) for one in subject.regions} == {
        (Change.OPENED, "bank.pay to /** except /a"),
        (Change.ROUTING, "anyone to /a"),
    }


# ---- rewriting ------------------------------------------------------------------------------------------------------

ONE = TemplatePath(("a", None), ("x",), rest=False)
OTHER = TemplatePath(("a", None), ("y",), rest=False)
BELOW = TemplatePath(("a",), (), rest=True)
TWO = TemplatePath((None, None), ("x", "y"), rest=False)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Target("/b/{x}", ONE), Target("/b/{y}", OTHER), True),
        (Target("/b/{x}", ONE), Target("/b/**", BELOW), True),
        (Target("/b/{x}/c", ONE), Target("/b/**", BELOW), False),
        (Target("/b/{x}/{y}", TWO), Target("/b/{y}/{x}", TWO), False),
        (Target("/b/{x}", ONE), Target("/b/1", ExactPath("/a/1")), True),
        (Target("/b/{x}", ONE), Target("/b/2", ExactPath("/a/1")), False),
        (Target(None, ANY_PATH), Target("/a/**", BELOW), True),
        (Target(None, ANY_PATH), Target("/a/{x}", ONE), True),
        (Target(None, ANY_PATH), Target("/b/**", BELOW), False),
        (Target(None, ANY_PATH), Target("/**", ANY_PATH), True),
        (Target("/**", BELOW), Target("/**", ANY_PATH), False),
        (Target("/b", RegexPath("/x.*")), Target("/b", BELOW), True),
        (Target("/b", RegexPath("/x.*")), Target(None, BELOW), False),
        (Target("/{nothing}", ONE), Target("/{nothing}", BELOW), True),
        (
            Target("/**", TemplatePath(("a", "b"), (), rest=True)),
            Target("/b/**", TemplatePath(("a", "b"), (), rest=True)),
            False,
        ),
    ],
)
def test_targets(one: Target, other: Target, same: bool) -> None:  # noqa: FBT001
    assert is_same(one, other) is same
    assert is_same(other, one) is same


def test_renamed_captures_change_nothing() -> None:
    old = 'traffic pay:8080 { route /a/{id} { rewrite path "/b/{id}" } route /c/{id} { redirect "/d/{id}" } }'
    new = old.replace("{id}", "{key}")
    assert compared(old, new).is_empty


def test_a_rewrite_that_differs_is_shown() -> None:
    old = 'traffic pay:8080 { route /a/{id} { rewrite path "/b/{id}" } }'
    change = only_setting(compared(old, old.replace('"/b/{id}"', '"/c/{id}"')))
    assert (change.name, change.old, change.new) == ("rewrite path", '"/b/{id}"', '"/c/{id}"')
