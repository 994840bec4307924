"""`meshc.engine.stubs` and its `http_server`: each protocol answers, names itself and remembers what it saw."""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

import pytest

from meshc.engine.authority import Authority, Credentials, Names
from meshc.engine.client import Client
from meshc.engine.exchange import (
    Answered,
    Greeted,
    Http1Request,
    Http2Request,
    Line,
    Peer,
    Plaintext,
    RawHttp1Request,
    Tls,
    grpc_call,
)
from meshc.engine.http_server import HttpRequest
from meshc.engine.stubs import Protocol, Reply, SeenConnection, Stub

LOCAL = "127.0.0.1"
HTTP1 = Http1Request(method=b"GET", path=b"/a/../b?x=%41", host=b"cart", headers=((b"X-A", b"1"), (b"x-a", b"\xff")))
HTTP2 = Http2Request(
    method=b"PUT", path=b"/p", authority=b"cart", headers=((b"x-a", b"1"), (b"x-a", b"2 ")), body=b"hi"
)

Result = TypeVar("Result")


def run(scenario: Coroutine[None, None, Result]) -> Result:
    async def in_time() -> Result:
        async with asyncio.timeout(20):
            return await scenario

    return asyncio.run(in_time())


@pytest.fixture
def server_credentials(authority: Authority, tmp_path: Path) -> Credentials:
    return authority.issue(Names(dns=("api.example",)), tmp_path, "external")


def plain(port: int) -> Peer:
    return Peer(address=LOCAL, port=port, security=Plaintext())


@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC])
def test_both_versions_of_http_on_one_port(protocol: Protocol) -> None:
    async def scenario() -> None:
        async with Stub("shop.cart@v1", protocol) as stub, Client() as client:
            peer = plain(await stub.start(LOCAL, 0))
            first, second = await client.send(HTTP1, peer), await client.send(HTTP2, peer)
            assert isinstance(first, Answered)
            assert isinstance(second, Answered)
            assert first.served_by == second.served_by == "shop.cart@v1"
            assert json.loads(first.body) == {
                "served_by": "shop.cart@v1",
                "protocol": "HTTP/1.1",
                "method": "GET",
                "path": "/a/../b?x=%41",
                "headers": [["host", "cart"], ["X-A", "1"], ["x-a", "\xff"]],
                "peer": LOCAL,
                "sni": None,
            }
            seen = [seen.request for seen in stub.requests]
            assert seen[1] == HttpRequest(
                protocol="HTTP/2",
                method=b"PUT",
                path=b"/p",
                headers=(
                    (b":method", b"PUT"),
                    (b":scheme", b"https"),
                    (b":authority", b"cart"),
                    (b":path", b"/p"),
                    *HTTP2.headers,
                ),
                body=b"hi",
            )

    run(scenario())


def test_grpc_answers_with_an_empty_message_and_trailers() -> None:
    async def scenario() -> None:
        def reply(request: HttpRequest) -> Reply:
            return Reply(grpc_status=7 if request.path.endswith(b"/Denied") else 0)

        async with Stub("shop.cart", Protocol.GRPC, reply=reply) as stub, Client() as client:
            peer = plain(await stub.start(LOCAL, 0))
            answer = await client.send(grpc_call(b"/shop.Cart/Get", b"cart"), peer)
            assert isinstance(answer, Answered)
            assert (answer.status, answer.grpc_status, answer.body) == (200, 0, b"\0\0\0\0\0")
            assert (answer.served_by, answer.trailers) == ("shop.cart", ((b"grpc-status", b"0"),))
            denied = await client.send(grpc_call(b"/shop.Cart/Denied", b"cart"), peer)
            assert isinstance(denied, Answered)
            assert (denied.grpc_status, denied.body) == (7, b"")
            assert stub.requests[0].request.body == b"\0\0\0\0\0"

    run(scenario())


def test_https_speaks_what_was_negotiated_and_sees_the_server_name(server_credentials: Credentials) -> None:
    async def scenario() -> None:
        async with Stub("ext.api", Protocol.HTTPS, credentials=server_credentials) as stub, Client() as client:
            port = await stub.start(LOCAL, 0)
            tls = Tls(trust=server_credentials.bundle, server_name="api.example")
            for request in (HTTP1, HTTP2):
                answer = await client.send(request, Peer(address=LOCAL, port=port, security=tls))
                assert isinstance(answer, Answered)
            nameless = Peer(address=LOCAL, port=port, security=Tls(trust=server_credentials.bundle))
            assert isinstance(await client.send(HTTP1, nameless), Answered)
            assert [(seen.request.protocol, seen.sni) for seen in stub.requests] == [
                ("HTTP/1.1", "api.example"),
                ("HTTP/2", "api.example"),
                ("HTTP/1.1", None),
            ]

    run(scenario())


def test_opaque_stubs_greet_and_echo(server_credentials: Credentials) -> None:
    async def scenario() -> None:
        tls = Tls(trust=server_credentials.bundle, server_name="db")
        async with (
            Stub("shop.db", Protocol.TCP) as tcp,
            Stub("shop.vault", Protocol.TLS, credentials=server_credentials) as vault,
            Client() as client,
        ):
            assert await client.send(Line(), plain(await tcp.start(LOCAL, 0))) == Greeted(served_by="shop.db")
            peer = Peer(address=LOCAL, port=await vault.start(LOCAL, 0), security=tls)
            assert await client.send(Line(content=b"x\n"), peer) == Greeted(served_by="shop.vault")
            assert tcp.connections == [SeenConnection(first=b"meshc\n", peer=LOCAL, sni=None)]
            assert vault.connections == [SeenConnection(first=b"x\n", peer=LOCAL, sni="db")]

    run(scenario())


def test_credentials_go_with_encryption(server_credentials: Credentials) -> None:
    with pytest.raises(ValueError, match="`tls` needs credentials"):
        Stub("x", Protocol.TLS)
    with pytest.raises(ValueError, match="`http` takes no credentials"):
        Stub("x", Protocol.HTTP, credentials=server_credentials)


def test_reply_decides_on_each_request_and_may_be_late() -> None:
    async def scenario() -> None:
        replies = iter([Reply(status=503, headers=((b"retry-after", b"1"),)), Reply(delay_s=0.02), Reply(status=204)])
        async with Stub("a.b", Protocol.HTTP, reply=lambda _request: next(replies)) as stub, Client() as client:
            peer = plain(await stub.start(LOCAL, 0))
            answers = [await client.send(request, peer) for request in (HTTP1, HTTP2, HTTP1)]
            assert [answer.status for answer in answers if isinstance(answer, Answered)] == [503, 200, 204]
            assert isinstance(answers[0], Answered)
            assert answers[0].header(b"retry-after") == b"1"

    run(scenario())


def test_head_has_no_body_in_either_version() -> None:
    async def scenario() -> None:
        async with Stub("a.b", Protocol.HTTP) as stub, Client() as client:
            peer = plain(await stub.start(LOCAL, 0))
            for request in (
                Http1Request(method=b"HEAD", path=b"/", host=b"x"),
                Http2Request(method=b"HEAD", path=b"/", authority=b"x"),
            ):
                answer = await client.send(request, peer)
                assert isinstance(answer, Answered)
                assert (answer.status, answer.body, answer.served_by) == (200, b"", "a.b")

    run(scenario())


@pytest.mark.parametrize("size", [60_000, 200_000])
def test_answers_larger_than_a_window_arrive_whole(size: int) -> None:
    """Over HTTP/2 the first window is 65,535 bytes; each `é` becomes six characters of JSON."""

    async def scenario() -> None:
        async with Stub("a.b", Protocol.HTTP) as stub, Client() as client:
            peer = plain(await stub.start(LOCAL, 0))
            path = b"/" + b"\xe9" * (size // 6)
            for request in (
                Http1Request(method=b"GET", path=b"/" + b"x" * size, host=b"x"),
                Http2Request(method=b"GET", path=path, authority=b"x"),
            ):
                answer = await client.send(request, peer)
                assert isinstance(answer, Answered)
                assert json.loads(answer.body)["path"] == request.path.decode("latin-1")

    run(scenario())


def test_many_streams_at_once_are_answered_apart() -> None:
    async def scenario() -> None:
        async with Stub("a.b", Protocol.HTTP, reply=lambda _request: Reply(delay_s=0.02)) as stub, Client() as client:
            peer = plain(await stub.start(LOCAL, 0))
            requests = [Http2Request(method=b"GET", path=b"/%d" % n, authority=b"x") for n in range(20)]
            answers = await asyncio.gather(*(client.send(request, peer) for request in requests))
            paths = [json.loads(answer.body)["path"] for answer in answers if isinstance(answer, Answered)]
            assert paths == [f"/{n}" for n in range(20)]

    run(scenario())


def test_requests_can_be_waited_for() -> None:
    async def scenario() -> None:
        async with Stub("a.b", Protocol.HTTP) as stub, Client() as client:
            peer = plain(await stub.start(LOCAL, 0))
            waiting = asyncio.create_task(stub.wait_requests(2))
            await client.send(HTTP1, peer)
            await client.send(HTTP1, peer)
            await waiting
            with pytest.raises(TimeoutError):
                await stub.wait_requests(3, timeout_s=0.01)

    run(scenario())


def test_websocket_is_upgraded() -> None:
    async def scenario() -> None:
        async with Stub("a.b", Protocol.HTTP) as stub, Client() as client:
            upgrade = Http1Request(
                method=b"GET", path=b"/ws", host=b"x", headers=((b"connection", b"upgrade"), (b"upgrade", b"websocket"))
            )
            answer = await client.send(upgrade, plain(await stub.start(LOCAL, 0)))
            assert isinstance(answer, Answered)
            assert (answer.status, answer.served_by) == (101, "a.b")

    run(scenario())


def test_body_that_waits_for_permission_gets_it() -> None:
    async def scenario() -> None:
        async with Stub("a.b", Protocol.HTTP) as stub:
            reader, writer = await asyncio.open_connection(LOCAL, await stub.start(LOCAL, 0))
            writer.write(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            writer.write(b"hi")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert stub.requests[0].request.body == b"hi"
            writer.close()

    run(scenario())


@pytest.mark.parametrize("garbage", [b"", b"PRI * HT", b"\x16\x03\x01\x00", b"GET / HTTP/1.1\r\nhost: x\r\n"])
def test_peer_that_ends_or_speaks_nonsense_ends_its_connection_only(garbage: bytes) -> None:
    async def scenario() -> None:
        async with Stub("a.b", Protocol.HTTP) as stub, Client() as client:
            port = await stub.start(LOCAL, 0)
            reader, writer = await asyncio.open_connection(LOCAL, port)
            writer.write(garbage)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            assert isinstance(await client.send(HTTP1, plain(port)), Answered)
            assert len(stub.requests) == 1

    run(scenario())


def test_stop_aborts_open_connections_and_frees_the_port() -> None:
    async def scenario() -> None:
        async with Client() as client:
            stub = Stub("a.b", Protocol.HTTP)
            port = await stub.start(LOCAL, 0)
            assert isinstance(await client.send(HTTP1, plain(port)), Answered)
            await stub.stop()
            again = Stub("c.d", Protocol.HTTP)
            assert await again.start(LOCAL, port) == port
            answer = await client.send(RawHttp1Request(payload=b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"), plain(port))
            assert isinstance(answer, Answered)
            assert answer.served_by == "c.d"
            await again.stop()

    run(scenario())
