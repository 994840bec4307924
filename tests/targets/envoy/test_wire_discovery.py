"""Where callers find endpoints: by DNS, by name and by address; and traffic to servers outside the mesh."""

import time
from typing import Final

import pytest

from envoy_lab import Lab, RunLab, served_by, status
from envoy_wire import PLAIN, always, in_turn
from meshc.engine.http_server import Abort
from meshc.engine.stubs import Protocol, Reply

pytestmark = pytest.mark.slow


def test_found_by_dns(run_lab: RunLab) -> None:
    """A name stands for whatever it is looked up to be, and the ports are those of the sidecars there."""
    program = (
        PLAIN
        + """
    service cart in shop
    service found in inside { port 80 http target 8080 port 81 http target 8081 discover dns "localhost" }
    """
    )

    async def scenario(lab: Lab) -> None:
        cart = lab.outbound("cart")
        assert served_by(await lab.get(cart, "/", host="found")) == "inside.found"
        assert served_by(await lab.get(cart, "/", host="found:81")) == "inside.found"
        assert [len(lab.stubs["inside", "found", port].requests) for port in (80, 81)] == [1, 1]

    run_lab(program, scenario)


def test_endpoints(run_lab: RunLab) -> None:
    """Endpoints by address and by name, with and without a sidecar, of several ports; and nowhere is nowhere."""
    program = (
        PLAIN
        + """
    service cart in shop
    service named in inside { port 80 http target 8080 endpoint "localhost:15020" }
    service mixed in plain {
      port 80 http target 8080
      port 81 http target 8081
      endpoint "10.0.0.30:15030"
      endpoint "10.0.4.31:15040"
    }
    service nowhere in inside { port 80 http discover static }
    """
    )

    async def scenario(lab: Lab) -> None:
        cart = lab.outbound("cart")
        assert served_by(await lab.get(cart, "/", host="named")) == "127.0.0.1"
        for host in ("mixed", "mixed:81"):
            assert await lab.tally(cart, 10, host=host, at_once=1) == {"10.0.0.30": 5, "10.0.4.31": 5}, host
        assert await lab.tally(cart, 3, host="nowhere") == {"-503": 3}

    run_lab(program, scenario)


OUTSIDE: Final = (
    PLAIN
    + """
service cart in shop
service orders in plain { port 80 http endpoint "10.0.4.20:15010" }
external stripe in shop { host "api.stripe.com" port 443 https }
external http in shop { host "plain.example" port 80 http }
external other in shop { host "other.example" port 443 https }
access stripe { allow cart }
access http { allow cart }
access other { allow cart }
traffic stripe {
  timeout 1s
  retry 2 on 503, reset { backoff 1ms..2ms }
  set request header "x-from" "cart"
  route /broken { retry never }
}
traffic http { circuit-breaker { requests 2 } fault abort 501 for 100% when header "x-chaos" is present }
traffic other { tls { sni "sni.example" } }
traffic orders { route /pay/** -> stripe { rewrite path "/v1/**" rewrite host "api.stripe.com" } }
"""
)

SERVERS: Final = {
    "api.stripe.com": Protocol.HTTPS,
    "plain.example": Protocol.HTTP,
    "other.example": Protocol.HTTPS,
}


def test_outside(run_lab: RunLab) -> None:
    """Externals are retried, timed and changed like services, and verified all the while."""

    async def scenario(lab: Lab) -> None:
        cart, stripe, plain = lab.outbound("cart"), lab.externals["api.stripe.com"], lab.externals["plain.example"]
        stripe.reply = in_turn(Reply(status=503), Reply(abort=Abort.BEFORE_HEADERS))
        assert served_by(await lab.get(cart, "/v1", host="api.stripe.com")) == "api.stripe.com"
        assert [seen.sni for seen in stripe.requests] == ["api.stripe.com"] * 3
        assert {seen.request.header(b"x-from") for seen in stripe.requests} == {b"cart"}
        stripe.reply = in_turn(Reply(status=503))
        assert status(await lab.get(cart, "/broken", host="api.stripe.com")) == 503

        stripe.reply = always(Reply(delay_s=2.5))
        begun = time.monotonic()
        assert status(await lab.get(cart, "/", host="api.stripe.com")) == 504
        assert time.monotonic() - begun < 2.4

        stripe.reply = always(Reply())
        stripe.requests.clear()
        assert served_by(await lab.get(cart, "/pay/charge?a=b")) == "api.stripe.com"
        request = stripe.requests[0].request
        assert (request.path, request.header(b":authority") or request.header(b"host")) == (
            b"/v1/charge?a=b",
            b"api.stripe.com",
        )
        assert served_by(await lab.get(cart, "/other")) == "10.0.4.20"

        assert status(await lab.get(cart, "/", host="plain.example", headers=((b"x-chaos", b""),))) == 501
        plain.reply = always(Reply(delay_s=0.8))
        assert await lab.tally(cart, 6, host="plain.example", at_once=6) == {"plain.example": 2, "-503": 4}

        assert status(await lab.get(cart, "/", host="other.example")) == 503
        assert lab.externals["other.example"].requests == []

    run_lab(OUTSIDE, scenario, externals=SERVERS)
