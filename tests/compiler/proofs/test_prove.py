"""Invariants: what is proven, what is broken and by which request, on programs small enough to see it by eye."""

import re

import pytest

from meshc_harness.compare import analyze_text

BANK = """
mesh bank { trust-domain "bank.example" also "ops.example" }
namespace shop
namespace bank
namespace old { mtls permissive }
service web in shop { port 80 http }
service checkout in shop { port 8080 http }
service job in shop
service payments in bank { port 8080 http port 9090 grpc }
service ledger in bank { port 5432 tcp }
service legacy in old { port 80 http port 443 tls }
external stripe in bank { host "api.stripe.com" port 443 https port 80 http }
authenticate payments:8080 { jwt corp { issuer "https://idp" jwks file "keys.json" } }
access web { allow anyone }
access checkout { allow web }
access payments:8080 {
  allow checkout to POST /charge, GET /charge/{id}
  allow web to GET /reports/** when claim "scope" has "reports" and not header "x-mode" == "raw"
  deny anyone from 10.66.0.0/16
}
access payments:9090 { allow identity "spiffe://ops.example/ns/ops/sa/*" }
access ledger { allow payments }
access legacy:80 { allow checkout }
access legacy:443 { allow anyone from 10.0.0.0/8 }
access stripe { allow payments }
"""

PROVEN = (
    "only payments reaches ledger",
    "never namespace shop reaches ledger",
    "never namespace shop reaches stripe",
    "never job reaches ledger",
    "never legacy reaches checkout",
    "always checkout reaches payments:8080 from 10.1.0.0/16 to POST /charge",
    "only checkout reaches payments:8080 to POST",
    "only namespace shop reaches payments:8080",
    'never web reaches payments:8080 when header "x-mode" == "raw"',
    'never web reaches payments:8080 when not claim "scope" is present',
    "never anyone reaches payments:8080 from 10.66.1.2",
    "never checkout reaches payments:8080 to GET /charge/",
    'only identity "spiffe://ops.example/ns/ops/sa/*" reaches payments:9090',
    "never job reaches legacy:80",
    "encrypted ledger",
    "encrypted payments",
    "encrypted legacy:443",
    "encrypted stripe:443",
)

BROKEN = (
    ("never checkout reaches payments:8080", r"`shop.checkout (POST bank.payments:8080 /charge|GET .*/charge/\w+)` is allowed"),
    ("never web reaches ledger transitively", r"shop.web GET .*payments:8080 /reports.* and then `bank.payments TCP bank.ledger:5432` are"),
    ("never job reaches stripe transitively", r"shop.job .* and then .* and then .*stripe"),
    ("only web reaches checkout transitively", r"`.*shop.web:80.*` and then `shop.web GET shop.checkout:8080 /` are allowed"),
    ("only web reaches payments:8080", r"shop.checkout"),
    ("always checkout reaches payments:8080 to POST /charge", r"from 10\.66\.0\.\d+` is refused"),
    ("always checkout reaches payments:8080 from 10.1.0.0/16", r"is refused"),
    ('never web reaches payments:8080 to GET /reports/**', r'claim "scope" "reports"'),
    ("only identity \"spiffe://ops.example/ns/ops/sa/bob\" reaches payments:9090", r"spiffe://ops.example/ns/ops/sa/(?!bob`)"),
    ("never job reaches legacy:443", r"TCP old.legacy:443 from 10\."),
    ("encrypted legacy:80", r"takes plain text"),
    ("encrypted stripe:80", r"takes plain text"),
    ("never anyone reaches web to GET /a", r"GET shop.web:80 /a` is allowed"),
)  # fmt: skip


@pytest.mark.parametrize("claim", PROVEN)
def test_what_holds(claim: str) -> None:
    analysis = analyze_text(f'{BANK}invariant "i" {{ {claim} }}')
    assert not [one.message for one in analysis.diagnostics if one.name.startswith("invariant")]
    assert analysis.mesh is not None


@pytest.mark.parametrize(("claim", "expected"), BROKEN)
def test_what_is_broken(claim: str, expected: str) -> None:
    analysis = analyze_text(f'{BANK}invariant "i" {{ {claim} }}')
    [found] = [one for one in analysis.diagnostics if one.name == "invariant-broken"]
    assert re.search(expected, found.message), found.message
    assert found.labels
    assert analysis.mesh is None


def test_a_caller_that_leaves_its_identity_out() -> None:
    """On a permissive port a denied caller gets in without mTLS, so `never` does not hold."""
    program = """
    namespace old { mtls permissive }
    service web in old
    service cart in old { port 80 http }
    access cart { deny web allow anyone to GET /a }
    invariant "i" { never web reaches cart }
    """
    [found] = [one for one in analyze_text(program).diagnostics if one.name == "invariant-broken"]
    assert "`anyone GET old.cart:80 /a` is allowed" in found.message


def test_a_required_token_refuses_those_without() -> None:
    program = """
    namespace shop
    service web in shop
    service cart in shop { port 80 http }
    authenticate cart { jwt corp { issuer "https://idp" jwks file "keys.json" required } }
    access cart { allow web }
    invariant "i" { always web reaches cart }
    """
    [found] = [one for one in analyze_text(program).diagnostics if one.name == "invariant-broken"]
    assert "`shop.web GET shop.cart:80 /` is refused" in found.message


@pytest.mark.parametrize(
    ("claim", "name"),
    [
        ("never web reaches ledger to GET /a", "protocol-mismatch"),
        ('never web reaches checkout when sni == "x"', "protocol-mismatch"),
        ("always web reaches checkout transitively", "misplaced-setting"),
    ],
)
def test_claims_that_speak_of_nothing(claim: str, name: str) -> None:
    analysis = analyze_text(f'{BANK}invariant "i" {{ {claim} }}')
    assert name in {one.name for one in analysis.diagnostics}
