"""Connections to upstreams: whose they are, how many there are, and what becomes of those that make room."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import h2.events
import pytest

from h2_wire import H2Wire, h2_application
from http2_traces import frame
from meshc.ir import Destination
from meshc.site import Address
from meshc_proxy.io import pool as pool_module
from meshc_proxy.io.pool import HTTP1, HTTP2, ConnectError, Endpoint, Pool
from meshc_proxy.io.setup import prepare
from meshc_proxy.io.upstreams import Upstreams
from meshc_proxy.wire.events import End, RequestHead
from proxy_lab import Lab, until

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


FEED = """namespace shop
service web in shop { port 80 http }
service feed in shop { port 80 http2 }
access feed { allow web }
traffic feed { retry 1 on 5xx { backoff 300ms..600ms } }
"""


def test_a_retry_after_a_reload_leaves_no_connection_behind(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        asked = 0

        async def application(wire: H2Wire) -> None:
            nonlocal asked
            request = await wire.event(h2.events.RequestReceived, timeout_s=10.0)
            asked += 1
            status = "503" if asked == 1 else "200"
            wire.h2.send_headers(request.stream_id, [(":status", status)], end_stream=True)
            await wire.flush()
            await wire.until(lambda: False, 10.0)

        await lab.serve("feed", h2_application(application))
        sidecar, server = lab.sidecar("web"), lab.sidecar("feed")
        call = asyncio.create_task(lab.get(lab.outbound("web"), host="feed.shop"))
        await until(lambda: asked > 0, 3.0)
        for one in (sidecar, server):
            await one.reload(prepare(one.setup.mesh, one.setup.site, one.setup))
        assert (await call).status == 200
        await until(lambda: not server.active, 3.0)

    run(FEED, scenario)


def test_a_burst_is_kept_in_part(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "MOST_IDLE", 3)

    async def scenario(lab: Lab) -> None:
        opened, ended = 0, 0

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal opened, ended
            await reader.readuntil(b"\r\n\r\n")
            opened += 1
            await until(lambda: opened == 10, 3.0)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await reader.read()
            ended += 1
            writer.close()

        server = await asyncio.start_server(application, PLACE.host, PLACE.port)
        pool = Pool(Endpoint(address=PLACE, protocols=(HTTP1,)))
        for exchange, driver in await asyncio.gather(*(pool.begin(HEAD) for _ in range(10))):
            while not isinstance(await exchange.receive(), End):
                pass
            driver.forget(exchange)
        await until(lambda: ended == 7, 2.0)
        await pool.abort()
        server.close()

    run(SHOP, scenario)


def test_a_connection_that_takes_no_requests_is_not_kept(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        began, ended = 0, 0

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal began, ended
            began += 1
            writer.write(frame(4, payload=b"\x00\x03\x00\x00\x00\x00"))  # no streams at once
            while await reader.read(65536):
                pass
            ended += 1
            writer.close()

        await lab.silence("web")
        server = await asyncio.start_server(application, PLACE.host, PLACE.port)
        pool = Pool(Endpoint(address=PLACE, protocols=(HTTP2,)))
        for count in range(3):
            exchange, driver = await pool.begin(HEAD)
            await until(lambda driver=driver: not driver.connection.free_streams, 2.0)
            driver.forget(exchange)
            await until(lambda: ended == began, 2.0)
            assert began == count + 1
        await pool.abort()
        server.close()

    run(SHOP, scenario)
