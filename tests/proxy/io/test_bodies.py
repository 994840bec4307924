"""Bodies on their way: interim answers, trailers, back-pressure, credit, and what follows an early reply."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import h2.events
import pytest

from h2_wire import H2Wire, h2_application, status_of
from meshc.engine.stubs import Reply
from proxy_lab import Lab, Wire, held_bytes

pytestmark = pytest.mark.slow

SHOP = """namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http }
service feed in shop { port 80 http2 }
access cart { allow web to GET|HEAD|POST /any/** }
access feed { allow web }
"""
BLOCK = b"x" * 65536


async def wire_to(lab: Lab, service: str = "cart", *alpn: str) -> Wire:
    return await lab.open(lab.inbound(service, "web"), *alpn)


async def h2_to(lab: Lab, service: str = "cart", *, credit: bool = True) -> H2Wire:
    wire = await wire_to(lab, service, "h2")
    return H2Wire(wire.reader, wire.writer, credit=credit)


async def send_until_stopped(wire: Wire) -> int:
    """Send blocks until half a second goes by with no room for another; how many bytes went before that one."""
    sent = 0
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.5):
                wire.writer.write(BLOCK)
                await wire.writer.drain()
            sent += len(BLOCK)
    return sent


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def test_continue_comes_from_the_application(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        may = asyncio.Event()

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert b"expect: 100-continue" in (await head_of(reader)).lower()
            await may.wait()
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await reader.readexactly(5)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)
            await reader.read()

        await lab.serve("cart", application)
        async with await wire_to(lab) as wire:
            await wire.send(b"POST /any/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            assert await wire.rest(0.2) == (b"", False)
            may.set()
            assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            await wire.send(b"hello")
            assert (await wire.until(b"hello")).startswith(b"HTTP/1.1 200 ")

    run(SHOP, scenario)


def test_hints_come_before_the_answer(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await head_of(reader)
                writer.write(
                    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                )

        await lab.serve("cart", application)
        async with await wire_to(lab) as wire:
            await wire.send(b"GET /any/x HTTP/1.1\r\nHost: a\r\n\r\n")
            hint = await wire.until(b"\r\n\r\n")
            assert hint.startswith(b"HTTP/1.1 103 ")
            assert b"link: </a>" in hint.lower()
            assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        async with await h2_to(lab) as client:
            stream = await client.request("/any/x")
            assert await client.answer(stream) == (200, b"")
            assert [status_of(one) for one in client.those(h2.events.InformationalResponseReceived)] == [103]

    run(SHOP, scenario)


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_leave_the_connection_whole(run: Callable[..., None], status: int) -> None:
    async def scenario(lab: Lab) -> None:
        length = b"" if status == 204 else b"Content-Length: 5\r\n"

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                if (await head_of(reader)).startswith(b"HEAD"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
                else:
                    writer.write(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, length))

        await lab.serve("cart", application)
        async with await wire_to(lab) as wire:
            for method in (b"GET", b"HEAD", b"GET"):
                await wire.send(method + b" /any/x HTTP/1.1\r\nHost: a\r\n\r\n")
                answer = await wire.until(b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 200 " if method == b"HEAD" else b"HTTP/1.1 %d " % status)
                assert wire.seen == b""

    run(SHOP, scenario)


def test_trailers_go_both_ways(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        seen: list[bytes] = []

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await head_of(reader)
                seen.append(await reader.readuntil(b"0\r\n") + await reader.readuntil(b"\r\n\r\n"))
                head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n"
                writer.write(head + b"2\r\nhi\r\n0\r\nx-sum: 9\r\nauthorization: z\r\n\r\n")

        await lab.serve("cart", application)
        head = b"POST /any/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        body = b"5\r\nhello\r\n0\r\nx-t: 1\r\nContent-Length: 9\r\nx-forwarded-for: 1.2.3.4\r\n\r\n"
        async with await wire_to(lab) as wire:
            await wire.send(head + b"TE: trailers\r\n\r\n" + body)
            await wire.until(b"\r\n\r\n")
            assert await wire.until(b"\r\n\r\n") == b"2\r\nhi\r\n0\r\nx-sum: 9\r\n\r\n"
            await wire.send(head + b"\r\n" + body)
            await wire.until(b"\r\n\r\n")
            assert await wire.until(b"\r\n\r\n") == b"2\r\nhi\r\n0\r\n\r\n"
        assert seen == [b"5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n"] * 2

    run(SHOP, scenario)


@pytest.mark.parametrize("service", ["cart", "feed"])
def test_a_slow_reader_stops_a_fast_writer(run: Callable[..., None], service: str) -> None:
    """Through both sidecars, over HTTP/1.1 and HTTP/2: what the application could write stays bounded."""

    async def scenario(lab: Lab) -> None:
        written = 0

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal written
            await head_of(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            while True:
                writer.write(BLOCK)
                await writer.drain()
                written += len(BLOCK)

        async def application2(wire: H2Wire) -> None:
            nonlocal written
            request = await wire.event(h2.events.RequestReceived)
            wire.h2.send_headers(request.stream_id, [(":status", "200")])
            while True:
                await wire.data(request.stream_id, BLOCK, timeout_s=60.0)
                written += len(BLOCK)

        await lab.serve(service, application if service == "cart" else h2_application(application2))
        async with await lab.open(lab.outbound("web")) as wire:
            await wire.send(f"GET /any/x HTTP/1.1\r\nHost: {service}.shop\r\n\r\n".encode())
            await wire.until(b"\r\n\r\n")
            await asyncio.sleep(0.7)
            before = written
            assert before < held_bytes()
            await asyncio.sleep(0.3)
            assert written == before
            while len(wire.seen) < 2 * held_bytes():
                wire.seen += await wire.reader.readexactly(65536)
            assert written > before
        await lab.settle()

    run(SHOP, scenario)


@pytest.mark.parametrize("service", ["cart", "feed"])
def test_an_application_that_does_not_read_stops_its_caller(run: Callable[..., None], service: str) -> None:
    async def scenario(lab: Lab) -> None:
        may, size = asyncio.Event(), 4 * held_bytes()

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await head_of(reader)
            await may.wait()
            await reader.readexactly(size)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        async def application2(wire: H2Wire) -> None:
            request = await wire.event(h2.events.RequestReceived)
            await may.wait()
            wire.credit = True
            wire.h2.increment_flow_control_window(2**30)
            wire.h2.increment_flow_control_window(2**30, request.stream_id)
            await wire.flush()
            await wire.event(h2.events.StreamEnded, timeout_s=10.0)
            wire.h2.send_headers(request.stream_id, [(":status", "200"), ("content-length", "2")])
            await wire.data(request.stream_id, b"ok", ends=True)
            await wire.until(lambda: False, 10.0)

        await lab.serve(service, application if service == "cart" else h2_application(application2, credit=False))
        async with await lab.open(lab.outbound("web")) as wire:
            head = f"POST /any/x HTTP/1.1\r\nHost: {service}.shop\r\nContent-Length: {size}\r\n\r\n"
            wire.writer.write(head.encode())
            sent = await send_until_stopped(wire)
            assert sent < held_bytes()
            may.set()
            await wire.send(b"x" * (size - sent - len(BLOCK)))
            assert (await wire.until(b"ok", 10.0)).startswith(b"HTTP/1.1 200 ")
        await lab.settle()

    run(SHOP, scenario)


def test_one_slow_stream_does_not_hold_up_its_siblings(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                large = b"large" in await head_of(reader)
                size = 10 * len(BLOCK) if large else 2
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
                await writer.drain()

        await lab.serve("cart", application)
        async with await h2_to(lab, credit=False) as client:
            slow = await client.request("/any/large")
            await client.until(lambda: len(client.body(slow)) >= 65535)
            # The connection's window is spent too, so give that back, and nothing to the stream.
            client.h2.increment_flow_control_window(65535)
            await client.flush()
            for _ in range(5):
                stream = await client.request("/any/small")
                assert await client.answer(stream) == (200, b"xx")
            assert len(client.body(slow)) == 65535

    run(SHOP, scenario)


def test_credit_for_what_nobody_reads_is_given_back(run: Callable[..., None]) -> None:
    """Bodies of refused requests, together larger than the connection's window, do not freeze it."""

    async def scenario(lab: Lab) -> None:
        async with await h2_to(lab) as client:
            for _ in range(40):
                stream = await client.request("/refused", method="POST", ends=False)
                assert status_of(await client.event(h2.events.ResponseReceived, stream)) == 403
                if not client.those(h2.events.StreamReset, stream):
                    await client.data(stream, b"x" * 60000, ends=True)
            stream = await client.request("/any/x", method="POST", body=b"y" * 60000)
            assert (await client.answer(stream))[0] == 200
        await lab.settle()

    run(SHOP, scenario)


def test_cancelled_streams_give_their_credit_back(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        async with await h2_to(lab) as client:
            for _ in range(30):
                stream = await client.request("/any/x", method="POST", ends=False)
                await client.data(stream, b"x" * 60000)
                client.h2.reset_stream(stream, 8)
                await client.flush()
                await asyncio.sleep(0.02)
            stream = await client.request("/any/x", method="POST", body=b"y" * 60000)
            assert (await client.answer(stream))[0] == 200
        await lab.settle()

    run(SHOP, scenario)


def test_a_body_that_nobody_reads_never_becomes_a_request(run: Callable[..., None]) -> None:
    inner = b"GET /any/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

    async def scenario(lab: Lab) -> None:
        async with await wire_to(lab) as wire:
            head = b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
            await wire.send(head % len(inner) + inner + b"GET /any/second HTTP/1.1\r\nHost: a\r\n\r\n")
            came, _ = await wire.rest(0.5)
            assert came.startswith(b"HTTP/1.1 403 ")
            assert came.count(b"HTTP/1.1 ") <= 2
        async with await wire_to(lab) as wire:
            await wire.send(head % 10_000_000 + inner)
            came, closed = await wire.rest(1.0)
            assert came.startswith(b"HTTP/1.1 403 ")
            assert came.count(b"HTTP/1.1 ") == 1
            assert closed
        paths = {one.request.path for one in lab.stubs["cart"].requests}
        assert paths <= {b"/any/second"}

    run(SHOP, scenario)


def test_pipelined_requests_are_answered_in_order(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        async with await wire_to(lab) as wire:
            paths = [b"/any/%d" % number for number in range(5)]
            await wire.send(b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in paths))
            for path in paths:
                await wire.until(b"\r\n\r\n")
                assert b'"%b"' % path in await wire.until(b"}")
        assert [one.request.path for one in lab.stubs["cart"].requests] == paths

    run(SHOP, scenario)


def test_a_client_that_half_closes_gets_no_answer_as_with_envoy(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        lab.stubs["cart"].reply = lambda _: Reply(delay_s=0.3)
        peer = lab.outbound("web")
        async with await lab.open(peer) as wire:
            await wire.send(b"GET /any/x HTTP/1.1\r\nHost: cart.shop\r\n\r\n")
            wire.half_close()
            came, closed = await wire.rest(2.0)
        assert came == b""
        assert closed

    run(SHOP, scenario)
    run(SHOP, scenario, "envoy")


def test_connections_to_applications_are_used_again(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        opened = 0

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal opened
            opened += 1
            while True:
                await head_of(reader)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        await lab.serve("cart", application)
        for _ in range(10):
            assert (await lab.get(lab.outbound("web"), "/any/x")).status == 200
        assert opened == 1

    run(SHOP, scenario)
