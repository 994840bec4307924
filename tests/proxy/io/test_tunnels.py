"""Connections of bytes: TCP and TLS that is not ours, through both sidecars, and WebSockets."""

import asyncio
from collections.abc import Callable

import h2.events
import pytest

from h2_wire import H2Wire, status_of
from meshc.engine.exchange import Greeted, Line, Tls
from proxy_lab import Lab, held_bytes

pytestmark = pytest.mark.slow

SHOP = """namespace shop
service web in shop { port 80 http }
service other in shop { port 80 http }
service db in shop { port 5432 tcp }
service box in shop { port 443 tls }
service chat in shop { port 80 http }
access db { allow web }
access box { allow anyone  deny anyone when sni == "secret.example" }
access chat { allow web to GET /chat }
traffic chat { timeout 300ms }
"""
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ASK = (
    b"GET /chat HTTP/1.1\r\nHost: chat.shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"
)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def chat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A WebSocket server that agrees and echoes."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert b"\r\nupgrade: websocket\r\n" in head
    assert b"\r\nsec-websocket-key: " in head
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )
    await echo(reader, writer)


def test_bytes_go_both_ways_and_each_end_closes_by_itself(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        seen: list[bytes] = []

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.read())
            writer.write(b"late")
            writer.write_eof()
            await asyncio.sleep(0.1)

        await lab.serve("db", application)
        async with await lab.open(lab.outbound("web", "db")) as wire:
            await wire.send(b"question")
            wire.half_close()
            assert await wire.rest() == (b"late", True)
        assert seen == [b"question"]
        if lab.engine == "proxy":
            record = await lab.record("inbound")
            assert (record.source, record.bytes_in, record.bytes_out) == (lab.workload("web").identity, 8, 4)

    run(SHOP, scenario)
    run(SHOP, scenario, "envoy")


def test_who_may_not_connect_gets_nothing(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        assert isinstance(await lab.send(Line(), lab.inbound("db", "web")), Greeted)
        for caller in ("other", None):
            assert not isinstance(await lab.send(Line(), lab.inbound("db", caller)), Greeted)
        assert not isinstance(await lab.send(Line(), lab.outbound("other", "db")), Greeted)
        assert len(lab.stubs["db"].connections) == 1

    run(SHOP, scenario)
    run(SHOP, scenario, "envoy")


def test_a_slow_reader_of_bytes_stops_the_writer(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        written = 0

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            await reader.read(1)
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                written += 65536

        await lab.serve("db", application)
        async with await lab.open(lab.outbound("web", "db")) as wire:
            await wire.send(b"?")
            await asyncio.sleep(0.5)
            assert 0 < written < held_bytes()

    run(SHOP, scenario)


def test_a_connection_that_breaks_is_not_taken_for_whole(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"half of it")
            await writer.drain()
            lab.reset(writer)

        await lab.serve("db", application)
        async with await lab.open(lab.outbound("web", "db")) as wire:
            await wire.send(b"?")
            try:
                # A clean end would be an empty read.
                while await asyncio.wait_for(wire.reader.read(100), 3.0):
                    pass
            except ConnectionError:
                return
            pytest.fail("ended as if it were whole")

    run(SHOP, scenario)


@pytest.mark.parametrize("engine", ["proxy", "envoy"])
def test_tls_that_is_the_applications_own(run: Callable[..., None], engine: str) -> None:
    async def scenario(lab: Lab) -> None:
        security = Tls(trust=lab.scene.placed.bundle, server_name="box")
        peer = lab.at(lab.outbound("web", "box"), security)
        assert await lab.send(Line(), peer) == Greeted(served_by="shop.box")
        assert lab.stubs["box"].connections[0].sni == "box"
        hidden = lab.at(peer, Tls(trust=lab.scene.placed.bundle, server_name="secret.example"))
        assert not isinstance(await lab.send(Line(), hidden), Greeted)
        assert await lab.talk(lab.outbound("web", "box"), b"GET / HTTP/1.1\r\n\r\n") == (b"", True)
        assert len(lab.stubs["box"].connections) == 1

    run(SHOP, scenario, engine)


@pytest.mark.parametrize("engine", ["proxy", "envoy"])
def test_websockets_are_carried_once_they_are_allowed(run: Callable[..., None], engine: str) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.serve("chat", chat)
        async with await lab.open(lab.outbound("web")) as wire:
            await wire.send(ASK)
            head = (await wire.until(b"\r\n\r\n")).lower()
            assert head.startswith(b"http/1.1 101 ")
            assert b"\r\nupgrade: websocket\r\n" in head
            assert b"\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n" in head
            for number in range(3):
                # The route's timeout does not count once it is upgraded.
                await asyncio.sleep(0.15)
                await wire.send(b"\x81\x02h%d" % number)
                assert await wire.until(b"h%d" % number)
        async with await lab.open(lab.inbound("chat", "other")) as wire:
            await wire.send(ASK)
            assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 403 ")
        async with await lab.open(lab.outbound("web")) as wire:
            await wire.send(ASK.replace(b"/chat", b"/away"))
            assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 403 ")

    run(SHOP, scenario, engine)


def test_bytes_before_the_upgrade_is_granted_wait(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.serve("chat", chat)
        async with await lab.open(lab.outbound("web")) as wire:
            await wire.send(ASK + b"\x81\x02hi")
            assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await wire.until(b"hi") == b"\x81\x02hi"

    run(SHOP, scenario)


def test_an_upgrade_that_the_application_refuses_is_an_ordinary_answer(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        heads: list[bytes] = []

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        await lab.serve("chat", application)
        async with await lab.open(lab.outbound("web")) as wire:
            await wire.send(ASK + b"GET /other HTTP/1.1\r\nHost: chat.shop\r\n\r\n")
            assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            await wire.rest(0.3)
        assert [head.split(b" ")[1] for head in heads] == [b"/chat"]

    run(SHOP, scenario)


def test_websockets_over_http2_reach_an_http1_application(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.serve("chat", chat)
        streams = await lab.open(lab.outbound("web"))
        async with H2Wire(streams.reader, streams.writer) as client:
            fields = (("sec-websocket-version", "13"), (":protocol", "websocket"))
            stream = await client.connect("/chat", "chat.shop", fields)
            assert status_of(await client.event(h2.events.ResponseReceived, stream)) == 200
            for word in (b"one", b"two"):
                await client.data(stream, word)
                await client.until(lambda word=word: client.body(stream).endswith(word))
            await client.data(stream, b"", ends=True)
            await client.event(h2.events.StreamEnded, stream)

    run(SHOP, scenario)
