"""Suggested tests: boundary pairs, few of them, in text that holds."""

import sys

import pytest

from meshc.coverage.render import render_suggestions, render_text
from meshc.errors import InternalError
from meshc.verdicts import Verdict
from meshc_harness.covering import completed, covered

START = """
mesh shop { trust-domain "shop.example" also "ops.example" trusted-hops 1 }
namespace shop
namespace bank
service web in shop
service job in bank
service pay in bank { port 8080 http version v1 version v2 }
service cart in shop { port 9090 grpc }
service vault in bank { port 8443 tls }
external stripe in bank { host "api.stripe.com" port 443 https }
"""


@pytest.mark.parametrize(
    ("rule", "lines"),
    [
        (
            "allow web to POST /charge",
            [
                "allow shop.web POST bank.pay:8080 /charge",
                "deny shop.web POST bank.pay:8080 /charge/",
                "deny shop.web GET bank.pay:8080 /charge",
                "deny bank.job POST bank.pay:8080 /charge",
            ],
        ),
        ("allow web to /a/**", ["deny shop.web GET bank.pay:8080 /ax", "allow shop.web GET bank.pay:8080 /a"]),
        (
            "allow web from 10.0.0.0/8",
            ["allow shop.web GET bank.pay:8080 / from 10.0.0.1", "deny shop.web GET bank.pay:8080 / from 11.0.0.0"],
        ),
        (
            'allow web when header "x-a" == "1"',
            ['allow shop.web GET bank.pay:8080 / with header "x-a" "1"', "deny shop.web GET bank.pay:8080 /"],
        ),
    ],
)
def test_boundaries_are_near(rule: str, lines: list[str]) -> None:
    text = covered(f"{START}access pay {{ {rule} }}").suggestions.text
    assert set(lines) <= {line.strip() for line in text.splitlines()}


def test_calls_of_grpc_are_written_as_such() -> None:
    text = covered(f"{START}access cart {{ allow web to rpc a.Cart/Add }}").suggestions.text
    assert "allow shop.web GRPC shop.cart:9090 a.Cart/Add\n" in text
    assert "deny shop.web GRPC shop.cart:9090 a.Cart/Addx\n" in text


def test_one_test_shows_what_it_can() -> None:
    """One stranger is outside of two sources at once, and one request from web is inside of everything."""
    found = covered(f"{START}access pay {{ allow web, job to GET /a }}").suggestions
    asked = [one.test.request for one in found.tests if one.test.request.service == "pay"]
    assert len(asked) == 6  # both from inside, a stranger, another path, another method, nobody
    strangers = {"web", "job"}.isdisjoint
    assert sum(strangers([(one.identity or "/job").rpartition("/")[2]]) for one in asked) == 1


def test_each_test_says_what_it_covers() -> None:
    text = covered(f"{START}access pay {{ allow web to POST /charge }}").suggestions.text
    assert "# policy.mesh:11: rule, inside `shop.web`, inside `POST`, inside `/charge` and 1 more\n" in text


def test_what_no_test_can_say_is_named() -> None:
    found = covered(f"{START}authenticate pay {{ mtls permissive }}").suggestions
    shown = render_suggestions(found)
    assert "# No test can show:\n# policy.mesh:7: no connection for this caller at pay:8080: " in shown
    assert "unknown trust domains" in shown


WIDE = """
authenticate pay { jwt corp { issuer "https://idp.example" audiences "pay" jwks file "keys.json" required } }
access pay {
  allow web to POST /refund when claim "scope" has "refund" and claim "org" "team" == "a b"
  allow web to /p/{id} when query "q" == "1" and host ends with ".example" and remote ip in (192.0.2.0/24)
  deny anyone when header "x" matches re"[a-z]+[0-9]" and not header "x" starts with "a"
}
access vault { allow anyone when sni == "vault.bank" }
access stripe { allow web to GET /v1/** }
traffic pay {
  set request header "x-region" "eu"
  route GET /p/1 when header "x" == "b2" by web -> pay@v2
  route /old { rewrite path "/refund" }
  route /gone { redirect "/p/2" status 308 }
  fault abort 503 for 100% when header "x-fault" is present
}
"""


def test_everything_that_the_language_has() -> None:
    before = covered(START + WIDE)
    after = completed(before)
    assert not after.failures()
    assert after.coverage.percent == 100
    assert "100 %" in render_text(after.coverage)
    assert not after.suggestions.tests


def test_nothing_is_handed_out_that_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    before = covered(f"{START}access pay {{ allow web }}")
    monkeypatch.setattr(
        sys.modules["meshc.coverage.suggest"], "judge", lambda *_: Verdict(is_expected=False, words="no")
    )
    with pytest.raises(InternalError, match="fails"):
        _ = before.suggestions
