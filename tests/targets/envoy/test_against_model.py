"""Real Envoys against the language's own evaluator: the same requests, the same answers."""

import random
from collections import Counter
from collections.abc import Mapping
from typing import Final

import pytest

from envoy_lab import Lab, RunLab, status
from meshc.engine.exchange import Greeted, Http1Request, Http2Request, Line, Outcome, Refused, StreamReset, TimedOut
from meshc.engine.tokens import TokenIssuer
from meshc.request import Claim, Decision, Request
from meshc.semantics import Evaluator, decide, is_comparable

ISSUER: Final = TokenIssuer.create()
PROGRAM: Final = f"""
mesh shop {{ trust-domain "mesh.local" also "ops.example" trusted-hops 1 }}
namespace shop
service cart in shop
service rogue in shop
service orders in shop {{ port 80 http target 8080 port 81 http2 target 8081 port 5432 tcp }}
authenticate orders {{
  jwt corp {{ issuer "https://corp" audiences "a" jwks inline "{ISSUER.jwks.replace('"', chr(92) + '"')}" }}
}}
access orders {{
  deny anyone from 10.66.0.0/16
  allow cart from 10.0.0.0/8
  deny identity "spiffe://ops.example/ns/evil/*"
}}
access orders:80 {{
  allow authenticated except rogue to GET|HEAD /a/{{id}}, /a/{{id}}/b/**, POST /exact, /re, /space%20x
  allow rogue to GET /** when header "x-a" in ("1", "two") and not header "x-b" starts with "no"
  allow anyone to /q when query "m" == "1" or query "m" ends with "z" and query "n" is present
  allow anyone to /q when query "r" matches re"[a-c]+" and not query "s" matches re".*x"
  allow anyone to /c when claim "scope" has "w" or claim "org" "team" == "pay" or subject starts with "s"
  allow anyone to /h when host in ("orders", "orders.shop") or host ends with ".wild"
  allow anyone to /f when remote ip in (192.168.0.0/16) or not header "x-c" matches re"[a-z]*[0-9]"
  deny anyone to /a/9/** when header "x-d" ends with "!" or header "x-d" == ""
  deny anyone to PUT /a/1
}}
access orders:81 {{
  allow anyone when not (header "x-a" == "1" and query "m" is present) and not claim "scope" is present
}}
"""
IDENTITIES: Final[tuple[str | None, ...]] = (
    "spiffe://mesh.local/ns/shop/sa/cart",
    "spiffe://mesh.local/ns/shop/sa/rogue",
    "spiffe://mesh.local/ns/shop/sa/orders",
    "spiffe://ops.example/ns/evil/sa/x",
    "spiffe://ops.example/ns/good/sa/x",
    None,
)
PATHS: Final = (
    *("/a/1", "/a/", "/a", "/a//1", "/a/1/b", "/a/1/b/", "/a/1/b/c", "/a/1/bc", "/a/9/x", "/a/9", "/exact", "/exact/"),
    *(
        "/Exact",
        "/re",
        "/x/../re",
        "/%72e",
        "/space%20x",
        "/q",
        "/c",
        "/h",
        "/f",
        "/f/",
        "//f",
        "/./q",
        "/a/%2f",
        "/a/%00",
    ),
    *("/a/{", "/a/\\..\\q", "/a/%7B/b", "/a/1%3Fx", "/..", "/a/.", "/a/..", "/a/1/./b"),
)
QUERIES: Final = (
    *("", "", "", "?", "?m=1", "?m=1&m=2", "?m=2&m=1", "?m=z&n", "?m=xz", "?m=xz&n=", "?mm=1", "?M=1", "?m=%31"),
    *("?r=abc", "?r=abc&s=x", "?r=a&s=1&t=x", "?r=", "?r", "?s=1&r=cab&r=z", "?a=b&m=1&c", "?&m=1", "?m==1"),
)
HEADERS: Final = (
    *(
        ("x-a", "1"),
        ("x-a", "two"),
        ("X-A", "1"),
        ("x-a", "1,two"),
        ("x-a", " 1 "),
        ("x-a", "3"),
        ("x-b", "no"),
        ("x-b", "nope"),
    ),
    *(
        ("x-b", "yes"),
        ("x-c", "abc1"),
        ("x-c", "abc"),
        ("x-c", "A1"),
        ("x-c", ""),
        ("x-d", "hi!"),
        ("x-d", ""),
        ("x-d", "hi! "),
    ),
    *(("x-forwarded-for", "192.168.1.1"), ("x-forwarded-for", "192.168.1.1, 1.2.3.4"), ("x-forwarded-for", "1.2.3.4")),
)
HOSTS: Final = ("orders", "ORDERS", "orders.shop", "orders.shop.", "orders:80", "a.wild", "wild", ".wild", "other:1")
LISTED: Final[Claim] = ["w"]
TEAM: Final[Claim] = {"team": "pay"}
TEAMS: Final[Claim] = {"team": ["pay"]}
AUDIENCES: Final[Claim] = ["b", "a"]
CLAIMS: Final[tuple[Mapping[str, Claim] | None, ...]] = (
    *(
        None,
        None,
        None,
        None,
        None,
        {},
        {"scope": "r w"},
        {"scope": LISTED},
        {"scope": "ww"},
        {"scope": 1},
        {"org": TEAM},
    ),
    *({"org": TEAMS}, {"sub": "s1"}, {"sub": "t"}, {"aud": "b"}, {"aud": AUDIENCES}, {"iss": "https://other"}),
)
SOURCES: Final = ("10.1.2.3", "10.1.2.3", "10.1.2.3", "10.66.1.1", "172.16.0.1")


def random_request(chance: random.Random) -> Request:
    return Request(
        identity=chance.choice(IDENTITIES),
        namespace="shop",
        service="orders",
        port=chance.choice((80, 80, 80, 81)),
        method=chance.choice(("GET", "GET", "GET", "POST", "PUT", "HEAD")),
        path=chance.choice(PATHS) + chance.choice(QUERIES),
        headers=tuple(chance.choice(HEADERS) for _ in range(chance.choice((0, 0, 1, 2, 3)))),
        host=chance.choice(HOSTS),
        claims=chance.choice(CLAIMS),
        source_ip=chance.choice(SOURCES),
    )


def message(request: Request, *, version: int) -> Http1Request | Http2Request:
    headers = [(name.encode(), value.encode()) for name, value in request.headers]
    if request.claims is not None:
        claims = {"iss": "https://corp", "aud": "a"} | dict(request.claims)
        headers.append((b"authorization", b"Bearer " + ISSUER.sign(claims).encode()))
    method, path = (request.method or "").encode(), (request.path or "").encode()
    host = (request.host or "").encode()
    if version == 1:
        return Http1Request(method=method, path=path, host=host, headers=tuple(headers))
    lower = tuple((name.lower(), value) for name, value in headers)
    return Http2Request(method=method, path=path, authority=host, headers=lower)


def agrees(decision: Decision, outcome: Outcome, *, blanks: bool) -> bool:
    """Whether an answer is the one that the model gives. A value with blanks that a pattern reads may be refused with 400."""
    if decision.allowed:
        return status(outcome) == 200 or (blanks and status(outcome) == 400)
    if decision.status is None:
        return isinstance(outcome, Refused | TimedOut)
    if decision.status == 400 and isinstance(outcome, StreamReset | Refused):
        return True
    return status(outcome) == decision.status or (blanks and status(outcome) == 400)


def test_requests(run_lab: RunLab) -> None:
    """500 requests drawn at random, half of them over each version of HTTP."""

    async def scenario(lab: Lab) -> None:
        answers = await compare(lab, random.Random(20261123), 500)
        assert min(answers[status] for status in (200, 400, 401, 403, None)) > 5, answers

    run_lab(PROGRAM, scenario)


async def compare(lab: Lab, chance: random.Random, count: int) -> Counter[int | None]:
    """Ask model and Envoy the same; what answers there were."""
    credentials = {one: lab.credentials(one) for one in IDENTITIES if one is not None}
    evaluator = Evaluator(lab.mesh)
    answers: Counter[int | None] = Counter()
    for number in range(count):
        request = random_request(chance)
        if not is_comparable(request.path or ""):
            continue
        version = 1 + number % 2
        caller = None if request.identity is None else credentials[request.identity]
        peer = lab.inbound("orders", request.port, caller=caller, source=request.source_ip)
        outcome = await lab.client.send(message(request, version=version), peer)
        decision = evaluator.decide(request)
        blanks = version == 2 and any(name == "x-c" and value != value.strip() for name, value in request.headers)
        assert agrees(decision, outcome, blanks=blanks), (request, decision, outcome)
        answers[status(outcome)] += 1
    return answers


SOURCES_OF_RULES: Final = (
    *("cart", "rogue", "cart, rogue", "anyone", "authenticated", "namespace shop", "anyone except cart"),
    *(
        "namespace shop except rogue",
        'identity "spiffe://ops.example/ns/*"',
        'authenticated except identity "spiffe://ops.example/*"',
    ),
)
OPERATIONS: Final = (
    *(
        "GET",
        "GET|POST",
        "/a/{id}",
        "GET /a/**",
        "/a/{id}/b",
        "/q",
        "/c, /h",
        "POST /exact",
        "/**",
        "/f, PUT /a/1",
        "/a/1/**",
    ),
    *('re"/a/[0-9]+"', 're"/(q|re|f)"', "/a/", "/a/{x}/", "/{y}", "/{y}/{z}/**"),
)
CONDITIONS: Final = (
    *(
        'header "x-a" == "1"',
        'header "x-a" in ("1", "two")',
        'header "x-b" starts with "no"',
        'header "x-d" ends with "!"',
    ),
    *(
        'header "x-c" matches re"[a-z]+[0-9]"',
        'header "x-a" is present',
        'header "x-b" is absent',
        'header "x-a" != "1"',
    ),
    *(
        'query "m" == "1"',
        'query "m" != "1"',
        'query "m" ends with "z"',
        'query "n" is present',
        'query "r" matches re"[a-c]*"',
    ),
    *('claim "scope" has "w"', 'claim "org" "team" == "pay"', 'subject starts with "s"', 'issuer == "https://corp"'),
    *('claim "scope" is absent', 'host == "orders"', 'host ends with "wild"', 'host matches re"[a-z.]+"'),
    *("source ip in (10.0.0.0/8)", "remote ip in (192.168.0.0/16, 1.2.3.4)", "not remote ip in (10.0.0.0/8)"),
)


def random_condition(chance: random.Random, depth: int = 0) -> str:
    form = chance.choice(("atom", "atom", "and", "or", "not")) if depth < 3 else "atom"
    match form:
        case "atom":
            return chance.choice(CONDITIONS)
        case "not":
            return f"not ({random_condition(chance, depth + 1)})"
        case _:
            return f"({random_condition(chance, depth + 1)} {form} {random_condition(chance, depth + 1)})"


def random_rule(chance: random.Random) -> str:
    effect = chance.choice(("allow", "allow", "allow", "deny", "shadow allow", "shadow deny"))
    sources = chance.choice(SOURCES_OF_RULES)
    addresses = chance.choice(("", "", "", " from 10.0.0.0/8"))
    operations = chance.choice(("", f" to {chance.choice(OPERATIONS)}"))
    condition = chance.choice(("", f" when {random_condition(chance)}"))
    return f"  {effect} {sources}{addresses}{operations}{condition}"


def random_program(chance: random.Random) -> str:
    key = ISSUER.jwks.replace('"', chr(92) + '"')
    mode, default = chance.choice(("strict", "permissive")), chance.choice(("allow", "deny"))
    rules = {port: "\n".join(random_rule(chance) for _ in range(chance.randint(0, 6))) for port in (80, 81)}
    return f"""
    mesh shop {{ trust-domain "mesh.local" also "ops.example" trusted-hops 1 mtls {mode} default access {default} }}
    namespace shop
    service cart in shop
    service rogue in shop
    service orders in shop {{ port 80 http target 8080 port 81 http2 target 8081 }}
    authenticate orders {{ jwt corp {{ issuer "https://corp" audiences "a" jwks inline "{key}" }} }}
    access orders:80 {{ {rules[80]} }}
    access orders:81 {{ {rules[81]} }}
    """


@pytest.mark.parametrize("seed", range(4))
def test_programs(run_lab: RunLab, seed: int) -> None:
    """Random programs, each with 120 random requests."""

    async def scenario(lab: Lab) -> None:
        await compare(lab, random.Random(seed), 120)

    run_lab(random_program(random.Random(seed)), scenario)


def test_connections(run_lab: RunLab) -> None:
    async def scenario(lab: Lab) -> None:
        for identity in IDENTITIES:
            for source in sorted(set(SOURCES)):
                request = Request(identity=identity, namespace="shop", service="orders", port=5432, source_ip=source)
                outcome = await lab.send(Line(), lab.inbound("orders", 5432, caller=identity, source=source))
                allowed = decide(lab.mesh, request).allowed
                assert isinstance(outcome, Greeted) == allowed, (request, outcome)

    run_lab(PROGRAM, scenario)
