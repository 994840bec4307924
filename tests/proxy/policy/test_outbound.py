"""What a workload's own calls become: the evaluator's routes, and the head that leaves."""

from collections import Counter

import pytest

from envoy_lab import compile_mesh
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc_proxy.policy.inbound import Snapshot, build_snapshot
from meshc_proxy.policy.outbound import AnswerLater, Outbound, Send, decide_outbound
from meshc_proxy.wire.events import Headers, RequestHead

PROGRAM = """
namespace shop
service web in shop
service cart in shop {
  port 8080 http
  version v1
  version v2
}
service plain in shop { port 8080 http }
external bank in shop { host "api.bank.com" port 443 https }
access cart { allow web }
access bank { allow web to GET }
traffic cart {
  timeout 2s
  split cart@v1 75%, cart@v2 25%
  route GET /old/** { redirect "/new" status 301 }
  route GET /fixed { respond 204 }
  route GET /slow -> cart@v2 { fault delay 100ms for 50% when header "x-late" == "1" }
  route GET /broken -> cart@v1 { fault abort 503 for 100% }
  route GET /items/{id} -> cart@v1 { rewrite path "/things/{id}" set request header "x-via" "mesh" }
}
"""


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return build_snapshot(compile_mesh(PROGRAM), "shop", "web")


def head(path: str, method: str = "GET", headers: Headers = ()) -> RequestHead:
    return RequestHead(
        stream=1,
        method=method.encode(),
        scheme=b"http",
        authority=b"cart",
        path=path.encode(),
        headers=headers,
        ends=True,
    )


def call(
    snapshot: Snapshot,
    path: str,
    chance: float = 0.0,
    *,
    to: str = "cart",
    port: int = 8080,
    method: str = "GET",
    headers: Headers = (),
) -> Outbound:
    return decide_outbound(snapshot, ("shop", to, port), head(path, method, headers), lambda: chance)


def test_routes_are_the_evaluators(snapshot: Snapshot) -> None:
    evaluator = Evaluator(snapshot.evaluator.mesh)
    for path in ("/", "/old/x", "/fixed", "/broken", "/items/1", "/items/1/2", "//items/%31", "/admin%2f", "/slow"):
        request = Request(
            identity=snapshot.workload.identity,
            namespace="shop",
            service="cart",
            port=8080,
            method="GET",
            path=path,
            host="cart",
        )
        expected = evaluator.decide(request)
        found = call(snapshot, path)
        assert (None if found.route is None else found.route.span) == expected.route
        assert (found.reply.status if isinstance(found, AnswerLater) else None) == expected.status


def test_a_redirect_keeps_host_and_query(snapshot: Snapshot) -> None:
    found = call(snapshot, "/old/x?a=b")
    assert isinstance(found, AnswerLater)
    assert found.reply.headers == ((b"location", b"http://cart/new?a=b"),)


def test_weights(snapshot: Snapshot) -> None:
    chosen: Counter[str | None] = Counter()
    for step in range(100):
        found = call(snapshot, "/", step / 100)
        assert isinstance(found, Send)
        assert found.settings.timeout_ms == 2000
        chosen[found.destination.version] += 1
    assert chosen == {"v1": 75, "v2": 25}


def test_faults_strike_their_share(snapshot: Snapshot) -> None:
    late = ((b"x-late", b"1"),)
    assert [call(snapshot, "/slow", chance, headers=late).delay_ms for chance in (0.0, 0.49, 0.5, 0.99)] == [
        100,
        100,
        0,
        0,
    ]
    found = call(snapshot, "/broken", 0.999)
    assert isinstance(found, AnswerLater)
    assert (found.reply.status, found.reply.body) == (503, b"fault filter abort")


def test_what_leaves_is_rewritten_and_clean(snapshot: Snapshot) -> None:
    spoofed = ((b"x-envoy-retry-on", b"5xx"), (b"x-forwarded-client-cert", b"URI=a"), (b"x", b"y"))
    found = call(snapshot, "/a/../items/7?q=1", headers=spoofed)
    assert isinstance(found, Send)
    assert found.head.path == b"/things/7?q=1"
    assert found.head.headers == ((b"x", b"y"), (b"x-via", b"mesh"))


def test_externals_are_judged_by_the_caller(snapshot: Snapshot) -> None:
    assert isinstance(call(snapshot, "/", to="bank", port=443), Send)
    refused = call(snapshot, "/", to="bank", port=443, method="POST")
    assert isinstance(refused, AnswerLater)
    assert refused.reply.status == 403


def test_a_port_without_routes_and_one_that_is_unknown(snapshot: Snapshot) -> None:
    found = call(snapshot, "/x", to="plain")
    assert isinstance(found, Send)
    assert found.destination.service == "plain"
    unknown = call(snapshot, "/x", to="nobody")
    assert isinstance(unknown, AnswerLater)
    assert unknown.reply.status == 404


COPIED = """
namespace shop
service web in shop
service cart in shop { port 8080 http }
external log in shop { host "log.example" port 80 http }
access cart { allow web }
access log { deny web to /private/**  allow web }
traffic cart { route GET /** -> cart { mirror 100% to log } }
"""


@pytest.mark.parametrize(("path", "copies"), [("/open", 1), ("/private/x", 0), ("/open/../private/x", 0)])
def test_copies_go_where_requests_may_go(path: str, copies: int) -> None:
    decided = call(build_snapshot(compile_mesh(COPIED), "shop", "web"), path)
    assert isinstance(decided, Send)
    assert decided.destination.service == "cart"
    assert len(decided.mirrors) == copies
