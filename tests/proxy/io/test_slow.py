"""Peers that are slow on purpose: each limit of time ends them, nobody else waits, and memory stays flat."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from http2_traces import HELLO, frame
from meshc_proxy.wire.frames import Kind
from proxy_lab import Lab, open_descriptors

pytestmark = pytest.mark.slow

SHOP = """namespace shop
service web in shop { port 80 http }
service plain in shop { port 80 http }
access plain { allow anyone }
authenticate plain { mtls off }
"""
MANY = 300
MOST_EACH = 256 * 1024


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_heads_that_do_not_come_are_not_waited_for(run: Callable[..., None]) -> None:
    """All at once, since each takes ten seconds; in between others are served."""

    async def scenario(lab: Lab) -> None:
        peer = lab.inbound("plain", None)
        loop = asyncio.get_running_loop()

        async def wait(*parts: bytes) -> tuple[bytes, int]:
            begun = loop.time()
            async with await lab.open(peer) as wire:
                for part in parts:
                    await wire.send(part)
                    await asyncio.sleep(0.5)
                came, closed = await wire.rest(14.0)
                assert closed, parts
            return came[:12], round(loop.time() - begun)

        drops = [b"GET / HTTP/1.1\r\nHost: a\r\n", *(b"x-%d: y\r\n" % number for number in range(12))]
        unfinished = HELLO + frame(Kind.HEADERS, 0, 1, b"\x82")
        waits = asyncio.gather(
            wait(b""),
            wait(b"GET / HTT"),
            wait(*drops),
            wait(HELLO[:30]),
            wait(unfinished),
            wait(HELLO + unfinished[24:]),
        )
        while not waits.done():
            assert (await lab.get(peer, host="plain.shop")).status == 200
            await asyncio.sleep(0.5)
        silent, begun, dropping, preface, header, _ = await waits
        assert silent == (b"", 5)
        assert begun == (b"HTTP/1.1 408", 10)
        assert dropping == (b"HTTP/1.1 408", 10)
        assert preface[1] == 10
        assert header[1] in {10, 11}
        assert lab.sidecar("plain").requests == 0

    run(SHOP, scenario)


def test_many_slow_bodies_and_readers_hold_up_nobody(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if b"POST" in await reader.readuntil(b"\r\n\r\n"):
                await reader.read()
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
            for _ in range(100):
                writer.write(b"x" * 100_000)
                await writer.drain()

        await lab.serve("plain", application)
        peer = lab.inbound("plain", None)
        before, files = resident_bytes(), open_descriptors()
        wires = [await lab.open(peer) for _ in range(MANY)]
        for number, wire in enumerate(wires):
            method = b"POST" if number % 2 else b"GET"
            await wire.send(method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (1000 * (number % 2)))
        await asyncio.sleep(1.0)
        grown = resident_bytes() - before
        # Clients, proxy and application are all in this process.
        assert grown / MANY < 2 * MOST_EACH, grown
        for wire in wires:
            Lab.reset(wire.writer)
        await lab.settle()
        await asyncio.sleep(0.2)
        assert open_descriptors() <= files + 10
        assert {one.flags for one in lab.records} == {"DC"}
        assert len(lab.records) == MANY

    run(SHOP, scenario)
