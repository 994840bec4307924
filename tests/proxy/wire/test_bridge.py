"""From one version of HTTP to the other: through two codecs back to back, as a proxy would."""

from dataclasses import replace

import pytest

from meshc_proxy.wire import bridge
from meshc_proxy.wire.events import Data, End, Event, Headers, MessageEvent, RequestHead, ResponseHead, Trailers
from meshc_proxy.wire.http1_client import Http1Client
from meshc_proxy.wire.http1_server import Http1Server
from meshc_proxy.wire.http2_sides import Http2Client, Http2Server


def pair() -> tuple[Http2Client, Http2Server]:
    """An HTTP/2 client and server that have greeted each other."""
    client, server = Http2Client(now=0.0), Http2Server(scheme=b"http", now=0.0)
    for _ in range(2):
        server.receive(client.output(), 0.0)
        client.receive(server.output(), 0.0)
    return client, server


def messages(events: tuple[Event, ...]) -> list[MessageEvent]:
    """What can be sent on."""
    return [event for event in events if isinstance(event, MessageEvent)]


def through_http2(data: bytes) -> tuple[Event, ...]:
    """What an HTTP/2 upstream gets of an HTTP/1.1 request."""
    client, server = pair()
    sent = b"".join(map(client.send, messages(Http1Server(scheme=b"http", now=0.0).receive(data, 0.0))))
    return server.receive(sent, 0.0)


def as_http1(*events: RequestHead | Data | Trailers | End) -> bytes:
    """What an HTTP/1.1 upstream gets of an HTTP/2 request."""
    client, server = pair()
    received = server.receive(b"".join(client.send(event) for event in events), 0.0)
    upstream = Http1Client(now=0.0)
    return b"".join(map(upstream.send, messages(received)))


def head(*, ends: bool = True, fields: Headers = (), method: bytes = b"GET") -> RequestHead:
    return RequestHead(
        stream=1, method=method, scheme=b"http", authority=b"a.b:80", path=b"/x?y", headers=fields, ends=ends
    )


def test_host_and_authority() -> None:
    (request, end) = through_http2(b"GET /x?y HTTP/1.1\r\nHost: a.b:80\r\n\r\n")
    assert request == head()
    assert end == End(stream=1)
    assert as_http1(head()) == b"GET /x?y HTTP/1.1\r\nhost: a.b:80\r\n\r\n"


def test_an_absolute_target_is_not_sent_on() -> None:
    assert through_http2(b"GET http://A.b:80/x?y HTTP/1.1\r\nHost: a.b:80\r\n\r\n")[0] == RequestHead(
        stream=1, method=b"GET", scheme=b"http", authority=b"A.b:80", path=b"/x?y", headers=(), ends=True
    )


def test_hop_by_hop_fields_go() -> None:
    (request, _) = through_http2(
        b"GET /x?y HTTP/1.1\r\nHost: a.b:80\r\nConnection: close, x-mine\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n"
        b"Proxy-Authorization: x\r\nX-Mine: 1\r\nX-Yours: 2\r\nTE: gzip, trailers\r\nUpgrade: h2c\r\n\r\n"
    )
    assert request == head(fields=((b"x-yours", b"2"), (b"te", b"trailers")))


@pytest.mark.parametrize(
    "name",
    [
        b"authorization",
        b"x-forwarded-client-cert",
        b"x-forwarded-for",
        b"l5d-client-id",
        b"x-request-id",
        b"cookie",
        b"content-type",
    ],
)
def test_connection_cannot_take_identity_away(name: bytes) -> None:
    (request, _) = through_http2(b"GET /x?y HTTP/1.1\r\nHost: a.b:80\r\nConnection: %b\r\n%b: v\r\n\r\n" % (name, name))
    assert request == head(fields=((name, b"v"),))


def test_connection_cannot_take_the_host_or_length_away() -> None:
    data = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: host, content-length\r\nContent-Length: 2\r\n\r\nhi"
    assert through_http2(data)[1:] == (Data(stream=1, data=b"hi"), End(stream=1))


def test_cookies_are_joined_towards_http1() -> None:
    fields = ((b"cookie", b"a=b"), (b"x", b"y"), (b"cookie", b"c=d"))
    assert bridge.join_cookies(fields) == ((b"cookie", b"a=b; c=d"), (b"x", b"y"))
    assert as_http1(head(fields=fields)).endswith(b"\r\ncookie: a=b; c=d\r\nx: y\r\n\r\n")


def test_a_body_of_unknown_length_is_chunked_and_trailers_pass() -> None:
    sent = as_http1(
        head(method=b"POST", ends=False, fields=((b"te", b"trailers"),)),
        Data(stream=1, data=b"hello"),
        Trailers(stream=1, headers=((b"sum", b"1"),)),
        End(stream=1),
    )
    assert sent.endswith(b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nsum: 1\r\n\r\n")
    assert b"te: trailers\r\nconnection: te\r\n" in sent


def test_a_known_length_stays() -> None:
    sent = as_http1(
        head(method=b"POST", ends=False, fields=((b"content-length", b"5"),)),
        Data(stream=1, data=b"hello"),
        End(stream=1),
    )
    assert sent.endswith(b"content-length: 5\r\n\r\nhello")


GRPC = ((b"content-type", b"application/grpc"),)


def test_grpc_trailers_reach_an_http1_client() -> None:
    server = Http1Server(scheme=b"http", now=0.0)
    server.receive(b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nContent-Length: 0\r\n\r\n", 0.0)
    sent = server.send(ResponseHead(stream=1, status=200, headers=(*GRPC, (b"content-length", b"5"))))
    sent += server.send(Data(stream=1, data=b"hello"))
    sent += server.send(Trailers(stream=1, headers=((b"grpc-status", b"0"),))) + server.send(End(stream=1))
    assert b"content-length" not in sent
    assert sent.endswith(b"5\r\nhello\r\n0\r\ngrpc-status: 0\r\n\r\n")


def test_a_grpc_answer_without_body_crosses_both_ways() -> None:
    server = Http1Server(scheme=b"http", now=0.0)
    server.receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 0.0)
    only = ResponseHead(stream=1, status=200, headers=(*GRPC, (b"grpc-status", b"7")), ends=True)
    sent = server.send(only) + server.send(End(stream=1))
    client = Http1Client(now=0.0)
    client.send(head(method=b"POST"))
    (back, end) = client.receive(sent, 0.0)
    assert isinstance(back, ResponseHead)
    assert (back.ends, end) == (True, End(stream=1))
    caller, called = pair()
    called.receive(caller.send(head(method=b"POST")), 0.0)
    assert caller.receive(called.send(back), 0.0) == (back, End(stream=1))


def test_what_is_grpc() -> None:
    kinds = {
        b"application/grpc": True,
        b"application/grpc+proto": True,
        b"application/grpc-web": False,
        b"text/plain": False,
    }
    assert {kind: bridge.is_grpc(((b"content-type", kind),)) for kind in kinds} == kinds
    assert not bridge.is_grpc(())


def test_a_websocket_crosses_from_http1_to_http2() -> None:
    front = Http1Server(scheme=b"http", now=0.0)
    (asked,) = front.receive(
        b"GET /x?y HTTP/1.1\r\nHost: a.b:80\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        0.0,
    )
    assert isinstance(asked, RequestHead)
    client, server = pair()
    (got,) = server.receive(client.send(asked), 0.0)
    # HTTP/2 has no key (RFC 8441 section 5).
    assert got == replace(asked, headers=())
    answer = ResponseHead(stream=1, status=101, headers=())
    (back,) = client.receive(server.send(answer), 0.0)
    assert back == answer
    sent = front.send(back)
    assert sent.startswith(
        b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    )
