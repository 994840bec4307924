"""Slow clients: closed at their limits, while others are served, and none of them costs much."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import h2.events
import pytest

from h2_wire import H2Wire
from meshc.engine.exchange import Answered, Http1Request, Peer
from meshc_proxy.io.sidecar import Sidecar
from meshc_proxy.wire.limits import Http1Limits, Http2Limits, ServerLimits
from proxy_lab import Lab, Wire, resident_bytes, until

pytestmark = pytest.mark.slow

SHOP = """namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http }
service soft in shop { port 80 http }
access cart { allow web }
access soft { allow anyone }
authenticate soft { mtls permissive }
traffic cart { route /idle { idle-timeout 300ms } }
"""
GET = b"GET / HTTP/1.1\r\nHost: cart.shop\r\n\r\n"
SHORT = ServerLimits(
    first_seconds=0.3,
    http1=Http1Limits(head_seconds=0.4, idle_seconds=0.5),
    http2=Http2Limits(head_seconds=0.4, idle_seconds=0.5),
)
CONNECTIONS = 800
STREAMS = 40
MOST_PER_STREAM = 1024 * 1024
"""Of the application, which is in this process, and of both proxies: each has 64 KiB to read, to hold, to encrypt, and to write."""


@asynccontextmanager
async def limited(lab: Lab, service: str) -> AsyncIterator[Sidecar]:
    """A service's proxy, with short limits."""
    await lab.sidecar(service).stop()
    sidecar = Sidecar(lab.sidecar(service).setup, sink=lab.records.append, count=lab.refused.append, limits=SHORT)
    await sidecar.start()
    try:
        yield sidecar
    finally:
        await sidecar.stop()


async def closes_after(lab: Lab, peer: Peer, *parts: bytes, pause_s: float = 0.1) -> tuple[float, bytes]:
    """How long it takes until a client that sends so slowly is closed, and what it is told."""
    loop = asyncio.get_running_loop()
    async with await lab.open(peer) as wire:
        began = loop.time()
        reading = asyncio.create_task(wire.rest(5.0))
        for part in parts:
            if reading.done():
                break
            await wire.send(part)
            await asyncio.sleep(pause_s)
        found, closed = await reading
        assert closed
        return loop.time() - began, found


def test_clients_that_say_too_little(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        async with limited(lab, "soft") as sidecar:
            peer = lab.inbound("soft", None)
            drops = tuple(bytes([one]) for one in GET * 3)
            async with asyncio.TaskGroup() as group:
                silent = group.create_task(closes_after(lab, peer))
                dripped = group.create_task(closes_after(lab, peer, *drops))
                half = group.create_task(closes_after(lab, peer, GET[:-2]))
                preface = group.create_task(closes_after(lab, peer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
                idle = group.create_task(closes_after(lab, peer, GET))
                for _ in range(5):
                    assert (await lab.get(peer, host="soft.shop")).status == 200
            for task, least, most in (
                (silent, 0.25, 1.0),
                (dripped, 0.25, 1.5),
                (half, 0.3, 1.2),
                (preface, 0.3, 1.2),
                (idle, 0.45, 1.5),
            ):
                assert least < task.result()[0] < most
            assert silent.result()[1] == b""
            assert half.result()[1].startswith(b"HTTP/1.1 408")
            assert idle.result()[1].startswith(b"HTTP/1.1 200")
            assert len(lab.stubs["soft"].requests) == 6
            assert not sidecar.requests
            # Who is told, and stays, is not waited for for ever.
            async with await lab.open(peer) as wire:
                await wire.send(GET[:-2])
                assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 408")
                await until(lambda: not sidecar.active, 4.0)

    run(SHOP, scenario)


def test_bodies_that_stop(run: Callable[..., None]) -> None:
    """A body that stops is given up at the route's idle timeout; the application sees it cut, and others are served."""

    async def scenario(lab: Lab) -> None:
        cut = asyncio.Event()

        async def application(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"half")
            await reader.read()
            cut.set()

        await lab.serve("cart", application)
        post = b"POST /idle HTTP/1.1\r\nHost: cart.shop\r\nContent-Length: 8\r\n\r\nhalf"
        async with await lab.open(lab.outbound("web")) as wire:
            began = asyncio.get_running_loop().time()
            await wire.send(post)
            head = await wire.until(b"\r\n\r\n")
            assert head.split()[1] in {b"408", b"504"}
            assert 0.25 < asyncio.get_running_loop().time() - began < 1.5
            await asyncio.wait_for(cut.wait(), 1.0)
        await lab.settle()
        assert (await lab.record("outbound")).flags in {"SI", "UT"}

    run(SHOP, scenario)


def test_readers_that_stop(run: Callable[..., None]) -> None:
    """An answer that nobody reads is given up at the idle timeout: its application is let go."""

    async def scenario(lab: Lab) -> None:
        gone = asyncio.Event()

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                while True:
                    writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
                    await writer.drain()
            finally:
                gone.set()

        await lab.serve("cart", application)
        async with await lab.open(lab.outbound("web")) as raw, H2Wire(raw.reader, raw.writer, credit=False) as wire:
            await wire.request("/idle")
            await asyncio.wait_for(gone.wait(), 3.0)
            await wire.event(h2.events.StreamReset)
            await lab.settle()
            assert (await lab.record("outbound")).flags == "SI"
        async with await lab.open(lab.outbound("web")) as wire1:
            gone.clear()
            await wire1.send(b"GET /idle HTTP/1.1\r\nHost: cart.shop\r\n\r\n")
            await asyncio.wait_for(gone.wait(), 3.0)
            await until(lambda: not lab.sidecar("web").active, 5.0)
            assert (await lab.record("outbound", 2)).flags == "SI"

    run(SHOP, scenario)


def test_slow_readers_cost_little(run: Callable[..., None]) -> None:
    """Forty streams that nobody reads, through both proxies: each holds what its windows hold, and others are served."""

    async def scenario(lab: Lab) -> None:
        block = b"10000\r\n" + bytes(65536) + b"\r\n"

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/quick" in head:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await reader.read()
                return
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(200):
                writer.write(block)
                await writer.drain()

        await lab.serve("cart", application)
        peer = lab.outbound("web")
        assert (await lab.get(peer, "/quick")).status == 200
        gc.collect()
        tracemalloc.start()
        async with await lab.open(peer) as raw, H2Wire(raw.reader, raw.writer, credit=False) as wire:
            for _ in range(STREAMS):
                await wire.request("/big")
            await asyncio.sleep(1.0)
            held, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert held < STREAMS * MOST_PER_STREAM
            assert peak < 2 * STREAMS * MOST_PER_STREAM
            outcome = await asyncio.wait_for(
                lab.send(Http1Request(method=b"GET", path=b"/quick", host=b"cart.shop"), peer), 2.0
            )
            assert isinstance(outcome, Answered)
            assert outcome.status == 200
        await lab.settle()

    run(SHOP, scenario)


def test_idle_connections_cost_little(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        peer = lab.inbound("soft", None)
        request = GET.replace(b"cart", b"soft")
        async with AsyncExitStack() as stack:
            wires: list[Wire] = []
            before = resident_bytes()
            for _ in range(CONNECTIONS):
                wire = await stack.enter_async_context(await lab.open(peer))
                wires.append(wire)
                # Whoever says nothing at all is not waited for.
                await wire.send(request)
                await wire.until(b"\r\n\r\n")
            held = resident_bytes() - before
            # Both ends are in this process, and those to the application.
            assert held < 3 * CONNECTIONS * 64 * 1024
            assert lab.sidecar("soft").active >= CONNECTIONS
            began = asyncio.get_running_loop().time()
            assert (await lab.get(peer, host="soft.shop")).status == 200
            assert asyncio.get_running_loop().time() - began < 1.0
        await until(lambda: not lab.sidecar("soft").active, 5.0)

    run(SHOP, scenario)
