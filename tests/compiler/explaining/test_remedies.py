"""What would let a refused request in: requests, edits, and what is never proposed."""

import pytest

from meshc.explaining.model import ProgramChange, Remedies
from meshc.request import Claim
from meshc_harness.explaining import explained, program_of, request_of

START = """mesh shop { trust-domain "shop.example" also "ops.example" }
namespace shop
namespace bank
service web in shop { port 80 http }
service cart in shop { port 80 http }
service job in shop
service pay in bank { port 8080 http }
service db in bank { port 5432 tcp }
"""
PAY = """access pay {
  allow web from 10.0.0.0/8 to POST /charge, GET /charge/{id}
  allow cart to GET /refunds when header "x-region" in ("eu", "us")
  deny job because "jobs never pay"
}
"""


def remedies(text: str, **fields: Claim) -> Remedies:
    program = program_of(START + text)
    return explained(program, request_of(program, {"to": "pay", "method": "GET", "path": "/charge/1", **fields}))[1]


def added(change: ProgramChange) -> str:
    return " | ".join(line for edit in change.edits for line in edit.new)


# ---- requests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"from": "web"}, [("another address: 10.0.0.1",)]),
        (
            {"from": "web", "source_ip": "10.1.1.1", "path": "/charge"},
            [("another method: POST",), ("another path: /charge/a",)],
        ),
        ({"from": "cart", "path": "/refunds"}, [('header "x-region" "us"',)]),
        ({"from": "cart", "path": "/refunds", "headers": {"x-region": "de"}}, [('header "x-region" "us"',)]),
        ({"from": None, "source_ip": "10.1.1.1"}, [("another caller: shop.web",)]),
        ({"from": "web", "source_ip": "10.1.1.1", "path": "/charge%2F1"}, [("another path: /charge/1",)]),
    ],
)
def test_the_nearest_requests(fields: dict[str, Claim], expected: list[tuple[str, ...]]) -> None:
    found = remedies(PAY, **fields)
    assert [one.changes for one in found.requests] == expected


def test_what_is_not_changed_stays() -> None:
    (found,) = remedies(PAY, **{"from": "cart", "path": "/refunds?a=b", "headers": {"x-other": "1"}}).requests
    assert found.request.path == "/refunds?a=b"
    assert found.request.headers == (("x-other", "1"), ("x-region", "us"))
    assert found.text == 'shop.cart GET bank.pay:8080 /refunds?a=b with header "x-other" "1", header "x-region" "us"'


def test_the_client_moves_with_the_peer_where_nobody_stands_between() -> None:
    """Of the addresses that the allow takes, the deny leaves the second block alone."""
    text = "allow anyone when source ip in (10.0.0.0/8, 2001:db8::/32)\n  deny anyone when remote ip in (10.0.0.0/8)"
    start = START.replace("mesh shop {", "mesh shop { trusted-hops 1")
    program = program_of(f"{start}access pay {{\n  {text}\n}}\n")
    asked = {"from": "web", "to": "pay", "method": "GET", "path": "/"}
    (alone,) = explained(program, request_of(program, asked))[1].requests
    assert alone.changes == ("another address: 2001:db8::1",)
    behind = {**asked, "headers": {"x-forwarded-for": "192.0.2.7"}}
    (through,) = explained(program, request_of(program, behind))[1].requests
    assert through.changes == ("another address: 10.0.0.1",)


JWT = 'authenticate pay { jwt corp { issuer "https://idp" audiences "pay" jwks file "keys.json" required } }\n'


def test_claims_are_changed_one_by_one() -> None:
    text = JWT + 'access pay { allow web when claim "scope" has "refund" and claim "team" == "a" }\n'
    found = remedies(text, **{"from": "web", "claims": {"scope": "read", "team": "a"}})
    assert [one.changes for one in found.requests] == [('claim "scope" "refund"',)]
    assert found.requests[0].request.claims == {"scope": "refund", "team": "a"}


def test_a_missing_token() -> None:
    found = remedies(JWT + "access pay { allow web }\n", **{"from": "web"})
    assert found.requests[0].changes[0].startswith("a token")
    assert found.programs == ()
    assert "token is at fault" in found.notes[0]


def test_a_parameter_of_the_target_is_replaced() -> None:
    found = remedies('access pay { allow web when query "v" == "1" }\n', **{"from": "web", "path": "/a?v=2&w=3"})
    (change,) = found.requests
    assert change.changes == ('query "v" "1"',)
    assert (change.request.path, change.request.query) == ("/a?w=3", (("v", "1"),))


# ---- programs -------------------------------------------------------------------------------------------------------


def test_a_rule_that_nearly_fits_is_widened() -> None:
    found = remedies("access pay { allow web to GET /charge/{id} }\n", **{"from": "cart"}).programs
    assert [(added(one), one.opens) for one in found] == [
        (
            "access pay { allow web to GET /charge/{id} allow cart to GET /charge/1 }",
            ("shop.cart to GET /charge/1, on bank.pay:8080",),
        ),
        (
            "access pay { allow web, cart to GET /charge/{id} }",
            ("shop.cart to GET /charge/{id}, on bank.pay:8080",),
        ),
    ]


def test_an_address_is_added() -> None:
    narrow, wide = remedies(PAY, **{"from": "web", "source_ip": "192.168.1.1"}).programs
    assert added(narrow) == "allow web to GET /charge/1"
    assert added(wide) == "allow web from 10.0.0.0/8, 192.168.1.1 to POST /charge, GET /charge/{id}"
    assert wide.opens == (
        "shop.web from 192.168.1.1 to GET /charge/{id}, on bank.pay:8080",
        "shop.web from 192.168.1.1 to POST /charge, on bank.pay:8080",
    )


def test_a_port_without_a_block_gets_one() -> None:
    (change,) = remedies("", **{"from": "web"}).programs
    assert added(change) == "access bank.pay { allow web to GET /charge/1 }"
    assert change.opens == ("shop.web to GET /charge/1, on bank.pay:8080",)


def test_a_connection() -> None:
    program = program_of(START + "access db { allow pay }\n")
    found = explained(program, request_of(program, {"from": "web", "to": "db"}))[1]
    assert [one.changes for one in found.requests] == [("another caller: bank.pay",)]
    assert [added(one) for one in found.programs] == ["access db { allow pay, web }"]


@pytest.mark.parametrize(
    ("deny", "expected"),
    [
        ("deny anyone", {"deny anyone except web"}),
        ("deny web, cart", {"deny cart"}),
        ("deny cart, web", {"deny cart"}),
        ("deny namespace shop except cart", {"deny namespace shop except cart, web"}),
        (
            "deny anyone from 10.1.0.0/16",
            {
                "deny anyone except web from 10.1.0.0/16",
                "deny anyone from 10.1.0.0/16 when not source ip in (10.1.1.1)",
            },
        ),
    ],
)
def test_a_deny_is_narrowed(deny: str, expected: set[str]) -> None:
    found = remedies(f"access pay {{\n  allow anyone\n  {deny}\n}}\n", **{"from": "web", "source_ip": "10.1.1.1"})
    assert {added(one) for one in found.programs} <= expected
    assert found.programs


def test_a_deny_of_the_caller_alone_is_dropped() -> None:
    (change,) = remedies("access pay {\n  allow anyone\n  deny web\n}\n", **{"from": "web"}).programs
    assert [(one.what, one.old, one.new) for one in change.edits] == [("drop this deny", ("deny web",), ())]


def test_a_deny_and_a_missing_allow_take_two_edits() -> None:
    found = remedies(PAY, **{"from": "job"}).programs
    assert found
    assert all(len(one.edits) == 2 for one in found)
    assert any(edit.what == "drop this deny" for edit in found[0].edits)


def test_a_broken_invariant_is_told() -> None:
    text = 'access pay { allow web }\ninvariant "no carts" { never cart reaches pay }\n'
    (change, *_) = remedies(text, **{"from": "cart"}).programs
    assert "no carts" in change.breaks[0]


def test_a_block_of_several_lines_gets_a_line() -> None:
    text = "access pay {\n    allow web to GET /a  # why\n}\n"
    found = remedies(text, **{"from": "cart"}).programs
    assert [(one.edits[0].old, one.edits[0].new, one.edits[0].place.line) for one in found] == [
        ((), ("allow cart to GET /charge/1",), 11)
    ]


# ---- what is never proposed -----------------------------------------------------------------------------------------


def test_mtls_is_never_weakened() -> None:
    found = remedies(PAY, **{"from": None})
    assert found.programs == ()
    assert "no weaker mTLS" in found.notes[0]


def test_nobody_is_let_in_for_a_caller_without_identity() -> None:
    found = remedies("authenticate pay { mtls permissive }\naccess pay { allow web }\n", **{"from": None})
    assert found.programs == ()
    assert "would open it to all" in found.notes[0]


def test_nothing_is_proposed_for_what_is_allowed_or_answered() -> None:
    assert remedies("access pay { allow web }\n", **{"from": "web"}) == Remedies()
    assert remedies("traffic pay { respond 404 }\n", **{"from": "web"}) == Remedies()
