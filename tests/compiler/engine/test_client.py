"""`meshc.engine.client` and what it stands on: bytes go out as given, and each way to fail is told for what it is."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from meshc.engine.authority import Authority
from meshc.engine.client import Client
from meshc.engine.exchange import (
    Answered,
    Broken,
    Http1Request,
    Http2Request,
    Line,
    Outcome,
    Peer,
    Plaintext,
    RawHttp1Request,
    Refused,
    Stage,
    StreamReset,
    TimedOut,
    Tls,
    grpc_call,
)
from meshc.engine.stubs import Protocol, Stub

LOCAL = "127.0.0.1"
GET = Http1Request(method=b"GET", path=b"/", host=b"x")
GET2 = Http2Request(method=b"GET", path=b"/", authority=b"x")

HTTP2_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
HTTP2_RESET = b"\0\0\4\3\0\0\0\0\1" + b"\0\0\0\1"
HTTP2_GOAWAY = b"\0\0\x08\7\0\0\0\0\0" + b"\0\0\0\0" + b"\0\0\0\2"
HTTP2_STATUS_200 = b"\0\0\1\1\4\0\0\0\1\x88"

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(scenario: Coroutine[None, None, None]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(in_time())


@asynccontextmanager
async def serving(behaviour: Behaviour) -> AsyncIterator[Peer]:
    """A server that does `behaviour` with each connection, then closes it."""

    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behaviour(reader, writer)
            writer.close()
            await writer.wait_closed()
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, LOCAL, 0)
    try:
        yield Peer(address=LOCAL, port=server.sockets[0].getsockname()[1], security=Plaintext())
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


def answering(answer: bytes) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(answer)

    return behave


@pytest.mark.parametrize(
    ("request_", "sent"),
    [
        (
            Http1Request(
                method=b"get", path=b"/a b\xff#", host=b"h:1", headers=((b"x y", b" 1 "), (b"x", b"2")), body=b"hi"
            ),
            b"get /a b\xff# HTTP/1.1\r\nhost: h:1\r\nx y:  1 \r\nx: 2\r\ncontent-length: 2\r\n\r\nhi",
        ),
        (Http1Request(method=b"GET", path=b"*", host=None), b"GET * HTTP/1.1\r\n\r\n"),
        (RawHttp1Request(payload=b"\0 no HTTP at all\r\n\r\n"), b"\0 no HTTP at all\r\n\r\n"),
    ],
)
def test_http1_goes_out_as_given(request_: Http1Request | RawHttp1Request, sent: bytes) -> None:
    async def scenario() -> None:
        received = bytearray()

        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.extend(await reader.readexactly(len(sent)))
            writer.write(b"HTTP/1.1 418 No\r\nX-A: b\r\ncontent-length: 3\r\n\r\nend")

        async with serving(behave) as peer, Client() as client:
            answer = await client.send(request_, peer)
            assert answer == Answered(status=418, headers=((b"x-a", b"b"), (b"content-length", b"3")), body=b"end")
            assert bytes(received) == sent

    run(scenario())


def test_http2_fields_go_out_as_given() -> None:
    async def scenario() -> None:
        fields = (
            (b"X-Upper", b"1"),
            (b"x-blank", b" yes "),
            (b"x_under", b""),
            (b"cookie", b"a=1; b=2"),
            (b"te", b"x"),
        )
        request = Http2Request(method=b"odd method", path=b"no slash", authority=None, headers=fields, scheme=b"http")
        async with Stub("a.b", Protocol.HTTP2) as stub, Client() as client:
            peer = Peer(address=LOCAL, port=await stub.start(LOCAL, 0), security=Plaintext())
            assert isinstance(await client.send(request, peer), Answered)
            assert stub.requests[0].request.headers == (
                (b":method", b"odd method"),
                (b":scheme", b"http"),
                (b":path", b"no slash"),
                *fields,
            )

    run(scenario())


@pytest.mark.parametrize(
    ("request_", "answer", "outcome"),
    [
        (GET, b"", Refused(stage=Stage.CLOSED, detail="closed")),
        (GET, b"\x15\x03\x01\0\2\2\x32", Refused(stage=Stage.CLOSED, detail=r"not HTTP: b'\x15\x03\x01\x00\x02\x022'")),
        (GET, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nend", Broken),
        (GET, b"HTTP/1.1 200 OK\r\nx", Broken),
        (GET, b"HTTP/1.1 100 Continue\r\n\r\n", Broken),
        (GET, b"HTTP/1.1 200 OK\r\n\r\nto the end", Answered(status=200, headers=(), body=b"to the end")),
        (
            GET,
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            Answered(status=200, headers=((b"transfer-encoding", b"chunked"),), body=b"hi"),
        ),
        (
            RawHttp1Request(payload=b"HEAD / HTTP/1.1\r\n\r\n", is_head=True),
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            Answered(status=200, headers=((b"content-length", b"5"),), body=b""),
        ),
        (GET2, b"", Refused(stage=Stage.CLOSED, detail="closed")),
        (GET2, HTTP2_SETTINGS, Refused(stage=Stage.CLOSED, detail="closed")),
        (GET2, b"HTTP/1.1 400 Bad Request\r\n\r\n", Refused),
        (GET2, HTTP2_SETTINGS + HTTP2_GOAWAY, Refused(stage=Stage.CLOSED, detail="GOAWAY 2")),
        (GET2, HTTP2_SETTINGS + HTTP2_RESET, StreamReset(error_code=1)),
        (GET2, HTTP2_SETTINGS + HTTP2_STATUS_200 + HTTP2_RESET, Broken(detail="reset 1")),
        (GET2, HTTP2_SETTINGS + HTTP2_STATUS_200, Broken(detail="closed")),
        (GET2, HTTP2_SETTINGS + HTTP2_STATUS_200[:4] + b"\5" + HTTP2_STATUS_200[5:], Answered),
        (Line(), b"", Refused(stage=Stage.CLOSED, detail="closed")),
        (Line(), b"meshc-stub a.b\n", Refused(stage=Stage.CLOSED, detail="closed")),
        (Line(), b"220 some server\nmeshc\n", Refused(stage=Stage.CLOSED, detail="closed")),
    ],
)
def test_every_end_is_told_for_what_it_is(
    request_: Http1Request | RawHttp1Request | Http2Request | Line, answer: bytes, outcome: Outcome | type[Outcome]
) -> None:
    async def scenario() -> None:
        async with serving(answering(answer)) as peer, Client() as client:
            result = await client.send(request_, peer)
            assert isinstance(result, outcome) if isinstance(outcome, type) else result == outcome

    run(scenario())


@pytest.mark.parametrize("request_", [GET, GET2, Line()])
def test_reset_is_a_refusal(request_: Http1Request | Http2Request | Line) -> None:
    async def scenario() -> None:
        async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.transport.abort()

        async with serving(reset) as peer, Client() as client:
            assert isinstance(await client.send(request_, peer), Refused)

    run(scenario())


def test_nobody_listens() -> None:
    async def scenario() -> None:
        with socket.socket() as taken:
            taken.bind((LOCAL, 0))
            peer = Peer(address=LOCAL, port=taken.getsockname()[1], security=Plaintext())
            async with Client() as client:
                outcome = await client.send(GET, peer)
                assert isinstance(outcome, Refused)
                assert outcome.stage is Stage.CONNECT

    run(scenario())


def test_silence_times_out() -> None:
    async def scenario() -> None:
        async def wait(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            while await reader.read(65536):
                pass

        async with serving(wait) as peer, Client(timeout_s=0.05) as client:
            for request in (GET, GET2, Line()):
                assert await client.send(request, peer) == TimedOut(after_s=0.05)

    run(scenario())


def test_unusable_certificate_file_is_a_mistake_and_no_refusal(tmp_path: Path) -> None:
    async def scenario() -> None:
        empty = tmp_path / "empty.pem"
        empty.touch()
        async with Client() as client:
            with pytest.raises(OSError, match=r"certificate|CERTIFICATE"):
                await client.send(GET, Peer(address=LOCAL, port=1, security=Tls(trust=empty)))

    run(scenario())


def test_silent_handshake_times_out(authority: Authority, tmp_path: Path) -> None:
    async def scenario() -> None:
        async def wait(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            while await reader.read(65536):
                pass

        bundle = tmp_path / "ca.pem"
        bundle.write_bytes(authority.bundle)
        async with serving(wait) as peer, Client(connect_timeout_s=0.05) as client:
            tls = Peer(address=peer.address, port=peer.port, security=Tls(trust=bundle))
            assert await client.send(GET, tls) == TimedOut(after_s=0.05)

    run(scenario())


def test_untrusted_server_is_refused_in_tls(authority: Authority, tmp_path: Path) -> None:
    async def scenario() -> None:
        server = Authority.create("mesh.local").issue_workload("spiffe://mesh.local/a", tmp_path, "server")
        trusted = authority.issue_workload("spiffe://mesh.local/b", tmp_path, "client")
        async with Stub("a.b", Protocol.HTTPS, credentials=server) as stub, Client() as client:
            tls = Tls(trust=trusted.bundle, credentials=trusted)
            outcome = await client.send(GET, Peer(address=LOCAL, port=await stub.start(LOCAL, 0), security=tls))
            assert isinstance(outcome, Refused)
            assert outcome.stage is Stage.TLS

    run(scenario())


def test_source_of_another_family_is_a_mistake() -> None:
    async def scenario() -> None:
        async with Client() as client:
            with pytest.raises(OSError, match=r"[Aa]ddress"):
                await client.send(GET, Peer(address=LOCAL, port=1, security=Plaintext(), source="2001:db8::1"))

    run(scenario())


def count_connections(answer: bytes, connections: list[int]) -> Behaviour:
    """Answer every request of a connection, and count the requests of each."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(0)
        index = len(connections) - 1
        while await reader.read(65536):
            connections[index] += 1
            writer.write(answer)

    return behave


def test_honest_requests_share_a_connection_and_hostile_ones_do_not() -> None:
    async def scenario() -> None:
        connections: list[int] = []
        behaviour = count_connections(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", connections)
        async with serving(behaviour) as peer, Client() as client:
            for _ in range(3):
                await client.send(GET, peer)
            await client.send(GET, peer, on_fresh_connection=True)
            await client.send(RawHttp1Request(payload=b"GET / HTTP/1.1\r\n\r\n"), peer)
            await client.send(GET, peer)
            await client.send(GET, Peer(address=LOCAL, port=peer.port, security=Plaintext(), source="127.0.0.2"))
            assert connections == [4, 1, 1, 1]

    run(scenario())


def test_connection_that_will_close_is_not_kept() -> None:
    async def scenario() -> None:
        connections: list[int] = []
        answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        async with serving(count_connections(answer, connections)) as peer, Client() as client:
            await client.send(GET, peer)
            await client.send(GET, peer)
            assert connections == [1, 1]

    run(scenario())


@pytest.mark.parametrize("request_", [GET, GET2])
def test_idle_connection_that_was_closed_is_replaced(request_: Http1Request | Http2Request) -> None:
    async def scenario() -> None:
        async with Client() as client:
            first = Stub("a.b", Protocol.HTTP)
            peer = Peer(address=LOCAL, port=await first.start(LOCAL, 0), security=Plaintext())
            assert isinstance(await client.send(request_, peer), Answered)
            await first.stop()
            async with Stub("c.d", Protocol.HTTP) as second:
                await second.start(LOCAL, peer.port)
                answer = await client.send(request_, peer)
                assert isinstance(answer, Answered)
                assert answer.served_by == "c.d"

    run(scenario())


def test_a_request_that_ends_connections_ends_two_at_most() -> None:
    async def scenario() -> None:
        refused: list[bytes] = []

        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while not (received := await reader.read(65536)).startswith(b"GET /die"):
                if not received:
                    return
                await asyncio.sleep(0.01)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            refused.append(received)

        async with serving(behave) as peer, Client() as client:
            answers = await asyncio.gather(*(client.send(GET, peer) for _ in range(5)))
            assert all(isinstance(answer, Answered) for answer in answers)
            deadly = Http1Request(method=b"GET", path=b"/die", host=b"x")
            assert await client.send(deadly, peer) == Refused(stage=Stage.CLOSED, detail="closed")
            assert len(refused) == 2

    run(scenario())


def test_http2_goaway_after_the_answer_ends_the_connection() -> None:
    async def scenario() -> None:
        goaway = b"\0\0\x08\7\0\0\0\0\0" + b"\0\0\0\1" + b"\0\0\0\0"
        answer = HTTP2_SETTINGS + HTTP2_STATUS_200[:4] + b"\5" + HTTP2_STATUS_200[5:] + goaway
        connections: list[int] = []

        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(1)
            await reader.read(65536)
            writer.write(answer)
            await reader.read(65536)

        async with serving(behave) as peer, Client() as client:
            for _ in range(2):
                assert isinstance(await client.send(GET2, peer), Answered)
            assert len(connections) == 2

    run(scenario())


def test_grpc_status_is_found_in_headers_and_trailers() -> None:
    assert Answered(status=200, headers=((b"grpc-status", b"7"),), body=b"").grpc_status == 7
    assert Answered(status=200, headers=(), body=b"", trailers=((b"grpc-status", b"0"),)).grpc_status == 0
    assert Answered(status=200, headers=((b"grpc-status", b"x"),), body=b"").grpc_status is None
    assert Answered(status=200, headers=(), body=b"").grpc_status is None
    assert grpc_call(b"/p.S/M", b"a", ((b"x", b"1"),)).headers[-1] == (b"x", b"1")
