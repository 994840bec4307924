"""Callers and applications that mean ill, where requests go on: nothing crashes, leaks, or says what it must not say."""

import asyncio
from collections.abc import Callable

import pytest

from h2_wire import H2Wire
from meshc_proxy.io import mirroring
from proxy_lab import Lab, open_descriptors, until

pytestmark = pytest.mark.slow

SHOP = """mesh shop { mtls strict }
namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http }
service copy in shop { port 80 http }
external sites in shop { host "*.example.org" port 443 https }
access cart { allow web }
access copy { allow web }
access sites { allow web }
traffic cart { route GET /copied/** -> cart { mirror 100% to copy } }
"""
GET = b"GET / HTTP/1.1\r\nHost: cart.shop\r\n\r\n"
SPOOFED = (
    b"x_forwarded_client_cert: By=spiffe://x/y\r\nx-forwarded-client-cert: By=spiffe://x/y\r\n"
    b"authorization: root\r\nx-checksum: 1\r\n"
)
PASSED = b"x-checksum: 1\r\n\r\n"


def test_a_name_that_no_server_has(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        got = await lab.get(lab.outbound("web"), host=f"{'x' * 64}.example.org")
        assert got.status == 503
        assert (await lab.record("outbound")).flags == "UF"

    run(SHOP, scenario)


def test_a_status_of_grpc_without_end_is_none(run: Callable[..., None]) -> None:
    async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nGrpc-Status: %b\r\nContent-Length: 0\r\n\r\n" % (b"9" * 5000))
        await writer.drain()
        await reader.read()

    async def scenario(lab: Lab) -> None:
        await lab.serve("cart", application)
        assert (await lab.get(lab.inbound("cart", "web"))).status == 200
        assert (await lab.record("inbound")).grpc_status is None

    run(SHOP, scenario)


@pytest.mark.parametrize("version", [1, 2])
def test_trailers_do_not_speak_for_the_proxy(run: Callable[..., None], version: int) -> None:
    seen = asyncio.Queue[bytes]()

    async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"\r\n0\r\n")
        seen.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def scenario(lab: Lab) -> None:
        await lab.serve("cart", application)
        place = lab.inbound("cart", "web")
        if version == 1:
            head = b"POST / HTTP/1.1\r\nHost: cart.shop\r\nTransfer-Encoding: chunked\r\n\r\n"
            await lab.talk(place, head + b"1\r\nx\r\n0\r\n" + SPOOFED + b"\r\n")
        else:
            wire = await lab.open(place, "h2")
            async with H2Wire(wire.reader, wire.writer) as client:
                stream = await client.request("/", method="POST", body=b"x", ends=False)
                lines = [line.decode().partition(": ") for line in SPOOFED.splitlines()]
                client.h2.send_headers(stream, [(name, value) for name, _, value in lines], end_stream=True)
                await client.flush()
                assert await asyncio.wait_for(seen.get(), 3.0) == PASSED
            return
        assert await asyncio.wait_for(seen.get(), 3.0) == PASSED

    run(SHOP, scenario)


def test_callers_that_leave_within_a_handshake_leave_nothing(run: Callable[..., None]) -> None:
    """The server takes the connection and never shakes hands; its caller's caller goes away."""

    async def scenario(lab: Lab) -> None:
        place = lab.inbound("cart", "web")
        began, ended = 0, 0

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal began, ended
            began += 1
            try:
                while await reader.read(65536):
                    pass
            except OSError:
                pass
            ended += 1
            writer.close()

        await lab.sidecar("cart").stop()
        server = await asyncio.start_server(silent, place.address, place.port)
        wires = [await lab.open(lab.outbound("web")) for _ in range(5)]
        for wire in wires:
            await wire.send(GET)
        await until(lambda: began == 5, 2.0)
        for wire in wires:
            wire.close()
        await until(lambda: ended == 5, 1.5)
        server.close()

    run(SHOP, scenario)


def test_copies_that_nobody_takes_are_bounded(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirroring, "MOST_AT_ONCE", 5)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def scenario(lab: Lab) -> None:
        await lab.serve("copy", hang)
        await lab.get(lab.outbound("web"), "/copied/0")
        await until(lambda: lab.told("inbound") != [], 3.0)
        before = open_descriptors()
        wire = await lab.open(lab.outbound("web"))
        async with wire:
            for number in range(1, 20):
                await wire.send(b"GET /copied/%d HTTP/1.1\r\nHost: cart.shop\r\n\r\n" % number)
                assert b" 200 " in await wire.until(b"\r\n\r\n")
        # Each copy takes two connections: to the sidecar, and from there to the application.
        assert open_descriptors() <= before + 4 * 4 + 8

    run(SHOP, scenario)
