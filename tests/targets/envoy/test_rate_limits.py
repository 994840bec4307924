"""Rate limits on real Envoys: what is counted, for whom, how fast it fills again, and what takes no token."""

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final

import pytest

from envoy_lab import Lab, RunLab, compile_mesh, grpc_status, shown, status
from meshc import ir
from meshc.engine.exchange import Peer
from meshc.engine.http_server import Headers
from meshc.engine.tokens import TokenIssuer
from meshc.engine.translate import to_observation
from meshc.request import Request
from meshc.target import Json
from meshc_envoy import emit
from meshc_envoy.rate_limits import LONGEST_VALUE, counted_header, limit_filters

ISSUER: Final = TokenIssuer.create()
JWKS: Final = ISSUER.jwks.replace('"', '\\"')

# What is spent in an hour is not there again within a test.
COUNTS: Final = f"""
mesh shop {{ trust-domain "mesh.local" trusted-hops 1 }}
namespace shop
service cart in shop
service rogue in shop
service plain in shop {{ port 80 http }}
service mixed in shop {{ port 80 http port 81 http }}
service orders in shop {{ port 80 http port 81 http port 83 http port 84 grpc port 86 http port 87 http port 88 http }}
service users in shop {{ port 80 http port 81 http port 82 http }}
authenticate plain {{ mtls off }}
authenticate mixed {{ mtls permissive }}
authenticate orders:87 {{ jwt corp {{ issuer "https://corp" jwks inline "{JWKS}" }} }}
access plain {{ allow anyone }}
access mixed {{ allow anyone }}
access users {{ allow cart }}
access orders {{ allow cart, rogue deny anyone to /denied }}
rate-limit orders:80 {{ 1/h burst 3 }}
rate-limit orders:81 {{ 1/h burst 2 per source }}
rate-limit orders:83 {{
  1/h to POST /charge
  1/h to GET /a/{{id}} when header "x-a" == "1" and not query "q" == "2"
  1/h when query "p" matches re"a+"
  1/h when source ip in (10.66.0.0/16)
  1/h when host == "pay" or header "user-agent" == "bot"
}}
rate-limit orders:84 {{ 1/h }}
rate-limit orders:86 {{ 1/h burst 4 per source 1/h burst 2 to /b }}
rate-limit orders:87 {{ 1/h when claim "plan" == "free" }}
rate-limit orders:88 {{ 1/h burst 2 }}
rate-limit users:80 {{ 1/h burst 2 per header "X-User" }}
rate-limit users:81 {{ 1/h burst 2 per header "user-agent" }}
rate-limit users:82 {{ 1/h burst 2 per header "x-user" to /counted }}
rate-limit plain {{ 1/h burst 2 per source }}
rate-limit mixed:80 {{ 1/h }}
rate-limit mixed:81 {{ 1/h per source }}
"""


async def ask(
    lab: Lab,
    peer: Peer,
    count: int,
    path: str = "/",
    *,
    headers: Headers = (),
    method: str = "GET",
    host: str = "orders",
) -> list[int | None]:
    return [status(await lab.get(peer, path, headers=headers, method=method, host=host)) for _ in range(count)]


def passed(statuses: Sequence[int | None]) -> int:
    assert set(statuses) <= {200, 429}, statuses
    assert list(statuses) == sorted(statuses, key=str), "a token came from nowhere"
    return statuses.count(200)


@pytest.mark.slow
def test_counts(run_lab: RunLab) -> None:
    """One lab, a port for each question."""

    async def scenario(lab: Lab) -> None:
        await whole_ports(lab)
        await upgrades_and_versions(lab)
        await sources(lab)
        await modes(lab)
        await headers(lab)
        await conditions(lab)
        await several(lab)
        await claims(lab)

    run_lab(COUNTS, scenario)


async def whole_ports(lab: Lab) -> None:
    """A limit without `per` is one for all, and what is refused takes no token."""
    cart, rogue, stranger = (lab.inbound("orders", 80, caller=name) for name in ("cart", "rogue", "plain"))
    assert await ask(lab, stranger, 5) == [403] * 5
    assert await ask(lab, cart, 5, "/denied") == [403] * 5
    assert await ask(lab, cart, 5, "/x%2fy") == [400] * 5
    assert await ask(lab, cart, 5, "/..;/x/%2e%2e;/y") == [400] * 5
    assert passed(await ask(lab, cart, 2)) == 2
    assert passed(await ask(lab, rogue, 3)) == 1
    assert await ask(lab, cart, 1, "/denied") == [403], "access is asked before the limit"
    rpc = lab.inbound("orders", 84, caller="cart")
    assert [grpc_status(await lab.call(rpc, "/a.B/C")) for _ in range(2)] == [0, 8]
    request = Request(identity=None, namespace="shop", service="orders", port=84, method="POST", path="/a.B/C")
    policy = next(one for one in lab.instance("orders").workload.ports if one.number == request.port)
    for is_inbound in (True, False):
        seen = to_observation(await lab.call(rpc, "/a.B/C"), request, policy, is_inbound=is_inbound)
        assert (seen.allowed, seen.status) == (False, 429), "engines take it for the refusal that it is"


async def upgrades_and_versions(lab: Lab) -> None:
    """A connection kept alive, one of HTTP/2 and an upgrade all take from the same bucket."""
    cart = lab.inbound("orders", 88, caller="cart")
    assert status(await lab.get2(cart, "/")) == 200
    socket = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    socket += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    assert status(await lab.raw(cart, socket)) == 101
    assert status(await lab.raw(cart, socket)) == 429
    assert status(await lab.get2(cart, "/")) == 429
    assert await lab.tally(cart, 5) == {"-429": 5}


async def sources(lab: Lab) -> None:
    """An identity, wherever it calls from; without one the address of the connection, whatever headers say."""
    for caller in ("cart", "rogue"):
        for source, expected in (("10.1.1.1", 2), ("10.1.1.2", 0)):
            peer = lab.inbound("orders", 81, caller=caller, source=source)
            spoofed = (
                (b"x-forwarded-client-cert", b"URI=spiffe://mesh.local/x"),
                (b"x-forwarded-for", source.encode()),
            )
            assert passed(await ask(lab, peer, 3, headers=spoofed)) == expected, (caller, source)
    for source in ("10.1.1.1", "10.1.1.2"):
        peer = lab.inbound("plain", 80, caller=None, source=source)
        many = [await ask(lab, peer, 1, headers=((b"x-forwarded-for", b"9.9.9.%d" % n),)) for n in range(4)]
        assert passed([one for [one] in many]) == 2, source


async def modes(lab: Lab) -> None:
    """Where mTLS is permissive, callers with it and without it are counted apart."""
    for number in (80, 81):
        for caller, source, expected in (
            ("cart", "10.1.1.1", 1),
            ("rogue", "10.1.1.1", number - 80),
            (None, "10.1.1.1", 1),
            (None, "10.1.1.2", number - 80),
        ):
            peer = lab.inbound("mixed", number, caller=caller, source=source)
            assert passed(await ask(lab, peer, 2)) == expected, (number, caller, source)


async def headers(lab: Lab) -> None:
    """A bucket for each value, and a single one for whatever is not one plain line."""
    peer = lab.inbound("users", 80, caller="cart")
    for value in (b"ann", b"bob", b"a,b", b"-", b"Ann", b"J\xc3\xbcrgen Ode", b"k" * LONGEST_VALUE):
        assert passed(await ask(lab, peer, 3, headers=((b"X-USER", value),))) == 2, value
        assert status(await lab.get2(peer, "/", headers=((b"x-user", value),))) == 429, value
    assert passed(await ask(lab, peer, 3)) == 2, "without the header there is a bucket too"
    twice = tuple((b"x-user", value) for value in (b"new", b"ann"))
    for odd in (
        twice,
        twice[::-1],
        ((b"x-user", b"new"), (b"x-user", b"new")),
        ((b"x-user", b""), (b"x-user", b"ann")),
        ((b"x-user", b""),),
        ((b"x-user", b"\xff"),),
        ((b"x-user", b"k" * LONGEST_VALUE + b"l"),),
    ):
        assert await ask(lab, peer, 1, headers=odd) == [429], odd
    for value in (b"new ", b" new", b"new\t", b"ann "):
        # Over HTTP/2, blanks at the ends arrive.
        assert status(await lab.get2(peer, "/", headers=((b"x-user", value),))) == 429, value

    agents = lab.inbound("users", 81, caller="cart")
    for value, expected in ((b"curl/8 (x; y)", 2), (b"a, b", 2), (b"c,d", 0), (b"", 0), (b"curl/9", 2)):
        assert passed(await ask(lab, agents, 3, headers=((b"user-agent", value),))) == expected, value
    joined = ((b"user-agent", b"new"), (b"user-agent", b"curl/8 (x; y)"))
    assert await ask(lab, agents, 1, headers=joined) == [429]

    some = lab.inbound("users", 82, caller="cart")
    assert await ask(lab, some, 4, headers=((b"x-user", b"ann"),)) == [200] * 4
    assert passed(await ask(lab, some, 3, "/counted", headers=((b"x-user", b"ann"),))) == 2
    assert passed(await ask(lab, some, 3, "/counted", headers=((b"x-user", b"bob"),))) == 2
    assert passed(await ask(lab, some, 3, "/counted")) == 2


async def conditions(lab: Lab) -> None:
    """Each means what it means in a rule."""
    peer = lab.inbound("orders", 83, caller="cart")
    assert await ask(lab, peer, 3, "/other") == [200] * 3
    assert passed(await ask(lab, peer, 2, "/x/../charge", method="POST")) == 1
    assert await ask(lab, peer, 2, "/charge") == [200] * 2
    assert passed(await ask(lab, peer, 2, "/a/./7", headers=((b"x-a", b"2"), (b"X-A", b" 1 ")))) == 1
    assert await ask(lab, peer, 2, "/a/7?q=2", headers=((b"x-a", b"1"),)) == [200] * 2
    assert await ask(lab, peer, 2, "/?p=b&p=a") == [200] * 2
    assert passed(await ask(lab, peer, 2, "/?p=aa")) == 1
    assert passed(await ask(lab, lab.inbound("orders", 83, caller="cart", source="10.66.1.1"), 2)) == 1
    assert passed(await ask(lab, peer, 2, host="PAY:80")) == 1
    evading = ((b"user-agent", b"x"), (b"user-agent", b"bot"))
    assert await ask(lab, peer, 1, headers=evading) == [429], "one bucket for either of two tests"


async def several(lab: Lab) -> None:
    """Every limit that matches must have a token."""
    cart, rogue = (lab.inbound("orders", 86, caller=name) for name in ("cart", "rogue"))
    assert passed(await ask(lab, cart, 3, "/b")) == 2
    assert await ask(lab, rogue, 1, "/b") == [429]
    assert 1 <= passed(await ask(lab, cart, 5)) <= 2, "what another limit refused may have cost a token here"


async def claims(lab: Lab) -> None:
    peer = lab.inbound("orders", 87, caller="cart")

    def token(plan: str) -> Headers:
        return ((b"authorization", b"Bearer " + ISSUER.sign({"iss": "https://corp", "plan": plan}).encode()),)

    assert await ask(lab, peer, 3, headers=((b"authorization", b"Bearer x.y.z"),)) == [401] * 3
    assert passed(await ask(lab, peer, 2, headers=token("free"))) == 1
    assert await ask(lab, peer, 3, headers=token("paid")) == [200] * 3


RATES: Final = """
mesh shop { trust-domain "mesh.local" }
namespace shop
service cart in shop
service orders in shop { port 80 http port 81 http port 82 http port 83 http port 84 http }
access orders { allow cart }
rate-limit orders:80 { 1/s }
rate-limit orders:81 { 600/m burst 10 }
rate-limit orders:82 { 100/s burst 200 }
rate-limit orders:83 { 10/h }
rate-limit orders:84 { 5000/s }
"""


@pytest.mark.slow
def test_rates(run_lab: RunLab) -> None:
    """Tokens come back one by one, at the rate written, whatever its unit: never more, and not all at the end of it.

    Bounds follow from the time that passed, so that a slow machine changes them and not the outcome.
    """

    async def scenario(lab: Lab) -> None:
        for port, rate, burst, count, pause in (
            (80, 1.0, 1, 4, 1.1),
            (81, 10.0, 10, 20, 0.5),
            (82, 100.0, 200, 400, 0.3),
            (83, 10 / 3600, 1, 4, 0.2),
            (84, 5000.0, 5000, 300, 0.0),
        ):
            peer = lab.inbound("orders", port, caller="cart")
            start = monotonic()
            first = (await lab.tally(peer, count))["shop.orders"]
            assert min(burst, count) <= first <= burst + rate * (monotonic() - start) + 1, port
            await asyncio.sleep(pause)
            again = (await lab.tally(peer, count))["shop.orders"]
            most = burst + rate * (monotonic() - start) + 1
            assert min(count, int(rate * pause)) <= again, port
            assert first + again <= most, port

    run_lab(RATES, scenario)


@pytest.mark.parametrize(
    ("rate", "bucket"),
    [
        ("1/s", (1, 1, "1s")),
        ("100/s burst 200", (200, 100, "1s")),
        ("600/m", (10, 600, "60s")),
        ("30/m", (1, 30, "60s")),
        ("10/h", (1, 10, "3600s")),
        ("7200/h burst 1", (1, 7200, "3600s")),
        ("5000/s", (5000, 5000, "1s")),
    ],
)
def test_buckets(rate: str, bucket: tuple[int, int, str]) -> None:
    """A rate without `burst` holds the tokens of a second, at least one."""
    most, tokens, interval = bucket
    wanted = {"max_tokens": most, "tokens_per_fill": tokens, "fill_interval": interval}
    [found] = filters(rate)
    assert found["token_bucket"] == wanted
    [marks, counted] = filters(f"{rate} to /a")
    assert marks["shadow_rules_stat_prefix"] == "limit-1."
    assert counted["descriptors"] == [{"entries": [{"key": "mark", "value": "limit-1"}], "token_bucket": wanted}]


def test_every_filter_enforces() -> None:
    """Envoy's own shares of requests that are counted and refused are 0 %."""
    every = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    chain = filters('1/s  2/s per source  3/s per header "x-a"  4/s to /a')
    counting = [one for one in chain if "stat_prefix" in one]
    assert [one["stat_prefix"] for one in counting] == ["limit-1", "limit-2", "limit-3", "limit-4"]
    for one in counting:
        assert one["filter_enabled"] == one["filter_enforced"] == every
        assert one["rate_limited_as_resource_exhausted"] is True


def test_names_of_headers() -> None:
    """Whatever letters a header's name has, it is read once, and each limit knows its own."""
    name = "x'%`|~"
    [state, first, second] = filters(f'1/s per header "{name}"  2/s per header "{name.upper()}"')
    assert [one["object_key"] for one in rows(state["on_request_headers"])] == [f"meshc.header.{name}"]
    assert first["rate_limits"] == second["rate_limits"]
    limits = limits_of(f'1/s per header "{name}"  1/s per source  1/s')
    assert [counted_header(limit) for limit in limits] == [name, None, None]


PATTERNS: Final = " or ".join(f'query "q" matches re"a{number}"' for number in range(7))


@pytest.mark.parametrize(
    ("mode", "limit", "name", "words"),
    [
        ("permissive", "1/s", "target-differs", "counts callers with mTLS and callers without it apart on port 80"),
        ("permissive", "1/s per source", None, ""),
        ("strict", '1/s per header "cookie"', "target-differs", "lines of `cookie` from one with `,` or `;`"),
        ("strict", '1/s per header "Authorization"', "target-differs", "lines of `authorization` from one with `,`"),
        ("strict", '1/s per header "x-a"', None, ""),
        ("strict", "4294967295/s", None, ""),
        ("strict", "1/s burst 2147483647", None, ""),
        ("strict", "4294967296/h", "unsupported-by-target", "counts at most 4294967295 tokens"),
        ("strict", '1/s when host matches re"[A-Z]+"', "unsupported-by-target", "names upper-case letters"),
        ("strict", f"1/s when {PATTERNS}", "unsupported-by-target", "at most 6 query patterns on a port"),
    ],
)
def test_what_is_said(mode: str, limit: str, name: str | None, words: str) -> None:
    """What Envoy does otherwise with a limit, or cannot do, is told."""
    found = emit(compile_mesh(program(limit, mode))).diagnostics
    if name is None:
        assert not found, [shown(one) for one in found]
        return
    assert [one.name for one in found] == [name], [shown(one) for one in found]
    assert words in found[0].message


def program(limits: str, mode: str = "strict") -> str:
    return f"""
    mesh m {{ mtls {mode} }}
    namespace n
    service c in n
    service s in n {{ port 80 http }}
    access s {{ allow authenticated }}
    rate-limit s {{ {limits} }}
    """


def limits_of(limits: str) -> tuple[ir.RateLimit, ...]:
    [workload] = [one for one in compile_mesh(program(limits)).workloads if one.name == "s"]
    return workload.ports[0].limits


def filters(limits: str) -> list[Mapping[str, Json]]:
    """The fields of the filters of a strict chain."""
    found = [one for one in limit_filters(limits_of(limits), has_identities=True) if isinstance(one, dict)]
    return [config for one in found if isinstance(config := one["typed_config"], dict)]


def rows(value: Json) -> list[Mapping[str, Json]]:
    assert isinstance(value, list)
    return [one for one in value if isinstance(one, dict)]
