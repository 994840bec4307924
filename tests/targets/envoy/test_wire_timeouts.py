"""Timeouts as a caller's Envoy keeps them: the one of a route, of silence, of connecting; and none where none is written."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Iterator
from typing import Final

import pytest

from envoy_lab import Lab, RunLab, compile_mesh, grpc_status, served_by, status
from envoy_wire import PLAIN, always, full_queue
from meshc.engine.connections import Connector
from meshc.engine.exchange import Outcome
from meshc.engine.stubs import Reply
from meshc.target import Json
from meshc_envoy import emit

pytestmark = pytest.mark.slow

LATE_S: Final = 2.0
"""When the stubs answer: after every timeout here, and before the client gives up."""

EARLY_S: Final = 0.05
"""How much earlier than it should a timer may seem to fire, since a busy loop looks at the clock seldom."""

HURRY: Final = (
    (b"x-envoy-upstream-rq-timeout-ms", b"100"),
    (b"x-envoy-upstream-rq-per-try-timeout-ms", b"100"),
    (b"x-envoy-retry-on", b"5xx"),
    (b"x-envoy-max-retries", b"3"),
)

SLOW: Final = (
    PLAIN
    + """
service cart in shop
service orders in inside { port 80 http target 8080 }
service streams in plain { port 80 http2 endpoint "10.0.4.21:15010" }
service calls in plain { port 80 grpc endpoint "10.0.4.22:15010" }
service deaf in plain { port 80 http endpoint "10.0.4.23:15010" }
service patient in plain { port 80 http endpoint "10.0.4.24:15010" }
traffic orders {
  route /whole { timeout 300ms }
  route /tries { timeout 300ms retry 20 on 503 { backoff 50ms..100ms } }
  route /per-try { timeout 500ms retry 20 on 5xx { per-try 100ms backoff 1ms..2ms } }
  route /idle { idle-timeout 300ms }
  route /socket { timeout 300ms }
}
traffic streams { timeout 300ms }
traffic calls {
  timeout 300ms
  route rpc shop.Calls/Slow { timeout 60s }
}
traffic deaf { connect-timeout 300ms }
"""
)


async def timed(sending: Awaitable[Outcome]) -> tuple[Outcome, float]:
    begun = time.monotonic()
    return await sending, time.monotonic() - begun


def test_routes(run_lab: RunLab) -> None:
    """A timeout covers all tries and their backoff, and answers 504; without one an answer may take its time."""

    async def scenario(lab: Lab) -> None:
        cart, orders = lab.outbound("cart"), lab.stubs["inside", "orders", 80]
        orders.reply = always(Reply(delay_s=LATE_S))
        whole, idle, late = await asyncio.gather(
            timed(lab.get(cart, "/whole")), timed(lab.get(cart, "/idle")), timed(lab.get(cart, "/other"))
        )
        for outcome, took in (whole, idle):
            assert status(outcome) == 504
            assert 0.3 - EARLY_S <= took < LATE_S
        assert (status(late[0]), served_by(late[0])) == (200, "inside.orders")
        assert late[1] >= LATE_S - EARLY_S

        # What applications write into Envoy's own headers is not obeyed.
        hurried = await lab.get(cart, "/other", headers=HURRY)
        assert status(hurried) == 200
        orders.reply = always(Reply(status=503))
        orders.requests.clear()
        assert status(await lab.get(cart, "/other", headers=HURRY)) == 503
        assert len(orders.requests) == 1
        assert not [name for name, _ in orders.requests[0].request.headers if name.startswith(b"x-envoy-")]

        orders.requests.clear()
        outcome, took = await timed(lab.get(cart, "/tries"))
        assert status(outcome) == 504
        assert 0.3 - EARLY_S <= took < LATE_S
        assert len(orders.requests) > 1

        orders.reply = always(Reply(delay_s=LATE_S))
        orders.requests.clear()
        outcome, took = await timed(lab.get(cart, "/per-try"))
        assert status(outcome) == 504
        assert 0.5 - EARLY_S <= took < LATE_S
        assert 2 <= len(orders.requests) <= 6

        for host, call in (("streams", lab.get2), ("calls", lab.get2)):
            lab.stubs["plain", host, 80].reply = always(Reply(delay_s=LATE_S))
            outcome, took = await timed(call(cart, "/", host=host))
            assert status(outcome) == 504, outcome
            assert 0.3 - EARLY_S <= took < LATE_S

    run_lab(SLOW, scenario)


def test_calls(run_lab: RunLab) -> None:
    """gRPC calls get the status for it, and a caller's own deadline does not lengthen what the program says."""

    async def scenario(lab: Lab) -> None:
        cart, calls = lab.outbound("cart"), lab.stubs["plain", "calls", 80]
        calls.reply = always(Reply(delay_s=LATE_S))
        for headers in ((), ((b"grpc-timeout", b"60S"),)):
            outcome, took = await timed(lab.call(cart, "/shop.Calls/Get", host="calls", headers=headers))
            assert (status(outcome), grpc_status(outcome)) == (200, 4), outcome
            assert 0.3 - EARLY_S <= took < LATE_S
        outcome, took = await timed(lab.call(cart, "/shop.Calls/Slow", host="calls"))
        assert (status(outcome), grpc_status(outcome)) == (200, 0)
        assert took >= LATE_S - EARLY_S

    run_lab(SLOW, scenario)


def test_connections(run_lab: RunLab) -> None:
    """An endpoint that does not answer the handshake is given up in time."""

    async def scenario(lab: Lab) -> None:
        await lab.stop("10.0.4.23")
        with socket.socket() as listener, full_queue(listener, ("10.0.4.23", 15010)):
            outcome, took = await timed(lab.get(lab.outbound("cart"), "/", host="deaf"))
        assert status(outcome) == 503
        assert 0.3 - EARLY_S <= took < LATE_S

    run_lab(SLOW, scenario)


def test_upgraded(run_lab: RunLab) -> None:
    """A WebSocket outlives the timeout of its route, which is for the server to accept it."""

    async def scenario(lab: Lab) -> None:
        cart = lab.outbound("cart")
        head = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        streams = await Connector().connect(cart, ())
        streams.writer.write(b"GET /socket HTTP/1.1\r\nHost: orders\r\n" + head + key)
        assert (await streams.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        for _ in range(2):
            await asyncio.sleep(0.5)
            streams.writer.write(b"still here")
            assert await streams.reader.readexactly(10) == b"still here"
        streams.writer.close()

        lab.stubs["inside", "orders", 80].reply = always(Reply(delay_s=LATE_S))
        upgrade = b"GET /socket HTTP/1.1\r\nHost: orders\r\n" + head + key
        outcome, took = await timed(lab.raw(cart, upgrade))
        assert status(outcome) == 504
        assert 0.3 - EARLY_S <= took < LATE_S

    run_lab(SLOW, scenario)


def test_defaults() -> None:
    """No route of any sidecar keeps Envoy's own limit of 15 s."""
    emission = emit(compile_mesh(PLAIN + "service cart in shop\nservice orders in inside { port 80 http }"))
    routes = [found for one in emission.documents for found in _find(one.resources[0], "route")]
    times = {(one["timeout"], one["idle_timeout"]) for one in routes if isinstance(one, dict)}
    assert times == {("0s", "0s")}
    idle = [found for one in emission.documents for found in _find(one.resources[0], "stream_idle_timeout")]
    assert set(map(str, idle)) == {"0s"}


def _find(value: Json, name: str) -> Iterator[Json]:
    match value:
        case dict():
            for key, inner in value.items():
                if key == name:
                    yield inner
                yield from _find(inner, name)
        case list():
            for inner in value:
                yield from _find(inner, name)
        case _:
            pass
