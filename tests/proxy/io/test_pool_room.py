"""Connections to upstreams: whose they are, how many there are, and what becomes of those that make room."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from meshc.ir import Destination
from meshc.site import Address
from meshc_proxy.io.pool import HTTP1, HTTP2, ConnectError, Endpoint, Pool
from meshc_proxy.io.upstreams import Upstreams
from meshc_proxy.wire.events import End, RequestHead
from proxy_lab import Lab

pytestmark = pytest.mark.slow

SHOP = """namespace shop
service web in shop { port 80 http }
"""
PLACE = Address(host="127.9.9.9", port=8000)
HEAD = RequestHead(stream=0, method=b"GET", scheme=b"http", authority=b"x", path=b"/", headers=(), ends=True)


def test_pools_that_make_room(run: Callable[..., None]) -> None:
    """The one that was used the longest ago goes: its idle connection is closed, and what is under way finishes."""

    async def scenario(lab: Lab) -> None:
        setup = lab.sidecar("web").setup
        upstreams = Upstreams(setup.mesh, setup.site, setup.secrets, most_pools=2)
        to = Destination(namespace="shop", service="web", port=80)
        ended = asyncio.Event()
        answer = asyncio.Event()

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await answer.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await reader.read()
            ended.set()
            writer.close()

        server = await asyncio.start_server(application, PLACE.host, PLACE.port)
        one = Endpoint(address=PLACE, protocols=(HTTP1,), server_name="a.example")
        first = upstreams.pool(to, one)
        other = upstreams.pool(to, replace(one, server_name="b.example"))
        assert other is not first
        exchange, driver = await first.begin(HEAD)
        assert upstreams.pool(to, one) is first
        upstreams.pool(to, replace(one, server_name="c.example"))
        assert upstreams.pool(to, one) is first
        assert upstreams.pool(to, replace(one, server_name="b.example")) is not other
        upstreams.pool(to, replace(one, server_name="d.example"))
        assert upstreams.pool(to, one) is not first
        answer.set()
        while not isinstance(await exchange.receive(), End):
            pass
        driver.forget(exchange)
        await asyncio.wait_for(ended.wait(), 2.0)
        await upstreams.abort()
        server.close()

    run(SHOP, scenario)


def test_requests_that_wait_together_fail_together(run: Callable[..., None]) -> None:
    """Ten requests to a place that answers nothing wait for one connection's time, not for ten."""

    async def scenario(lab: Lab) -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, PLACE.host, PLACE.port)
        secrets = lab.sidecar("web").setup.secrets
        pool = Pool(Endpoint(address=PLACE, protocols=(HTTP2,), secure=lambda: secrets.call((HTTP2,)), connect_s=0.3))
        began = time.monotonic()
        found = await asyncio.gather(*(pool.begin(HEAD) for _ in range(10)), return_exceptions=True)
        assert all(isinstance(one, ConnectError) for one in found)
        assert time.monotonic() - began < 1.0
        await pool.abort()
        server.close()

    run(SHOP, scenario)
