"""What is declared of the mesh, services and ports, and what holds under conditions: each change once, and nothing else."""

import pytest

from meshc.difference.compare import Comparer
from meshc.difference.model import Change, Difference, Presence
from meshc_harness.comparing import START, compared, only_setting, settings, side

LIMITED = 'rate-limit pay:8080 { 100/s burst 200  10/s per source to POST /charge  5/m when header "x-a" == "1" }'
LOGGED = 'telemetry pay { access-log json when header "x-a" == "1" trace 5% to otlp "collector:4317" }'
TOKENS = 'authenticate pay:8080 { jwt corp { issuer "https://i" audiences "a", "b" jwks url "https://i/k" } }'


def restarted(before: str, after: str) -> Difference:
    """What differs if the beginning that the tests share is written otherwise."""
    assert before in START
    return Comparer().compare(side(START, "old.mesh"), side(START.replace(before, after)))


PORTS = [
    ("traffic pay:8080 { load-balance random }", "bank.pay:8080", "load-balance", "none", "random"),
    (
        'traffic pay:8080 { load-balance ring-hash by header "x-user" }',
        "bank.pay:8080",
        "load-balance",
        "none",
        'ring-hash by header "x-user"',
    ),
    (
        "traffic db { circuit-breaker { connections 10 pending 2 } }",
        "bank.db:5432",
        "circuit-breaker",
        "none",
        "connections 10 pending 2",
    ),
    (
        "traffic pay:8080 { outlier-detection { consecutive-5xx 5 } }",
        "bank.pay:8080",
        "outlier-detection",
        "none",
        "consecutive-5xx 5 interval 10s ejection 30s max-ejected 10%",
    ),
    ("traffic db { connect-timeout 90s }", "bank.db:5432", "connect-timeout", "none", "90s"),
    (
        'traffic stripe { tls { ca file "ca.pem" } }',
        "bank.stripe:443",
        "tls ca",
        "none",
        '"ca.pem"',
    ),
    ("authenticate db { mtls off }", "bank.db:5432", "mtls", "strict", "off"),
    (TOKENS, "bank.pay:8080", "jwt corp", "none", 'issuer "https://i"'),
    (LOGGED, "bank.pay", "access-log", "none", 'json when header "x-a" == "1"'),
    (LOGGED, "bank.pay", "trace", "none", '5% to "collector:4317"'),
    ("telemetry db { metrics }", "bank.db", "metrics", "off", "on"),
    ("rate-limit pay:8080 { 10/h }", "bank.pay:8080", "rate-limit", "none", "10/h burst 1"),
]


@pytest.mark.parametrize(("text", "subject", "name", "old", "new"), PORTS)
def test_a_setting_came_and_went(text: str, subject: str, name: str, old: str, new: str) -> None:
    there = [one for one in settings(compared("", text)) if one[1] == name]
    assert there == [(subject, name, old, new, "")]
    back = [one for one in settings(compared(text, "")) if one[1] == name]
    assert back == [(subject, name, new, old, "")]
    assert compared(text, text).is_empty


JWTS = [
    ('issuer "https://i"', 'issuer "https://j"', "jwt corp issuer", '"https://i"', '"https://j"'),
    ('audiences "a", "b"', 'audiences "a"', "jwt corp audiences", '"a", "b"', '"a"'),
    ('"https://i/k"', '"https://i/l"', "jwt corp jwks", 'url "https://i/k"', 'url "https://i/l"'),
    ("jwks url", "forward jwks url", "jwt corp forward", "no", "yes"),
    ("jwks url", "required jwks url", "jwt corp required", "no", "yes"),
    ("jwks url", 'from-header "x-token" jwks url', "jwt corp from-header", '"authorization" "Bearer "', '"x-token" ""'),
]


@pytest.mark.parametrize(("before", "after", "name", "old", "new"), JWTS)
def test_issuers_of_tokens(before: str, after: str, name: str, old: str, new: str) -> None:
    found = compared(TOKENS, TOKENS.replace(before, after))
    assert ("bank.pay:8080", name, old, new, "") in settings(found)


def test_the_order_of_audiences_means_nothing() -> None:
    assert compared(TOKENS, TOKENS.replace('"a", "b"', '"b", "a"')).is_empty


SERVICES = [
    ("service job in bank", "service job in bank { service-account robot }", "bank.job", "identity"),
    ("service job in bank", 'service job in bank { labels app = "x" }', "bank.job", "labels"),
    ("service job in bank", "service job in bank { discover eds }", "bank.job", "discover"),
    ("version v1 version v2", 'version v1 version v2 { labels v = "2" }', "bank.pay", "version"),
    ("port 5432 tcp }", "port 5432 tcp probe GET /healthz on 80 }", "bank.db", "probe"),
    ("port 5432 tcp }", 'port 5432 tcp endpoint "db1:5432" { weight 2 } }', "bank.db", "endpoint"),
    ("port 5432 tcp }", "port 5432 tcp target 15432 }", "bank.db:5432", "target"),
    ("port 5432 tcp }", "port 5432 tls }", "bank.db:5432", "protocol"),
    ("9090 grpc as admin", "9090 grpc as control", "bank.pay:9090", "name"),
    ('host "api.stripe.com"', 'host "api.stripe.com", "*.stripe.com"', "bank.stripe", "host"),
    (
        'trust-domain "shop.example" also "ops.example"',
        'trust-domain "shop.example"',
        "mesh",
        "federated trust domains",
    ),
    ("mesh shop {", 'mesh shop { cluster-domain "c.local"', "mesh", "cluster-domain"),
    ("mesh shop {", "mesh shop { trusted-hops 1", "mesh", "trusted-hops"),
]


@pytest.mark.parametrize(("before", "after", "subject", "name"), SERVICES)
def test_what_is_declared(before: str, after: str, subject: str, name: str) -> None:
    found = restarted(before, after)
    assert (subject, name) in [(one[0], one[1]) for one in settings(found)]
    assert Change.SETTINGS in found.changes


def test_names_and_docs_mean_nothing() -> None:
    assert restarted("mesh shop {", "## The shop.\nmesh store {").is_empty
    assert restarted("service job in bank", "## Runs at night.\nservice job in bank").is_empty


def test_a_caller_came() -> None:
    found = restarted("service job in bank", "service job in bank\nservice cron in bank")
    assert [(str(one.subject), one.kind, one.presence) for one in found.subjects] == [
        ("bank.cron", "service", Presence.ADDED)
    ]
    assert found.changes == set()


def test_weaker_and_stronger() -> None:
    weaker = compared("access db { allow pay }", "access db { allow pay } authenticate db { mtls permissive }")
    assert only_setting(weaker).weakens
    assert Change.WEAKENED_MTLS in weaker.changes
    stronger = compared("access db { allow pay } authenticate db { mtls permissive }", "access db { allow pay }")
    assert not only_setting(stronger).weakens
    assert Change.WEAKENED_MTLS not in stronger.changes
    passed = restarted("port 5432 tcp }", "port 5432 tls }")
    assert Change.WEAKENED_MTLS in passed.changes


def test_a_changed_identity_tells_its_names_apart() -> None:
    access = "access db { allow job }"
    start = START.replace("service job in bank", "service job in bank { service-account robot }")
    found = Comparer().compare(side(START + access, "old.mesh"), side(start + access))
    scopes = {(region.change, region.scope.text) for one in found.subjects for region in one.regions}
    assert scopes == {
        (Change.OPENED, "bank.job (spiffe://shop.example/ns/bank/sa/robot)"),
        (Change.CLOSED, "bank.job (spiffe://shop.example/ns/bank/sa/job)"),
    }


# ---- under conditions -----------------------------------------------------------------------------------------------

LIMITS = [
    (LIMITED, []),
    (LIMITED.replace("100/s burst 200", "100/s  burst  200"), []),
    (LIMITED.replace('header "x-a" == "1"', 'not header "x-a" != "1"'), []),
    (LIMITED.replace("burst 200", "burst 300"), [("100/s burst 200", "100/s burst 300")]),
    (
        LIMITED.replace("POST /charge", "PUT /charge"),
        [("10/s burst 10 per source when (POST /charge)", "10/s burst 10 per source when (PUT /charge)")],
    ),
    (LIMITED.replace("100/s burst 200", ""), [("100/s burst 200", "none")]),
    (
        LIMITED.replace("5/m when", "6/m when"),
        [('5/m burst 1 when header "x-a" == "1"', '6/m burst 1 when header "x-a" == "1"')],
    ),
]


@pytest.mark.parametrize(("new", "expected"), LIMITS)
def test_rate_limits(new: str, expected: list[tuple[str, str]]) -> None:
    found = settings(compared(LIMITED, new))
    assert [(one[2], one[3]) for one in found] == expected
    assert all(one[1] == "rate-limit" for one in found)


def test_two_halves_of_a_bucket_are_not_the_bucket() -> None:
    whole = "rate-limit pay:8080 { 10/s to /a, /b }"
    halves = "rate-limit pay:8080 { 10/s to /a 10/s to /b }"
    assert len(settings(compared(whole, halves))) == 2


def test_logs_are_compared_by_what_is_logged() -> None:
    text = 'telemetry pay { access-log json when header "x-a" == "1" or header "x-b" == "1" }'
    assert compared(
        text, text.replace('header "x-a" == "1" or header "x-b" == "1"', 'header "x-b" == "1" or header "x-a" == "1"')
    ).is_empty
    assert not compared(text, text.replace(' or header "x-b" == "1"', "")).is_empty


def test_shadow_rules_are_compared_by_what_they_log() -> None:
    base = "access pay:8080 { allow web, cart "
    old = base + "shadow deny group edge to /a, /b }"
    same = base + "shadow deny web to /a, /b shadow deny cart to /b, /a }"
    assert compared(old, same).is_empty
    found = compared(old, base + "shadow deny group edge to /a }")
    assert settings(found) == [("bank.pay:8080", "shadow deny", "logged", "not logged", "group edge to /b")]
    assert found.changes == {Change.SETTINGS}
    assert settings(compared(base + "}", base + "shadow allow job }"))[0][1:4] == (
        "shadow allow",
        "not logged",
        "logged",
    )
