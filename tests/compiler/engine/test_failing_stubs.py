"""`meshc.engine.stubs`: stubs that break off, refuse, or fail as gRPC servers do; and that change their mind."""

import asyncio
from collections.abc import Coroutine

import pytest

from meshc.engine.client import Client
from meshc.engine.exchange import (
    Answered,
    Broken,
    Http1Request,
    Http2Request,
    Peer,
    Plaintext,
    Refused,
    Stage,
    StreamReset,
    grpc_call,
)
from meshc.engine.http_server import Abort
from meshc.engine.stubs import Protocol, Reply, Stub

LOCAL = "127.0.0.1"
HTTP1 = Http1Request(method=b"GET", path=b"/", host=b"cart")
HTTP2 = Http2Request(method=b"GET", path=b"/", authority=b"cart")
CALL = grpc_call(b"/shop.Cart/Get", b"cart")
INTERNAL_ERROR, REFUSED_STREAM = 2, 7


def run(scenario: Coroutine[None, None, None]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(in_time())


def plain(port: int) -> Peer:
    return Peer(address=LOCAL, port=port, security=Plaintext())


@pytest.mark.parametrize("abort", list(Abort))
def test_answers_that_break_off(abort: Abort) -> None:
    """The next request is answered, over HTTP/2 on the same connection."""

    async def scenario() -> None:
        async with Stub("a.b", Protocol.HTTP) as stub, Client() as client:
            peer = plain(await stub.start(LOCAL, 0))
            stub.reply = lambda _request: Reply(abort=abort)
            over_http1, over_http2 = await client.send(HTTP1, peer), await client.send(HTTP2, peer)
            if abort is Abort.AFTER_HEADERS:
                assert isinstance(over_http1, Broken)
                assert isinstance(over_http2, Broken)
            else:
                assert isinstance(over_http1, Refused)
                assert over_http1.stage is Stage.CLOSED
                code = REFUSED_STREAM if abort is Abort.REFUSE else INTERNAL_ERROR
                assert over_http2 == StreamReset(error_code=code)
            assert len(stub.requests) == 2
            stub.reply = lambda _request: Reply()
            for request in (HTTP1, HTTP2):
                assert isinstance(await client.send(request, peer), Answered)

    run(scenario())


def test_grpc_failures_before_and_after_a_message() -> None:
    async def scenario() -> None:
        async with Stub("a.b", Protocol.GRPC) as stub, Client() as client:
            peer = plain(await stub.start(LOCAL, 0))
            stub.reply = lambda _request: Reply(grpc_status=14)
            before = await client.send(CALL, peer)
            stub.reply = lambda _request: Reply(grpc_status=14, has_begun=True)
            after = await client.send(CALL, peer)
            assert isinstance(before, Answered)
            assert isinstance(after, Answered)
            assert (before.header(b"grpc-status"), before.body, before.trailers) == (b"14", b"", ())
            assert (after.header(b"grpc-status"), after.trailers) == (None, ((b"grpc-status", b"14"),))
            assert after.body != b""
            stub.reply = lambda _request: Reply(abort=Abort.REFUSE)
            assert await client.send(CALL, peer) == StreamReset(error_code=REFUSED_STREAM)

    run(scenario())


def test_a_stopped_stub_can_serve_again() -> None:
    async def scenario() -> None:
        async with Stub("a.b", Protocol.HTTP) as stub, Client() as client:
            port = await stub.start(LOCAL, 0)
            await stub.stop()
            refused = await client.send(HTTP1, plain(port))
            assert isinstance(refused, Refused)
            assert refused.stage is Stage.CONNECT
            await stub.start(LOCAL, port)
            assert isinstance(await client.send(HTTP1, plain(port)), Answered)

    run(scenario())
