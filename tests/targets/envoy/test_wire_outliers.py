"""Ejection of failing endpoints: on what, for how long, and who is asked meanwhile."""

import asyncio
import time
from typing import Final

import pytest

from envoy_lab import Lab, RunLab
from envoy_wire import PLAIN, always, eventually, wait_for
from meshc.engine.stubs import Reply, Stub

pytestmark = pytest.mark.slow

EJECTION_S: Final = 2.0

OUTLIERS: Final = (
    PLAIN
    + """
service cart in shop
profile eject(share: percent) { outlier-detection { consecutive-5xx 3 interval 100ms ejection 2s max-ejected $share } }
service orders in plain {
  port 80 http
  endpoint "10.0.4.20:15010"
  endpoint "10.0.4.21:15010"
  endpoint "10.0.4.22:15010"
}
service gateway in plain {
  port 80 http
  endpoint "10.0.4.30:15010"
  endpoint "10.0.4.31:15010"
}
service half in plain {
  port 80 http
  endpoint "10.0.4.40:15010"
  endpoint "10.0.4.41:15010"
  endpoint "10.0.4.42:15010"
  endpoint "10.0.4.43:15010"
}
service calls in plain {
  port 80 grpc
  endpoint "10.0.4.50:15010"
  endpoint "10.0.4.51:15010"
}
traffic orders uses eject(100%) {}
traffic half uses eject(50%) {}
traffic calls uses eject(100%) {}
traffic gateway {
  outlier-detection { consecutive-gateway-errors 3 interval 100ms ejection 2s max-ejected 100% }
}
"""
)


def test_ejection(run_lab: RunLab) -> None:
    """Three failures in a row put an endpoint aside for its time, after which it is asked again."""

    async def scenario(lab: Lab) -> None:
        every = ("10.0.4.20", "10.0.4.21", "10.0.4.22")
        await wait_for(lab, "orders", every)
        begun = time.monotonic()
        lab.stub("10.0.4.20").reply = always(Reply(status=500))
        await wait_for(lab, "orders", every[1:])
        assert len(lab.stub("10.0.4.20").requests) >= 3
        lab.stub("10.0.4.20").reply = always(Reply())
        await wait_for(lab, "orders", every)
        assert time.monotonic() - begun >= EJECTION_S - 0.1

    run_lab(OUTLIERS, scenario)


def test_nobody_left(run_lab: RunLab) -> None:
    """With every endpoint aside nobody is asked, not even as a last resort; a share that must stay stays."""

    async def scenario(lab: Lab) -> None:
        cart = lab.outbound("cart")
        three = [lab.stub(f"10.0.4.2{n}") for n in range(3)]
        four = [lab.stub(f"10.0.4.4{n}") for n in range(4)]
        for stub in (*three, *four):
            stub.reply = always(Reply(status=503))

        async def asked(stubs: list[Stub], host: str) -> list[int]:
            for stub in stubs:
                stub.requests.clear()
            assert await lab.tally(cart, 12, host=host, at_once=1) == {"-503": 12}
            return sorted(len(stub.requests) for stub in stubs)

        async def is_left(stubs: list[Stub], host: str, expected: list[int]) -> bool:
            return await asked(stubs, host) == expected

        await asyncio.gather(
            eventually(lambda: is_left(three, "orders", [0, 0, 0])),
            eventually(lambda: is_left(four, "half", [0, 0, 6, 6])),
        )
        for _ in range(10):
            assert (await asked(four, "half"))[-2] > 0
            await asyncio.sleep(0.05)
        for stub in three:
            stub.reply = always(Reply())
        await wait_for(lab, "orders", [stub.name for stub in three])

    run_lab(OUTLIERS, scenario)


def test_what_counts(run_lab: RunLab) -> None:
    """Refused connections count, gRPC failures too, and gateway errors alone where those are counted."""

    async def scenario(lab: Lab) -> None:
        cart = lab.outbound("cart")
        lab.stub("10.0.4.30").reply = always(Reply(status=500))
        for _ in range(3):
            assert await lab.tally(cart, 12, host="gateway", at_once=1) == {"-500": 6, "10.0.4.31": 6}
            await asyncio.sleep(0.1)
        lab.stub("10.0.4.30").reply = always(Reply(status=502))
        lab.stub("10.0.4.50").reply = always(Reply(grpc_status=14))
        await lab.stop("10.0.4.20")

        async def is_aside() -> bool:
            lab.stub("10.0.4.50").requests.clear()
            for _ in range(4):
                await lab.call(cart, "/shop.Calls/Get", host="calls")
            return not lab.stub("10.0.4.50").requests

        await asyncio.gather(
            wait_for(lab, "gateway", ["10.0.4.31"]),
            wait_for(lab, "orders", ["10.0.4.21", "10.0.4.22"]),
            eventually(is_aside),
        )

    run_lab(OUTLIERS, scenario)
