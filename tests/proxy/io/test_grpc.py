"""gRPC through both sidecars: the four kinds of calls, statuses wherever they stand, deadlines, and calls that break."""

import asyncio
import struct
from collections.abc import Callable

import h2.events
import pytest

from h2_wire import H2Wire, h2_application
from proxy_lab import Lab

pytestmark = pytest.mark.slow

SHOP = """namespace shop
service web in shop { port 80 http }
service rpc in shop { port 50051 grpc }
access rpc { allow web to rpc shop.Rpc/Echo, rpc shop.Rpc/Slow, rpc shop.Rpc/Cut, rpc shop.Rpc/Fail }
traffic rpc { route rpc shop.Rpc/Slow { timeout 200ms } }
"""
GRPC = (("te", "trailers"), ("content-type", "application/grpc"))


def message(text: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(text)) + text


async def server(wire: H2Wire) -> None:
    """Answers each message with itself as it comes, and ends when the caller has ended."""
    serving = set()
    known: set[int] = set()
    while True:
        await wire.until(lambda: any(one.stream_id not in known for one in wire.those(h2.events.RequestReceived)), 60.0)
        for request in wire.those(h2.events.RequestReceived):
            if request.stream_id not in known:
                known.add(request.stream_id)
                serving.add(asyncio.create_task(serve(wire, request)))


async def serve(wire: H2Wire, request: h2.events.RequestReceived) -> None:
    stream = request.stream_id
    path = dict(request.headers)[":path"]
    head = [(":status", "200"), ("content-type", "application/grpc")]
    if path.endswith("Fail"):
        wire.h2.send_headers(stream, [*head, ("grpc-status", "9"), ("grpc-message", "not%20now")], end_stream=True)
        await wire.flush()
        return
    wire.h2.send_headers(stream, head)
    await wire.flush()
    if path.endswith("Slow"):
        return
    sent = b""
    while True:
        whole = wire.body(stream)
        if len(whole) > len(sent):
            await wire.data(stream, whole[len(sent) :])
            sent = whole
            continue
        if path.endswith("Cut") and sent:
            wire.h2.reset_stream(stream, 2)
            await wire.flush()
            return
        if wire.those(h2.events.StreamEnded, stream):
            break
        seen = len(wire.events)
        await wire.until(lambda seen=seen: len(wire.events) > seen, 60.0)
    wire.h2.send_headers(stream, [("grpc-status", "0"), ("x-count", str(len(sent)))], end_stream=True)
    await wire.flush()


async def caller(lab: Lab) -> H2Wire:
    await lab.serve("rpc", h2_application(server))
    wire = await lab.open(lab.outbound("web"))
    return H2Wire(wire.reader, wire.writer)


async def begin(client: H2Wire, method: str, *headers: tuple[str, str]) -> int:
    path = f"/shop.Rpc/{method}"
    return await client.request(path, method="POST", authority="rpc.shop", headers=[*GRPC, *headers], ends=False)


def trailers(client: H2Wire, stream: int) -> dict[str, str]:
    return dict(client.those(h2.events.TrailersReceived, stream)[0].headers)


@pytest.mark.parametrize("engine", ["proxy", "envoy"])
def test_messages_go_both_ways_while_the_call_is_open(run: Callable[..., None], engine: str) -> None:
    async def scenario(lab: Lab) -> None:
        async with await caller(lab) as client:
            stream = await begin(client, "Echo")
            said = b""
            for number in range(5):
                said += message(b"%d" % number)
                await client.data(stream, message(b"%d" % number))
                await client.until(lambda said=said: client.body(stream) == said)
            await client.data(stream, b"", ends=True)
            await client.event(h2.events.StreamEnded, stream)
            assert trailers(client, stream) == {"grpc-status": "0", "x-count": str(len(said))}
        if engine == "proxy":
            record = await lab.record("inbound")
            assert (record.status, record.grpc_status, record.flags) == (200, 0, "-")

    run(SHOP, scenario, engine)


def test_one_message_for_many_and_many_for_one(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        async with await caller(lab) as client:
            streams = [await begin(client, "Echo") for _ in range(4)]
            for number, stream in enumerate(streams):
                for _ in range(1 + 40 * (number % 2)):
                    await client.data(stream, message(b"x" * 3000))
                await client.data(stream, b"", ends=True)
            for number, stream in enumerate(streams):
                await client.event(h2.events.StreamEnded, stream)
                assert len(client.body(stream)) == 3005 * (1 + 40 * (number % 2))
                assert trailers(client, stream)["grpc-status"] == "0"

    run(SHOP, scenario)


@pytest.mark.parametrize("engine", ["proxy", "envoy"])
def test_failures_have_a_status_and_never_a_clean_end(run: Callable[..., None], engine: str) -> None:
    async def scenario(lab: Lab) -> None:
        async with await caller(lab) as client:
            failed = await begin(client, "Fail")
            head = dict((await client.event(h2.events.ResponseReceived, failed)).headers)
            assert (head["grpc-status"], head["grpc-message"]) == ("9", "not%20now")
            denied = await begin(client, "Put")
            head = dict((await client.event(h2.events.ResponseReceived, denied)).headers)
            assert (head[":status"], head["grpc-status"]) == ("200", "7")
            slow = await begin(client, "Slow")
            await client.data(slow, message(b"?"), ends=True)
            await client.event(h2.events.StreamReset, slow)
            cut = await begin(client, "Cut")
            await client.data(cut, message(b"?"))
            await client.event(h2.events.StreamReset, cut)
            assert not client.those(h2.events.StreamEnded, cut)
            # None of it has hurt the connection.
            stream = await begin(client, "Echo")
            await client.data(stream, message(b"!"), ends=True)
            await client.event(h2.events.StreamEnded, stream)

    run(SHOP, scenario, engine)


def test_a_call_that_is_cancelled_is_cancelled_all_the_way(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        cancelled = asyncio.Event()

        async def application(wire: H2Wire) -> None:
            await wire.event(h2.events.StreamReset, timeout_s=30.0)
            cancelled.set()
            await wire.until(lambda: False, 30.0)

        await lab.serve("rpc", h2_application(application))
        wire = await lab.open(lab.outbound("web"))
        async with H2Wire(wire.reader, wire.writer) as client:
            stream = await begin(client, "Echo")
            await client.data(stream, message(b"?"))
            await asyncio.sleep(0.2)
            client.h2.reset_stream(stream, 8)
            await client.flush()
            async with asyncio.timeout(1.0):
                await cancelled.wait()
        await lab.settle()
        assert (await lab.record("inbound")).flags == "DC"
        assert (await lab.record("outbound")).flags == "DC"

    run(SHOP, scenario)
