"""Applications and sidecars that fail: what the caller sees, what the log says, and that nothing stays behind."""

import asyncio
from collections.abc import Callable

import h2.events
import pytest
from h2.connection import ConnectionState

from h2_wire import H2Wire, h2_application
from meshc.engine.exchange import Answered, Broken, Http1Request
from proxy_lab import Handle, Lab

pytestmark = pytest.mark.slow

SHOP = """namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http }
service feed in shop { port 80 http2 }
access cart { allow web }
access feed { allow web }
traffic cart {
  route GET /retried { retry 2 on 5xx { backoff 1ms..2ms } }
  route GET /refused { retry 2 on refused-stream { backoff 1ms..2ms } }
  route /quick { timeout 200ms }
  route /idle { idle-timeout 200ms }
}
"""
TEN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def answering(*parts: bytes, resets: bool = False, pause_s: float = 0.0) -> Handle:
    """An application that reads a head, sends some bytes, and ends the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        if resets:
            Lab.reset(writer)

    return handle


async def call(lab: Lab, path: str = "/x", method: str = "GET", host: str = "cart.shop", body: bytes = b"") -> object:
    """What becomes of a call through both sidecars."""
    request = Http1Request(method=method.encode(), path=path.encode(), host=host.encode(), body=body)
    return await lab.send(request, lab.outbound("web"))


def answered(outcome: object) -> int:
    assert isinstance(outcome, Answered), outcome
    return outcome.status


def test_nobody_listens(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.silence("cart")
        assert answered(await call(lab)) == 503
        assert (await lab.record("inbound")).flags == "UF"
        await lab.start_stub("cart")
        assert answered(await call(lab)) == 200
        await lab.sidecar("cart").stop()
        assert answered(await call(lab)) == 503
        assert (await lab.record("outbound", 3)).flags == "UF"

    run(SHOP, scenario)


@pytest.mark.parametrize(
    ("application", "flag"),
    [
        (answering(), "UC"),
        (answering(resets=True), "UC"),
        (answering(b"HTTP/1.1 200 OK\r\nConte"), "UC"),
        (answering(b"HTTP/1.1 103 X\r\n\r\n"), "UC"),
        (answering(b"nonsense\r\n\r\n"), "UPE"),
        (answering(TEN + b"HTTP/1.1 200 OK\r\n"), "-"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), "UPE"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), "UPE"),
        (answering(b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "UPE"),
        (answering(b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n"), "UPE"),
    ],
    ids=[
        "closed",
        "reset",
        "half a head",
        "a hint alone",
        "nonsense",
        "more than asked",
        "two lengths",
        "two framings",
        "unasked",
        "nul",
    ],
)
def test_answers_that_are_none(run: Callable[..., None], application: Handle, flag: str) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.serve("cart", application)
        status = answered(await call(lab))
        record = await lab.record("inbound")
        assert record.flags == flag
        assert status == {"UC": 503, "UPE": 502, "-": 200}[flag]
        await lab.settle()

    run(SHOP, scenario)


@pytest.mark.parametrize(
    "application",
    [
        answering(TEN + b"half"),
        answering(TEN + b"half", resets=True),
        answering(CHUNKS + b"4\r\nhalf\r\n"),
        answering(CHUNKS + b"4\r\nhalf\r\n", resets=True),
        answering(CHUNKS + b"4\r\nhalf\r\nzz\r\n"),
        answering(CHUNKS + b"4\r\nhalf\r\n0\r\nx: y\r\n"),
    ],
    ids=["length", "length, reset", "chunks", "chunks, reset", "bad chunk", "half the trailers"],
)
@pytest.mark.parametrize("version", [1, 2])
def test_an_answer_that_breaks_off_is_never_whole(run: Callable[..., None], application: Handle, version: int) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.serve("cart", application)
        if version == 1:
            assert isinstance(await call(lab), Broken)
        else:
            wire = await lab.open(lab.outbound("web"))
            async with H2Wire(wire.reader, wire.writer) as client:
                stream = await client.request("/x")
                await client.event(h2.events.StreamReset, stream)
                assert not client.those(h2.events.StreamEnded, stream)
        for direction in ("inbound", "outbound"):
            assert (await lab.record(direction)).flags == "UPE"
        assert len(lab.told("inbound")) == 1
        await lab.settle()

    run(SHOP, scenario)


@pytest.mark.parametrize("path", ["/quick", "/idle"])
def test_an_answer_that_does_not_come_in_time(run: Callable[..., None], path: str) -> None:
    async def scenario(lab: Lab) -> None:
        ended = asyncio.Event()

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            if await reader.read(1) == b"":
                ended.set()

        await lab.serve("cart", application)
        assert answered(await call(lab, path)) == 504
        assert (await lab.record("outbound")).flags == ("UT" if path == "/quick" else "SI")
        async with asyncio.timeout(1.0):
            await ended.wait()
        await lab.settle()

    run(SHOP, scenario)


@pytest.mark.parametrize("path", ["/quick", "/idle"])
def test_an_answer_that_has_begun_is_cut_when_its_time_is_over(run: Callable[..., None], path: str) -> None:
    async def scenario(lab: Lab) -> None:
        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(TEN + b"half")
            await reader.read(1)

        await lab.serve("cart", application)
        assert isinstance(await call(lab, path), Broken)
        assert (await lab.record("outbound")).flags == ("UT" if path == "/quick" else "SI")
        await lab.settle()

    run(SHOP, scenario)


def test_only_what_is_asked_for_is_tried_again(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        asked: list[bytes] = []

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            asked.append(head.split(b" ")[1])
            if len(asked) == 3:
                writer.write(TEN + b"0123456789")

        await lab.serve("cart", application)
        assert answered(await call(lab, "/retried")) == 200
        assert asked == [b"/retried"] * 3
        asked.clear()
        assert answered(await call(lab, "/other")) == 503
        assert answered(await call(lab, "/other", "POST", body=b"x")) == 503
        assert asked == [b"/other"] * 2

    run(SHOP, scenario)


def test_a_kept_connection_that_was_closed_costs_no_request(run: Callable[..., None]) -> None:
    """What has no side effects is sent once more, on a new connection; what has is not."""

    async def scenario(lab: Lab) -> None:
        asked: list[bytes] = []

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[0])
            writer.write(TEN + b"0123456789")
            # The second request on a connection is read, and gets no answer.
            asked.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[0])

        await lab.serve("cart", application)
        assert answered(await call(lab)) == 200
        assert answered(await call(lab)) == 200
        assert asked == [b"GET", b"GET", b"GET"]
        assert answered(await call(lab, method="POST", body=b"x")) == 503
        assert asked == [b"GET", b"GET", b"GET", b"POST"]

    run(SHOP, scenario)


@pytest.mark.parametrize("leaves", ["within the request", "before the answer", "within the answer"])
def test_a_caller_that_leaves_is_noticed_at_once(run: Callable[..., None], leaves: str) -> None:
    async def scenario(lab: Lab) -> None:
        gone = asyncio.Event()

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            if leaves == "within the answer":
                writer.write(TEN + b"half")
            try:
                while await reader.read(100):
                    pass
            finally:
                gone.set()

        await lab.serve("cart", application)
        wire = await lab.open(lab.outbound("web"))
        length = 100 if leaves == "within the request" else 0
        await wire.send(f"POST /x HTTP/1.1\r\nHost: cart.shop\r\nContent-Length: {length}\r\n\r\n".encode())
        await asyncio.sleep(0.2)
        Lab.reset(wire.writer)
        async with asyncio.timeout(0.5):
            await gone.wait()
        await lab.settle(0.5)
        assert [(await lab.record(one)).flags for one in ("inbound", "outbound")] == ["DC", "DC"]
        assert len(lab.records) == 2

    run(SHOP, scenario)


async def serve_streams(wire: H2Wire, serve: Callable[[H2Wire, int], None]) -> None:
    """Answer each request as it comes, synchronously."""
    known: set[int] = set()
    while True:
        await wire.until(lambda: any(one.stream_id not in known for one in wire.those(h2.events.RequestReceived)), 60.0)
        for one in wire.those(h2.events.RequestReceived):
            if one.stream_id not in known:
                known.add(one.stream_id)
                serve(wire, one.stream_id)
        await wire.flush()


def agree(wire: H2Wire, stream: int) -> None:
    wire.h2.send_headers(stream, [(":status", "200")], end_stream=True)


def test_streams_above_a_goaway_are_sent_elsewhere(run: Callable[..., None]) -> None:
    """The first connection takes one stream, and says so, with the others on their way: no request is lost."""

    async def scenario(lab: Lab) -> None:
        connections = 0

        async def application(wire: H2Wire) -> None:
            nonlocal connections
            connections += 1
            if connections > 1:
                await serve_streams(wire, agree)
            await wire.until(lambda: len(wire.those(h2.events.RequestReceived)) == 6)
            wire.h2.close_connection(0, last_stream_id=1)
            wire.h2.state_machine.state = ConnectionState.SERVER_OPEN
            agree(wire, 1)
            await wire.flush()
            await wire.until(lambda: False, 30.0)

        await lab.serve("feed", h2_application(application))
        outcomes = await asyncio.gather(*(call(lab, host="feed.shop", method="POST", body=b"x") for _ in range(6)))
        assert [answered(one) for one in outcomes] == [200] * 6
        assert connections == 2
        await lab.settle()

    run(SHOP, scenario)


def test_a_refused_stream_is_sent_once_more(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        asked: list[int] = []

        def serve(wire: H2Wire, stream: int) -> None:
            asked.append(stream)
            if len(asked) in {2, 3}:
                wire.h2.reset_stream(stream, 7)
            else:
                agree(wire, stream)

        await lab.serve("feed", h2_application(lambda wire: serve_streams(wire, serve)))
        outcomes = [await call(lab, host="feed.shop", method="POST", body=b"x") for _ in range(3)]
        assert [answered(one) for one in outcomes] == [200, 503, 200]
        assert len(asked) == 4

    run(SHOP, scenario)
