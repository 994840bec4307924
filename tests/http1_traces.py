"""What traces of HTTP/1.1 have in common: messages, connections, and events put together."""

from meshc_proxy.wire.events import (
    Data,
    End,
    Event,
    RequestHead,
    ResponseHead,
)
from meshc_proxy.wire.http1_client import Http1Client
from meshc_proxy.wire.http1_server import Http1Server

GET = b"GET /x?y HTTP/1.1\r\nHost: a.b:80\r\n\r\n"
WEBSOCKET = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"


def head(
    method: bytes = b"GET",
    *,
    stream: int = 1,
    ends: bool = True,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    upgrade: bytes = b"",
) -> RequestHead:
    return RequestHead(
        stream=stream,
        method=method,
        scheme=b"http",
        authority=b"a",
        path=b"/",
        headers=headers,
        ends=ends,
        upgrade=upgrade,
    )


def ok(
    stream: int = 1, *, status: int = 200, ends: bool = False, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> ResponseHead:
    return ResponseHead(stream=stream, status=status, headers=headers, ends=ends)


def server() -> Http1Server:
    return Http1Server(scheme=b"http", now=0.0)


def asked(request: RequestHead) -> Http1Client:
    client = Http1Client(now=0.0)
    client.send(request)
    client.send(End(stream=request.stream))
    return client


def merged(events: list[Event]) -> list[Event]:
    """Without the places where data was cut."""
    result: list[Event] = []
    for event in events:
        if isinstance(event, Data) and result and isinstance(last := result[-1], Data):
            result[-1] = Data(stream=event.stream, data=last.data + event.data)
        else:
            result.append(event)
    return result
