"""What traces of HTTP/2 have in common: frames, connections, and the errors that end them."""

import struct
from typing import TypeVar

from hpack import Encoder

from meshc_proxy.wire.events import (
    Event,
    Headers,
    RequestHead,
)
from meshc_proxy.wire.frames import PREFACE, FrameCutter, Kind
from meshc_proxy.wire.http2_sides import Http2Client, Http2Server
from meshc_proxy.wire.limits import Http2Limits

T = TypeVar("T")


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


SETTINGS = frame(Kind.SETTINGS)
HELLO = PREFACE + SETTINGS
FIELDS = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")]


def headers(fields: list[tuple[bytes, bytes]], stream: int = 1, *, ends: bool = True) -> bytes:
    """A HEADERS frame that leaves no trace in the HPACK table."""
    encoder = Encoder()
    encoder.header_table_size = 0
    block = encoder.encode([(name, value, True) for name, value in fields], huffman=False)
    return frame(Kind.HEADERS, 0x4 | int(ends), stream, block)


def server(limits: Http2Limits | None = None) -> Http2Server:
    return Http2Server(scheme=b"http", now=0.0, limits=limits)


def only(events: tuple[Event, ...] | list[Event], kind: type[T]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]


def request(
    client: Http2Client, method: bytes = b"GET", *, ends: bool = True, fields: Headers = (), upgrade: bytes = b""
) -> RequestHead:
    return RequestHead(
        stream=client.next_stream,
        method=method,
        scheme=b"http",
        authority=b"a",
        path=b"/",
        headers=fields,
        ends=ends,
        upgrade=upgrade,
    )


def connected(limits: Http2Limits | None = None) -> tuple[Http2Client, Http2Server]:
    client, one = Http2Client(now=0.0, limits=limits), server(limits)
    for _ in range(2):
        one.receive(client.output(), 0.0)
        client.receive(one.output(), 0.0)
    return client, one


def codes(output: bytes) -> list[int]:
    """The error codes of the GOAWAY frames in some output."""
    cutter = FrameCutter(expects_preface=False, limits=Http2Limits())
    cut = list(cutter.cut(SETTINGS + output))
    return [struct.unpack(">I", one.payload[4:8])[0] for one in cut if one.kind == Kind.GOAWAY]
