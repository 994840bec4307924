"""Mirrors: a copy is the request as it was sent on, and nobody notices what becomes of it."""

import asyncio
from typing import Final

import pytest

from envoy_lab import Lab, RunLab, served_by, status
from envoy_wire import PLAIN, always
from meshc.engine.exchange import Answered
from meshc.engine.stubs import Reply

pytestmark = pytest.mark.slow

COPIED: Final = (
    PLAIN
    + """
service cart in shop
service orders in plain {
  port 80 http
  version v1
  version v2
  endpoint "10.0.4.20:15010" { version v1 }
  endpoint "10.0.4.21:15010" { version v2 }
}
service sealed in inside { port 80 http target 8080 endpoint "10.0.0.30:15010" }
service audit in inside { port 80 http target 8080 endpoint "10.0.0.31:15010" }
service closed in inside { port 80 http target 8080 endpoint "10.0.0.32:15010" }
access closed { allow cart to GET /open }
traffic orders {
  split orders@v1 100%
  route /all { mirror 100% to orders@v2 }
  route /part { mirror 30% to orders@v2 }
  route /both { mirror 100% to orders@v2 mirror 100% to audit }
  route /changed {
    set request header "x-new" "1"
    rewrite path "/rewritten"
    rewrite host "elsewhere.example"
    mirror 100% to orders@v2
  }
}
traffic sealed { mirror 100% to audit }
traffic audit { mirror 100% to closed }
"""
)


def test_copies(run_lab: RunLab) -> None:
    """A copy is the request as it was sent on, costs the caller nothing, and asks for access like any other."""

    async def scenario(lab: Lab) -> None:
        cart, main, copy = lab.outbound("cart"), lab.stub("10.0.4.20"), lab.stub("10.0.4.21")
        headers = ((b"x-user", b"ada"), (b"x-user", b"bob"))
        for path in ("/all?a=b&c", "/changed?a=b"):
            outcome = await lab.get(cart, path, method="POST", headers=headers, body=b"cart" * 2000)
            assert served_by(outcome) == main.name
        await copy.wait_requests(2)
        for seen, copied in zip(main.requests, copy.requests, strict=True):
            one, other = seen.request, copied.request
            assert (one.method, one.path, one.body) == (other.method, other.path, other.body)
            same = (b"host", b"x-user", b"x-new", b"x-forwarded-proto", b"x-request-id")
            assert [h for h in one.headers if h[0] in same] == [h for h in other.headers if h[0] in same]
        assert copy.requests[0].request.header(b"host") == b"orders"
        assert copy.requests[1].request.header(b"host") == b"elsewhere.example"
        assert (copy.requests[1].request.path, copy.requests[1].request.header(b"x-new")) == (b"/rewritten?a=b", b"1")

        assert served_by(await lab.get(cart, "/both")) == main.name
        await copy.wait_requests(3)
        await lab.stub("10.0.0.31").wait_requests(1)
        assert served_by(await lab.get(cart, "/", host="sealed")) == "10.0.0.30"
        await lab.stub("10.0.0.31").wait_requests(2)
        assert lab.stub("10.0.0.31").requests[1].request.header(b"host") == b"sealed"

        for path in ("/open", "/shut", "/open"):
            assert served_by(await lab.get(cart, path, host="audit")) == "10.0.0.31"
        await lab.stub("10.0.0.32").wait_requests(2)
        assert [seen.request.path for seen in lab.stub("10.0.0.32").requests] == [b"/open", b"/open"]

    run_lab(COPIED, scenario)


def test_copies_do_no_harm(run_lab: RunLab) -> None:
    """Slow, failing and dead copies change no answer and delay none; shares of them are kept."""

    async def scenario(lab: Lab) -> None:
        cart, main, copy = lab.outbound("cart"), lab.stub("10.0.4.20"), lab.stub("10.0.4.21")
        for reply in (Reply(delay_s=5), Reply(status=500)):
            copy.reply = always(reply)
            outcome = await lab.get(cart, "/all")
            assert (status(outcome), served_by(outcome)) == (200, main.name)
        main.reply = always(Reply(status=404))
        assert status(await lab.get(cart, "/all")) == 404
        main.reply = always(Reply())
        await copy.wait_requests(3)

        copy.reply = always(Reply())
        copy.requests.clear()
        assert await lab.tally(cart, 600, "/part") == {main.name: 600}
        await copy.wait_requests(105)
        # Nobody waits for copies, and some may still be under way.
        await asyncio.sleep(0.2)
        assert len(copy.requests) <= 255

        await lab.stop("10.0.4.21")
        outcome = await lab.get(cart, "/all")
        assert isinstance(outcome, Answered)
        assert (outcome.status, outcome.served_by) == (200, main.name)

    run_lab(COPIED, scenario)
