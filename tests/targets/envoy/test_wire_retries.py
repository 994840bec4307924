"""Retries as a caller's Envoy does them: on what, how often, how fast, and never what has begun to be answered."""

import asyncio
import time
from typing import Final

import pytest

from envoy_lab import Lab, RunLab, grpc_status, is_cut, served_by, status
from envoy_wire import PLAIN, always, in_turn
from meshc.engine.exchange import Answered
from meshc.engine.http_server import Abort
from meshc.engine.stubs import Reply

pytestmark = pytest.mark.slow

ORDERS: Final = "10.0.4.20"
STREAMS: Final = "10.0.4.21"
CALLS: Final = "10.0.4.22"

CONDITIONS: Final = (
    PLAIN
    + """
profile brief(n: int = 2) { retry $n on 5xx { backoff 1ms..2ms } }
service cart in shop
service orders in plain { port 80 http endpoint "10.0.4.20:15010" }
service streams in plain { port 80 http2 endpoint "10.0.4.21:15010" }
service calls in plain { port 80 grpc endpoint "10.0.4.22:15010" }
traffic orders uses brief {
  route /gateway { retry 2 on gateway-error { backoff 1ms..2ms } }
  route /connect { retry 2 on connect-failure { backoff 1ms..2ms } }
  route /reset { retry 2 on reset { backoff 1ms..2ms } }
  route /conflict { retry 2 on retriable-4xx { backoff 1ms..2ms } }
  route /codes { retry 2 on 418, 503 { backoff 1ms..2ms } }
  route /mixed { retry 2 on retriable-4xx, gateway-error, 418 { backoff 1ms..2ms } }
  route /never { retry never }
}
traffic streams {
  route /default
  route /reset { retry 2 on reset { backoff 1ms..2ms } }
  route /refused { retry 2 on refused-stream { backoff 1ms..2ms } }
  route /gateway { retry 2 on gateway-error { backoff 1ms..2ms } }
}
traffic calls {
  route rpc shop.Calls/Cancelled { retry 2 on cancelled { backoff 1ms..2ms } }
  route rpc shop.Calls/Deadline { retry 2 on deadline-exceeded { backoff 1ms..2ms } }
  route rpc shop.Calls/Internal { retry 2 on internal { backoff 1ms..2ms } }
  route rpc shop.Calls/Resource { retry 2 on resource-exhausted { backoff 1ms..2ms } }
  route rpc shop.Calls/Unavailable { retry 2 on unavailable { backoff 1ms..2ms } }
}
"""
)

REPEATED_STATUSES: Final = {
    "/": {500, 501, 502, 503, 504, 599},
    "/gateway": {502, 503, 504},
    "/connect": set[int](),
    "/reset": set[int](),
    "/conflict": {409},
    "/codes": {418, 503},
    "/mixed": {409, 418, 502, 503, 504},
    "/never": set[int](),
}

REPEATED_CALLS: Final = {"Cancelled": 1, "Deadline": 4, "Internal": 13, "Resource": 8, "Unavailable": 14, "Other": None}


def test_conditions(run_lab: RunLab) -> None:
    """Each condition repeats what it names and nothing else, up to its number; the last answer is passed on."""

    async def scenario(lab: Lab) -> None:
        cart, orders = lab.outbound("cart"), lab.stub(ORDERS)
        for code in (200, 302, 404, 409, 418, 429, 500, 501, 502, 503, 504, 599):
            for path, repeated in REPEATED_STATUSES.items():
                orders.reply = always(Reply(status=code))
                orders.requests.clear()
                outcome = await lab.get(cart, path)
                assert status(outcome) == code, (path, outcome)
                assert served_by(outcome) == ORDERS
                assert len(orders.requests) == (3 if code in repeated else 1), (path, code)
        for path, repeats in (
            ("/reset", True),
            ("/gateway", True),
            ("/", True),
            ("/connect", False),
            ("/codes", False),
            ("/never", False),
        ):
            orders.requests.clear()
            orders.reply = in_turn(Reply(abort=Abort.BEFORE_HEADERS), Reply(abort=Abort.BEFORE_HEADERS))
            assert status(await lab.get(cart, path)) == (200 if repeats else 503), path
            assert len(orders.requests) == (3 if repeats else 1), path

        streams = lab.stub(STREAMS)
        for path, resets, refusals in (("/reset", 3, 3), ("/refused", 1, 3), ("/gateway", 3, 3), ("/default", 1, 1)):
            for abort, expected in ((Abort.BEFORE_HEADERS, resets), (Abort.REFUSE, refusals)):
                streams.requests.clear()
                streams.reply = always(Reply(abort=abort))
                assert status(await lab.get(cart, path, host="streams")) == 503
                assert len(streams.requests) == expected, (path, abort)

        calls = lab.stub(CALLS)
        for code in (1, 2, 4, 5, 7, 8, 13, 14):
            for method, own in REPEATED_CALLS.items():
                calls.requests.clear()
                calls.reply = always(Reply(grpc_status=code))
                outcome = await lab.call(cart, f"/shop.Calls/{method}", host="calls")
                assert grpc_status(outcome) == code
                assert len(calls.requests) == (3 if code == own else 1), (method, code)

    run_lab(CONDITIONS, scenario)


def test_what_is_sent_again(run_lab: RunLab) -> None:
    """The body goes again as a whole, a success ends it, and an answer that has begun is never asked for again."""

    async def scenario(lab: Lab) -> None:
        cart, orders, streams, calls = lab.outbound("cart"), lab.stub(ORDERS), lab.stub(STREAMS), lab.stub(CALLS)
        body = bytes(range(256)) * 1000
        orders.reply = in_turn(Reply(status=503), Reply(abort=Abort.BEFORE_HEADERS))
        outcome = await lab.get(cart, "/", method="POST", body=body)
        assert status(outcome) == 200
        assert [seen.request.body == body for seen in orders.requests] == [True, True, True]

        orders.requests.clear()
        orders.reply = in_turn(Reply(status=503))
        assert status(await lab.get(cart, "/")) == 200
        assert len(orders.requests) == 2

        for stub, host in ((orders, "orders"), (streams, "streams")):
            stub.requests.clear()
            stub.reply = in_turn(Reply(abort=Abort.AFTER_HEADERS))
            assert is_cut(await lab.get(cart, "/reset", host=host))
            assert len(stub.requests) == 1

        calls.reply = in_turn(Reply(grpc_status=14, has_begun=True))
        outcome = await lab.call(cart, "/shop.Calls/Unavailable", host="calls")
        assert grpc_status(outcome) == 14
        assert len(calls.requests) == 1

    run_lab(CONDITIONS, scenario)


ENDPOINTS: Final = (
    PLAIN
    + """
service cart in shop
service orders in plain {
  port 80 http
  endpoint "10.0.4.20:15010"
  endpoint "10.0.4.21:15010"
}
service sealed in inside {
  port 80 http target 8080
  endpoint "10.0.0.30:15010"
  endpoint "10.0.0.31:15010"
}
service slow in plain { port 80 http endpoint "10.0.4.25:15010" }
traffic orders {
  route /connect { retry 2 on connect-failure { backoff 1ms..2ms } }
  route /reset { retry 2 on reset { backoff 1ms..2ms } }
  route /codes { retry 2 on 418 { backoff 1ms..2ms } }
}
traffic sealed {
  route /5xx { retry 1 on 5xx { backoff 1ms..2ms } }
  route /connect { retry 1 on connect-failure { backoff 1ms..2ms } }
  route /reset { retry 1 on reset { backoff 1ms..2ms } }
}
traffic slow {
  route /try { retry 1 on 5xx { per-try 400ms backoff 1ms..2ms } }
  route /only { retry 1 on connect-failure { per-try 400ms } }
  route /wait { retry 1 on 503 { backoff 400ms..400ms } }
  route /most { retry 3 on 503 { backoff 1ms..2ms budget 20% } }
  route /all { retry 3 on 503 { backoff 1ms..2ms } }
}
"""
)


def test_other_endpoints(run_lab: RunLab) -> None:
    """What a dead endpoint or sidecar did not answer goes to another one, where the condition says so."""

    async def scenario(lab: Lab) -> None:
        cart = lab.outbound("cart")
        await lab.stop(ORDERS)
        assert await lab.tally(cart, 12, "/connect") == {"10.0.4.21": 12}
        assert await lab.tally(cart, 12, "/reset") == {"10.0.4.21": 12}
        for path in ("/codes", "/"):
            found = await lab.tally(cart, 12, path, at_once=1)
            assert set(found) == {"10.0.4.21", "-503"}, path
        await lab.start(ORDERS)
        assert set(await lab.tally(cart, 12)) == {ORDERS, "10.0.4.21"}

        # An application that breaks down behind its sidecar: that one answers 503, which is no reset to the caller.
        lab.stub("10.0.0.30").reply = always(Reply(abort=Abort.BEFORE_HEADERS))
        assert await lab.tally(cart, 12, "/5xx", host="sealed") == {"10.0.0.31": 12}
        assert set(await lab.tally(cart, 12, "/reset", host="sealed", at_once=1)) == {"10.0.0.31", "-503"}
        # A sidecar that dies with requests under way is one.
        lab.stub("10.0.0.30").reply = always(Reply(delay_s=30))
        under_way = asyncio.create_task(lab.tally(cart, 4, "/reset", host="sealed"))
        await lab.stub("10.0.0.30").wait_requests(13)
        await lab.stop("10.0.0.30")
        assert await under_way == {"10.0.0.31": 4}
        assert await lab.tally(cart, 12, "/connect", host="sealed") == {"10.0.0.31": 12}
        await lab.start("10.0.0.30")
        lab.stub("10.0.0.30").reply = always(Reply())
        assert set(await lab.tally(cart, 12, host="sealed")) == {"10.0.0.30", "10.0.0.31"}

    run_lab(ENDPOINTS, scenario)


def test_time_and_budget(run_lab: RunLab) -> None:
    """A try has its own time; tries wait for each other; and retries stay within their share of what is under way."""

    async def scenario(lab: Lab) -> None:
        cart, slow = lab.outbound("cart"), lab.stub("10.0.4.25")
        slow.reply = in_turn(Reply(delay_s=2.5))
        begun = time.monotonic()
        assert status(await lab.get(cart, "/try", host="slow")) == 200
        assert 0.35 <= time.monotonic() - begun < 2.4
        assert len(slow.requests) == 2
        slow.requests.clear()
        slow.reply = always(Reply(delay_s=2.5))
        assert status(await lab.get(cart, "/only", host="slow")) == 504
        assert len(slow.requests) == 1

        async def elapsed() -> float:
            begun = time.monotonic()
            outcome = await lab.get(cart, "/wait", host="slow")
            assert isinstance(outcome, Answered)
            return time.monotonic() - begun

        # Each waits a random time below 400 ms: that all of 40 wait less than 150 ms has a chance of 1e-17.
        slow.requests.clear()
        slow.reply = always(Reply(status=503))
        assert max(await asyncio.gather(*(elapsed() for _ in range(40)))) > 0.15
        assert len(slow.requests) == 80

        slow.reply = always(Reply(status=503, delay_s=0.3))
        for path, least, most in (("/all", 160, 160), ("/most", 43, 80)):
            slow.requests.clear()
            await asyncio.gather(*(lab.get(cart, path, host="slow") for _ in range(40)))
            assert least <= len(slow.requests) <= most, path

    run_lab(ENDPOINTS, scenario)
