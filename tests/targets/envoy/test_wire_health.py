"""Active health checks: an endpoint that says no, says nothing or is gone gets no requests."""

import asyncio
from collections.abc import Callable
from typing import Final

import pytest

from envoy_lab import Lab, RunLab
from envoy_wire import PLAIN, always, wait_for
from meshc.engine.http_server import HttpRequest
from meshc.engine.stubs import Reply

pytestmark = pytest.mark.slow

CHECKED: Final = (
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
service calls in plain {
  port 80 grpc
  endpoint "10.0.4.40:15010"
  endpoint "10.0.4.41:15010"
}
profile checked { health-check GET /ready { interval 100ms timeout 300ms healthy 2 unhealthy 2 } }
traffic orders uses checked {}
traffic sealed uses checked {}
traffic calls uses checked {}
"""
)


def ready(status: int, delay_s: float = 0.0) -> Callable[[HttpRequest], Reply]:
    """Nothing but the health check gets this answer."""
    return lambda request: Reply(status=status, delay_s=delay_s) if request.path == b"/ready" else Reply()


def test_health_checks(run_lab: RunLab) -> None:
    """An endpoint that says no, or nothing, gets no requests until it says yes again."""

    async def check(lab: Lab, host: str, first: str, second: str) -> None:
        await wait_for(lab, host, [first, second])
        for reply in (ready(503), ready(200, delay_s=1.0)):
            lab.stub(first).reply = reply
            await wait_for(lab, host, [second])
            lab.stub(first).reply = always(Reply())
            await wait_for(lab, host, [first, second])
        checks = [seen.request for seen in lab.stub(second).requests if seen.request.path == b"/ready"]
        assert {one.method for one in checks} == {b"GET"}
        assert {one.protocol for one in checks} == {"HTTP/2" if host == "calls" else "HTTP/1.1"}

    async def scenario(lab: Lab) -> None:
        await asyncio.gather(
            check(lab, "orders", "10.0.4.20", "10.0.4.21"),
            check(lab, "sealed", "10.0.0.30", "10.0.0.31"),
            check(lab, "calls", "10.0.4.40", "10.0.4.41"),
        )

    run_lab(CHECKED, scenario)


def test_dead_endpoints(run_lab: RunLab) -> None:
    """A sidecar that is gone, and an application gone behind its sidecar; with nobody left nobody is asked."""

    async def scenario(lab: Lab) -> None:
        await lab.stop("10.0.0.30")
        await wait_for(lab, "sealed", ["10.0.0.31"])
        await lab.start("10.0.0.30")
        await wait_for(lab, "sealed", ["10.0.0.30", "10.0.0.31"])
        await lab.stub("10.0.0.31").stop()
        await wait_for(lab, "sealed", ["10.0.0.30"])
        lab.stub("10.0.0.30").reply = ready(500)
        await wait_for(lab, "sealed", ["-503"])
        lab.stub("10.0.0.30").requests.clear()
        assert await lab.tally(lab.outbound("cart"), 6, host="sealed") == {"-503": 6}
        assert {seen.request.path for seen in lab.stub("10.0.0.30").requests} <= {b"/ready"}

    run_lab(CHECKED, scenario)
