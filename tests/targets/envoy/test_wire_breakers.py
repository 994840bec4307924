"""Circuit breakers as a caller's Envoy keeps them: what is over a bound is answered 503 at once, and below it all is well."""

import asyncio
import time
from collections import Counter
from typing import Final

import pytest

from envoy_lab import Lab, RunLab, grpc_status, served_by, status
from envoy_wire import PLAIN, always
from meshc.engine.exchange import Answered
from meshc.engine.stubs import Reply

pytestmark = pytest.mark.slow

SLOW_S: Final = 0.8

BOUNDS: Final = (
    PLAIN
    + """
service cart in shop
service orders in plain { port 80 http endpoint "10.0.4.20:15010" }
service queue in plain { port 80 http endpoint "10.0.4.21:15010" }
service streams in plain { port 80 http2 endpoint "10.0.4.22:15010" }
service calls in plain { port 80 grpc endpoint "10.0.4.23:15010" }
service retried in plain { port 80 http endpoint "10.0.4.24:15010" }
service free in plain { port 80 http endpoint "10.0.4.25:15010" }
service sealed in inside { port 80 http target 8080 endpoint "10.0.0.30:15010" }
traffic orders { circuit-breaker { requests 3 } }
traffic queue { circuit-breaker { connections 1 pending 2 } }
traffic streams { circuit-breaker { requests 3 } }
traffic calls { circuit-breaker { requests 3 } }
traffic retried { circuit-breaker { retries 2 } retry 3 on 503 { backoff 1ms..2ms } }
traffic sealed { circuit-breaker { requests 3 } }
"""
)

ADDRESSES: Final = {
    "orders": "10.0.4.20",
    "queue": "10.0.4.21",
    "streams": "10.0.4.22",
    "calls": "10.0.4.23",
    "retried": "10.0.4.24",
    "free": "10.0.4.25",
    "sealed": "10.0.0.30",
}


async def at_once(lab: Lab, host: str, count: int) -> Counter[str | None]:
    """Who answers that many requests sent together: the stub with 200, or the caller's own sidecar with 503."""
    outcomes = await asyncio.gather(*(lab.get(lab.outbound("cart"), "/", host=host) for _ in range(count)))
    assert all(status(one) == (503 if served_by(one) is None else 200) for one in outcomes), outcomes
    return Counter(served_by(one) for one in outcomes)


def test_bounds(run_lab: RunLab) -> None:
    """Each bound lets through what it says and answers the rest without delay, and closes again."""

    async def scenario(lab: Lab) -> None:
        for address in ADDRESSES.values():
            lab.stub(address).reply = always(Reply(delay_s=SLOW_S))
        bounded = ("orders", "streams", "sealed")
        found = await asyncio.gather(*(at_once(lab, host, 12) for host in (*bounded, "free")))
        assert found == [*({ADDRESSES[host]: 3, None: 9} for host in bounded), {ADDRESSES["free"]: 12}]
        assert [len(lab.stub(ADDRESSES[host]).requests) for host in bounded] == [3, 3, 3]
        for host, address in ADDRESSES.items():
            lab.stub(address).reply = always(Reply())
            assert await at_once(lab, host, 1) == {address: 1}, host

    run_lab(BOUNDS, scenario)


def test_quick_refusals(run_lab: RunLab) -> None:
    """What is refused does not wait for what is under way; to gRPC it is `unavailable`."""

    async def scenario(lab: Lab) -> None:
        cart, calls = lab.outbound("cart"), lab.stub(ADDRESSES["calls"])
        calls.reply = always(Reply(delay_s=SLOW_S))
        under_way = [asyncio.create_task(lab.call(cart, "/shop.Calls/Get", host="calls")) for _ in range(3)]
        await calls.wait_requests(3)
        refused = await lab.call(cart, "/shop.Calls/Get", host="calls")
        assert not any(one.done() for one in under_way)
        assert isinstance(refused, Answered)
        assert (refused.status, refused.grpc_status, refused.served_by) == (200, 14, None)
        assert [grpc_status(one) for one in await asyncio.gather(*under_way)] == [0, 0, 0]
        assert grpc_status(await lab.call(cart, "/shop.Calls/Get", host="calls")) == 0

    run_lab(BOUNDS, scenario)


def test_connections(run_lab: RunLab) -> None:
    """One connection at most: two requests wait for it in their queue and are answered in turn, more are refused."""

    async def scenario(lab: Lab) -> None:
        queue = lab.stub(ADDRESSES["queue"])
        queue.reply = always(Reply(delay_s=SLOW_S))
        begun = time.monotonic()
        # A request that waits for its connection to be made is pending too, so the first comes alone.
        first = asyncio.create_task(at_once(lab, "queue", 1))
        await queue.wait_requests(1)
        assert await at_once(lab, "queue", 10) == {ADDRESSES["queue"]: 2, None: 8}
        assert await first == {ADDRESSES["queue"]: 1}
        assert time.monotonic() - begun >= 3 * SLOW_S - 0.1

    run_lab(BOUNDS, scenario)


def test_retries(run_lab: RunLab) -> None:
    """No more than two retries at once; who may not retry gets the answer that there was."""

    async def scenario(lab: Lab) -> None:
        retried = lab.stub(ADDRESSES["retried"])
        retried.reply = always(Reply(status=503, delay_s=SLOW_S / 2))
        outcomes = await asyncio.gather(*(lab.get(lab.outbound("cart"), "/", host="retried") for _ in range(20)))
        assert {served_by(one) for one in outcomes} == {ADDRESSES["retried"]}
        # 20 first tries, then two at a time where 80 tries would be without the bound.
        assert 21 <= len(retried.requests) <= 40

    run_lab(BOUNDS, scenario)
