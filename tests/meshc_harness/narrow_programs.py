"""Random programs of narrow allows under denies that overlap them, and requests that try to slip between the two.

Every rule names several things at once, so that the allowed requests are few and each deny cuts through several allows. Requests are
made of what the rules name, spelled in the ways in which proxies and applications have been seen to differ.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from meshc.request import Request

TRUST_DOMAIN: Final = "cluster.local"
_SOURCES: Final = (
    "front",
    "front",
    "front, data",
    "authenticated",
    "anyone",
    "namespace a",
    "namespace a, back",
    "namespace b",
    "authenticated",
    "anyone",
    "anyone except back",
    "namespace a except front",
    f'identity "spiffe://{TRUST_DOMAIN}/ns/b/sa/*"',
    f'identity "spiffe://{TRUST_DOMAIN}/*"',
    f'identity "spiffe://{TRUST_DOMAIN}/ns/a/sa/ghost"',
    'identity "spiffe://ops.example/ns/ops/sa/*"',
    'identity "spiffe://ops.example/ns/ops/sa/robot"',
)
_BLOCKS: Final = (
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.3",
    "10.0.0.0/9, 10.128.0.0/9",
    "2001:db8::/32",
    "::/0",
)
_PATHS: Final = (
    "/",
    "/a",
    "/a/",
    "/a/**",
    "/a/{id}",
    "/a/{id}/",
    "/a/{id}/edit",
    "/a/{id}/**",
    "/a/admin",
    "/a/admin/**",
    "/{any}/admin",
    "/{any}/{id}/edit",
    "/A/**",
    "/a/%20/**",
    "/**",
)
_RPCS: Final = ("rpc shop.Cart/Add", "rpc shop.Cart/*", "rpc shop.Admin/*", "/shop.Cart/**", "POST /{service}/Add")
_METHODS: Final = ("GET", "POST", "GET|HEAD", "POST|PUT|PATCH", "DELETE")
_HEADERS: Final = (
    'header "x-stage" == "live"',
    'header "x-stage" in ("live", "draft")',
    'header "x-stage" starts with "live"',
    'header "x-stage" is present',
    'header "x-team" == "red"',
    'not (header "x-team" == "red")',
    'header "x-team" != "red"',
)
_HOSTS: Final = ('host == "web.a"', 'host ends with ".a"', 'host ends with ".example"', 'host == "shop.example"')
_ADDRESSES: Final = ("source ip in (10.1.0.0/16)", "not (source ip in (10.1.2.0/24))")


@dataclass(frozen=True, kw_only=True)
class Narrow:
    """A program, and the numbers of the ports of its service `a.web` with their protocols; each leads to 1000 more."""

    text: str
    ports: tuple[tuple[int, str], ...]


def narrow_program(rng: Random) -> Narrow:
    """One program."""
    ports = (
        (80, "http"),
        (81, rng.choice(("http2", "grpc"))),
        (82, rng.choice(("tcp", "tls"))),
    )
    listed = " ".join(f"port {number} {protocol} target {number + 1000}" for number, protocol in ports)
    probe = rng.choice(("", "probe GET /a/admin on 1080", "probe GET /healthz on 1080", "probe GRPC on 1081"))
    mtls = rng.choice(("strict", "strict", "strict", "permissive", "off"))
    lines = [
        f'mesh m {{ trust-domain "{TRUST_DOMAIN}" also "ops.example" default access {rng.choice(("deny", "deny", "allow"))} }}',
        f"namespace a {{ mtls {mtls} }}",
        "namespace b",
        f"service web in a {{ {listed} {probe} }}",
        "service front in a",
        "service back in b",
        "service data in b",
    ]
    stage, team = rng.choice(_HEADERS[:4]), rng.choice(_HEADERS[4:])
    for number, protocol in ports:
        effects = ["allow"] * rng.randint(1, 4) + ["deny"] * rng.randint(1, 3)
        rules = [f"  {effect} {_rule(rng, protocol, (stage, team))}" for effect in effects]
        lines += [f"access web:{number} {{", *rules, "}"]
    return Narrow(text="\n".join(lines) + "\n", ports=ports)


def _rule(rng: Random, protocol: str, headers: tuple[str, str]) -> str:
    # Where TLS passes through, nobody has an identity.
    parts = [rng.choice(_SOURCES) if protocol != "tls" else "anyone"]
    if rng.random() < 0.25:
        parts.append(f"from {rng.choice(_BLOCKS)}")
    if protocol in {"tcp", "tls"}:
        return " ".join(parts)
    paths = (*_PATHS, *_RPCS) if protocol != "http" else _PATHS
    if rng.random() < 0.9:
        parts.append("to " + ", ".join(_operation(rng, paths) for _ in range(rng.choice((1, 1, 2)))))
    tests = [one for one in headers if rng.random() < 0.35]
    tests += [rng.choice(_HOSTS)] if rng.random() < 0.2 else []
    tests += [rng.choice(_ADDRESSES)] if rng.random() < 0.15 else []
    rng.shuffle(tests)
    return " ".join([*parts, *(["when", rng.choice((" and ", " or ")).join(tests)] if tests else [])])


def _operation(rng: Random, paths: tuple[str, ...]) -> str:
    path = rng.choice(paths)
    if path.startswith("rpc") or " " in path or rng.random() < 0.4:
        return path
    return f"{rng.choice(_METHODS)} {path}"


_STEMS: Final = (
    *(
        "/",
        "/a",
        "/a/7",
        "/a/7/edit",
        "/a/admin",
        "/a/admin/x",
        "/b/admin",
        "/b/7/edit",
        "/A/x",
        "/a/%20/x",
        "/healthz",
    ),
    *("/shop.Cart/Add", "/shop.Cart/Get", "/shop.Admin/Add", "/grpc.health.v1.Health/Check"),
)
_SPELLINGS: Final = (
    *("{0}",) * 40,
    *(
        "{0}/",
        "{0}//",
        "/{0}",
        "//x/..{0}",
        "/.{0}",
        "/./.{0}",
        "{0}/.",
        "{0}/..",
        "{0}/../a",
        "{0}/x/..",
        "/x/%2e%2e{0}",
    ),
    *("{0}/%2E", "{0}/%2e%2e/a/admin", "{0};v=1", "{0}/;", "{0}/..;/admin", "{0}%2f", "{0}%2Fadmin", "{0}%5c", "{0}\\"),
    *(
        "{0}%00",
        "{0}%20",
        "{0}%e2%82%ac",
        "{0}%E2%82%AC",
        "{0}?",
        "{0}?x=/a/admin",
        "{0}?/../admin",
        "{0}#/../admin",
        "{0}#",
        "{0}%3f",
        "{0}%3B",
    ),
    *("{0}...", "{0}/...", "{0}/.x", "{0}/..x", "{0}x", "{0}/x", "{0}|", "{0}^", "{0}%7c", "{0}%7E", "{0}~", "{0}%"),
)
_IDENTITIES: Final = (
    *(f"spiffe://{TRUST_DOMAIN}/ns/{one}" for one in ("a/sa/front",) * 6),
    *(f"spiffe://{TRUST_DOMAIN}/ns/{one}" for one in ("b/sa/back", "b/sa/data", "a/sa/web")),
    *(f"spiffe://{TRUST_DOMAIN}/ns/{one}" for one in ("a/sa/ghost", "b/sa/new", "bb/sa/back", "a/sa/fronts")),
    *(
        "spiffe://ops.example/ns/ops/sa/robot",
        "spiffe://ops.example/ns/ops/sa/new",
        "spiffe://ops.example/ns/b/sa/back",
    ),
    None,
)
_PEERS: Final = ("10.1.2.3", "10.1.2.4", "10.1.9.9", "10.200.0.1", "11.0.0.1", "2001:db8::1", "2001:db9::1")
_VALUES: Final = (
    "live",
    "live ",
    "\tlive",
    "Live",
    "lively",
    "draft",
    "red",
    "red ",
    "\tred",
    "red,blue",
    "",
    "other",
    "é",
    "liveé",
)
_NAMES: Final = ("x-stage", "X-Stage", "x-team", "X-TEAM", "x-other")
_CALLED: Final = (
    None,
    "web.a",
    "WEB.A",
    "web.a.",
    "web.a:80",
    "web.a:99",
    "x.web.a",
    "shop.example",
    "x.example",
    "x.EXAMPLE.",
)


def every_spelling() -> Iterator[str]:
    """Every path that requests may have, each once."""
    yield from dict.fromkeys(spelling.format(stem) for stem in _STEMS for spelling in _SPELLINGS)


def narrow_request(rng: Random, narrow: Narrow) -> Request:
    """A request to one of its ports."""
    number, protocol = rng.choice((*narrow.ports[:2], *narrow.ports))
    identity, peer = rng.choice(_IDENTITIES), rng.choice(_PEERS)
    if protocol in {"tcp", "tls"}:
        return Request(identity=identity, namespace="a", service="web", port=number, source_ip=peer)
    path = rng.choice(_SPELLINGS).format(rng.choice(_STEMS))
    return Request(
        identity=identity,
        namespace="a",
        service="web",
        port=number,
        method=rng.choice(("GET", "GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "get")),
        path=path.upper() if rng.random() < 0.06 else path,
        headers=tuple((rng.choice(_NAMES), rng.choice(_VALUES)) for _ in range(rng.choice((0, 0, 1, 1, 2, 3)))),
        host=rng.choice(_CALLED),
        source_ip=peer,
    )
