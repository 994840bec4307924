"""What arrives at a workload: the decisions are the evaluator's, in the language's order, and what goes on is clean."""

import pytest

from envoy_lab import compile_mesh
from meshc.engine.tokens import TokenIssuer
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc_proxy.policy.inbound import (
    Answer,
    Forward,
    Inbound,
    Peer,
    Refuse,
    Snapshot,
    build_snapshot,
    decide_connection,
    decide_inbound,
)
from meshc_proxy.policy.moment import Moment
from meshc_proxy.policy.tokens import KeySet
from meshc_proxy.wire.events import Headers, RequestHead
from meshc_proxy.wire.spiffe import SpiffeId

ISSUER = TokenIssuer.create()
PROGRAM = """
namespace shop
service web in shop
service ops in shop
service cart in shop { port 8080 http port 8081 http port 5432 tcp }
access cart:8080 {
  deny anyone to /admin/**
  allow web to GET, POST /orders/**
  allow ops
}
access cart:8081 { allow web when claim "team" == "blue" }
access cart:5432 { allow web }
authenticate cart {
  port 8081 mtls strict
  jwt corp { issuer "https://idp" audiences "cart" jwks file "/etc/keys" required }
}
"""
LIMITED = """
namespace shop
service web in shop
service ops in shop
service cart in shop { port 8080 http }
access cart { allow web, ops to /orders/** }
rate-limit cart { 1/s burst 2 per source to POST }
"""
NOW = Moment(wall=1_000_000_000.0, steady=0.0)


def peer(name: str | None) -> Peer:
    identity = None if name is None else SpiffeId.parse(f"spiffe://cluster.local/ns/shop/sa/{name}")
    return Peer(identity=identity, address="10.0.0.9")


def head(path: str = "/orders/1", method: str = "GET", headers: Headers = ()) -> RequestHead:
    return RequestHead(
        stream=1,
        method=method.encode(),
        scheme=b"http",
        authority=b"cart",
        path=path.encode(),
        headers=headers,
        ends=True,
    )


@pytest.fixture(scope="module")
def limited() -> Snapshot:
    return build_snapshot(compile_mesh(LIMITED), "shop", "cart")


def status(found: Inbound) -> int | str:
    match found:
        case Forward():
            return 200
        case Answer():
            return found.reply.status
        case Refuse():
            return "refused"


def open_snapshot() -> Snapshot:
    """Cart without tokens, so that every request is judged by access alone."""
    program = PROGRAM[: PROGRAM.index("authenticate")].replace(' when claim "team" == "blue"', "")
    return build_snapshot(compile_mesh(program), "shop", "cart")


PATHS = [
    "/orders/1",
    "/orders/1?a=b",
    "/admin/x",
    "//admin/x",
    "/x/../admin/x",
    "/%61dmin/x",
    "/admin%2fx",
    "/x",
    "/orders/%00",
    "/a#b",
]


def test_decisions_are_the_evaluators() -> None:
    snapshot = open_snapshot()
    evaluator = Evaluator(snapshot.evaluator.mesh)
    seen = set()
    for name in ("web", "ops", "cart", None):
        for method in ("GET", "POST", "DELETE"):
            for path in PATHS:
                caller = peer(name)
                identity = None if caller.identity is None else str(caller.identity)
                request = Request(
                    identity=identity,
                    namespace="shop",
                    service="cart",
                    port=8080,
                    method=method,
                    path=path,
                    host="cart",
                )
                expected = evaluator.decide(request)
                found = status(decide_inbound(snapshot, 8080, head(path, method), caller, NOW))
                seen.add(found)
                if expected.allowed:
                    assert found == 200
                else:
                    assert found == (expected.status or "refused")
    assert seen == {200, 400, 403, "refused"}


def test_what_was_judged_is_what_is_forwarded() -> None:
    found = decide_inbound(open_snapshot(), 8080, head("/x/../orders//%31?q=/../x"), peer("web"), NOW)
    assert isinstance(found, Forward)
    assert found.head.path == b"/orders/1?q=/../x"


def test_identity_headers_are_ours() -> None:
    spoofed = (
        (b"x-forwarded-client-cert", b"URI=spiffe://cluster.local/ns/shop/sa/ops"),
        (b"x-envoy-original-path", b"/"),
    )
    found = decide_inbound(open_snapshot(), 8080, head(headers=spoofed), peer("web"), NOW)
    assert isinstance(found, Forward)
    assert found.head.headers == (
        (b"x-forwarded-for", b"10.0.0.9"),
        (b"x-forwarded-proto", b"http"),
        (
            b"x-forwarded-client-cert",
            b"By=spiffe://cluster.local/ns/shop/sa/cart;URI=spiffe://cluster.local/ns/shop/sa/web",
        ),
    )


def token(**claims: str) -> Headers:
    signed = ISSUER.sign({"iss": "https://idp", "exp": int(NOW.wall) + 60, **claims})
    return ((b"authorization", b"Bearer " + signed.encode()),)


def test_tokens_come_before_rules_and_after_the_connection() -> None:
    keys = {8081: {"corp": KeySet.read(ISSUER.jwks)}}
    snapshot = build_snapshot(compile_mesh(PROGRAM), "shop", "cart", keys)

    def ask(headers: Headers, name: str | None = "web") -> int | str:
        return status(decide_inbound(snapshot, 8081, head(headers=headers), peer(name), NOW))

    assert ask(token(aud="cart", team="blue")) == 200
    assert ask(token(aud="cart", team="red")) == 403
    assert ask(token(aud="other", team="blue")) == 401
    assert ask(token(team="blue")) == 401
    assert ask(()) == 401
    assert ask(((b"authorization", b"Bearer x.y.z"),)) == 401
    assert ask(((b"authorization", b"Bearer x.y.z"),), None) == "refused"
    assert ask(token(aud="cart", team="blue"), "ops") == 403
    without_keys = build_snapshot(compile_mesh(PROGRAM), "shop", "cart")
    assert (
        status(decide_inbound(without_keys, 8081, head(headers=token(aud="cart", team="blue")), peer("web"), NOW))
        == 401
    )


def test_a_verified_token_is_not_forwarded_unless_told() -> None:
    keys = {8081: {"corp": KeySet.read(ISSUER.jwks)}}
    snapshot = build_snapshot(compile_mesh(PROGRAM), "shop", "cart", keys)
    found = decide_inbound(snapshot, 8081, head(headers=token(aud="cart", team="blue")), peer("web"), NOW)
    assert isinstance(found, Forward)
    assert b"authorization" not in dict(found.head.headers)


def test_limits_come_last_and_count_each_source(limited: Snapshot) -> None:
    def ask(name: str, steady: float, path: str = "/orders/1", method: str = "POST") -> int | str:
        return status(decide_inbound(limited, 8080, head(path, method), peer(name), Moment(wall=0.0, steady=steady)))

    assert [ask("web", 0.0, "/elsewhere") for _ in range(5)] == [403] * 5
    assert [ask("web", 0.0) for _ in range(3)] == [200, 200, 429]
    assert [ask("web", 0.0, method="GET") for _ in range(3)] == [200] * 3
    assert ask("ops", 0.0) == 200
    assert ask("web", 1.0) == 200
    assert ask("web", 1.0) == 429


def test_connections_are_judged_by_identity() -> None:
    snapshot = open_snapshot()
    assert decide_connection(snapshot, 5432, peer("web")).allowed
    assert not decide_connection(snapshot, 5432, peer("ops")).allowed
    assert not decide_connection(snapshot, 5432, peer(None)).allowed
    assert not decide_connection(snapshot, 8080, peer("web")).allowed
    assert not decide_connection(snapshot, 1, peer("web")).allowed


def test_unknown_ports_and_workloads() -> None:
    snapshot = open_snapshot()
    assert status(decide_inbound(snapshot, 9999, head(), peer("web"), NOW)) == 404
    with pytest.raises(LookupError):
        build_snapshot(compile_mesh(PROGRAM), "shop", "nobody")
