"""Injected faults: delays and aborts strike the share and the requests that they are meant for, and no others.

Where chance decides, the bounds are more than six standard deviations wide.
"""

import asyncio
import time
from typing import Final

import pytest

from envoy_lab import Lab, RunLab, grpc_status, served_by, status
from envoy_wire import PLAIN, always
from meshc.engine.exchange import Answered
from meshc.engine.http_server import Headers
from meshc.engine.stubs import Reply

pytestmark = pytest.mark.slow

DELAY_S: Final = 0.6

FAULTS: Final = (
    PLAIN
    + """
service cart in shop
service orders in inside { port 80 http target 8080 }
service calls in plain { port 80 grpc endpoint "10.0.4.20:15010" }
service rest in plain { port 80 http endpoint "10.0.4.21:15010" }
traffic orders {
  route /delay { fault delay 600ms for 100% }
  route /abort { fault abort 418 for 100% }
  route /both { fault delay 600ms for 100% fault abort 503 for 100% }
  route /some { fault abort 503 for 25% }
  route /few { fault abort 503 for 0.5% }
  route /late { fault delay 600ms for 30% }
  route /header { fault abort 503 for 100% when header "x-chaos" == "yes" }
  route /query { fault abort 503 for 100% when query "chaos" is present }
  route /either {
    fault abort 501 for 100% when header "x-chaos" == "yes"
    fault delay 600ms for 100% when not header "x-calm" is present and query "late" == "1"
  }
  route /half { fault abort 503 for 50% when header "x-chaos" == "yes" }
  route /timeout { timeout 150ms fault delay 600ms for 100% }
  route /retried { retry 3 on 503 { backoff 1ms..2ms } fault abort 503 for 100% }
}
traffic calls {
  route rpc shop.Calls/Abort { fault abort 503 for 100% }
  route rpc shop.Calls/Delay { fault delay 600ms for 100% }
}
traffic rest { fault abort 503 for 100% route /spared }
"""
)

CHAOS: Final[Headers] = ((b"x-chaos", b"yes"),)


async def strikes(lab: Lab, path: str, headers: Headers = ()) -> tuple[int | None, bool]:
    """The status of a request to `orders`, and whether it was held up."""
    begun = time.monotonic()
    outcome = await lab.get(lab.outbound("cart"), path, headers=headers)
    assert isinstance(outcome, Answered)
    assert (outcome.status == 200) == (outcome.served_by == "inside.orders")
    return outcome.status, time.monotonic() - begun >= DELAY_S - 0.1


def test_conditions(run_lab: RunLab) -> None:
    """Each fault strikes the requests that it names, alone or together with another; an abort reaches nobody."""

    async def scenario(lab: Lab) -> None:
        cases: list[tuple[str, Headers, int, bool]] = [
            ("/delay", (), 200, True),
            ("/abort", (), 418, False),
            ("/both", (), 503, True),
            ("/other", (), 200, False),
            ("/header", (), 200, False),
            ("/header", CHAOS, 503, False),
            ("/header", ((b"x-chaos", b"no"),), 200, False),
            ("/header", ((b"x-chaos", b"no"), *CHAOS), 503, False),
            ("/query", (), 200, False),
            ("/query?chaos", (), 503, False),
            ("/query?a=b&chaos=", (), 503, False),
            ("/query?chaotic", (), 200, False),
            ("/either", (), 200, False),
            ("/either", CHAOS, 501, False),
            ("/either?late=1", (), 200, True),
            ("/either?late=1", CHAOS, 501, True),
            ("/either?late=1", (*CHAOS, (b"x-calm", b"")), 501, False),
            ("/either?late=2", (), 200, False),
        ]
        for path, headers, expected, is_late in cases:
            lab.stubs["inside", "orders", 80].requests.clear()
            assert await strikes(lab, path, headers) == (expected, is_late), (path, headers)
            assert len(lab.stubs["inside", "orders", 80].requests) == (1 if expected == 200 else 0), (path, headers)

        cart = lab.outbound("cart")
        assert status(await lab.get(cart, "/", host="rest")) == 503
        assert status(await lab.get(cart, "/spared", host="rest")) == 503

    run_lab(FAULTS, scenario)


def test_shares(run_lab: RunLab) -> None:
    """The shares of aborts and delays, conditions included."""

    async def scenario(lab: Lab) -> None:
        cart = lab.outbound("cart")
        for path, headers, count, least, most in (
            ("/some", (), 600, 80, 225),
            ("/few", (), 600, 0, 25),
            ("/half", CHAOS, 400, 130, 270),
            ("/half", (), 100, 0, 0),
        ):
            found = await lab.tally(cart, count, path, headers=headers)
            assert least <= found["-503"] <= most, (path, found)
            assert found["-503"] + found["inside.orders"] == count
        late = [one for _ in range(4) for one in await asyncio.gather(*(strikes(lab, "/late") for _ in range(25)))]
        assert {code for code, _ in late} == {200}
        assert 2 <= sum(is_late for _, is_late in late) <= 62

    run_lab(FAULTS, scenario)


def test_calls(run_lab: RunLab) -> None:
    """gRPC calls get a status of their own kind."""

    async def scenario(lab: Lab) -> None:
        cart = lab.outbound("cart")
        outcome = await lab.call(cart, "/shop.Calls/Abort", host="calls")
        assert (status(outcome), grpc_status(outcome), served_by(outcome)) == (200, 14, None)
        begun = time.monotonic()
        assert grpc_status(await lab.call(cart, "/shop.Calls/Delay", host="calls")) == 0
        assert time.monotonic() - begun >= DELAY_S - 0.1
        assert grpc_status(await lab.call(cart, "/shop.Calls/Get", host="calls")) == 0

    run_lab(FAULTS, scenario)


def test_other_settings(run_lab: RunLab) -> None:
    """A fault is the network's: it strikes once, before the timeout and the tries of the request begin."""

    async def scenario(lab: Lab) -> None:
        orders = lab.stubs["inside", "orders", 80]
        assert await strikes(lab, "/timeout") == (200, True)
        assert await strikes(lab, "/retried") == (503, False)
        assert [seen.request.path for seen in orders.requests] == [b"/timeout"]
        orders.reply = always(Reply(delay_s=0.5))
        assert await strikes(lab, "/timeout") == (504, True)

    run_lab(FAULTS, scenario)
