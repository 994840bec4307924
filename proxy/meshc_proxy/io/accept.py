"""The first bytes of a connection: what it speaks, and whom a TLS client wants, read without being taken."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from meshc_proxy.io.channel import BrokenOffError, Channel
from meshc_proxy.wire import Connection
from meshc_proxy.wire.hello import HelloError, read_hello
from meshc_proxy.wire.http1_server import Http1Server
from meshc_proxy.wire.http2_sides import Http2Server
from meshc_proxy.wire.limits import ServerLimits
from meshc_proxy.wire.sniff import Spoken, sniff

_Found = TypeVar("_Found")


class AcceptError(Exception):
    """A connection that speaks what its port does not; the text is a label of metrics."""


async def peek(
    channel: Channel, read: Callable[[bytes], _Found | None], seconds: float, *, may_be_silent: bool = False
) -> _Found | None:
    """What the first bytes are, which stay unread. None at their end, or, where silence is allowed, after a while.

    Raises AcceptError for a client that takes too long, and BrokenOffError.
    """
    first = b""
    try:
        async with asyncio.timeout(seconds):
            while (found := read(first)) is None:
                more = await channel.read()
                if not more:
                    break
                first += more
    except TimeoutError:
        if not may_be_silent:
            raise AcceptError("timeout") from None
        found = None
    channel.unread(first)
    return found


async def hello_of(channel: Channel, limits: ServerLimits) -> str | None:
    """The server name of a TLS client whose TLS is not ours to end. Raises AcceptError for anything but TLS."""
    try:
        hello = await peek(channel, read_hello, limits.first_seconds)
    except HelloError:
        raise AcceptError("not-tls") from None
    if hello is None:
        raise AcceptError("truncated")
    return hello.server_name


async def http_connection(channel: Channel, protocol: str, scheme: bytes, limits: ServerLimits) -> Connection:
    """The codec of an HTTP connection: by ALPN's choice, else by its first bytes. Raises AcceptError for other bytes."""
    spoken: Spoken | None
    match protocol:
        case "h2":
            spoken = Spoken.HTTP2
        case "http/1.1":
            spoken = Spoken.HTTP1
        case _:
            spoken = await peek(channel, sniff, limits.first_seconds)
    now = time.monotonic()
    match spoken:
        case Spoken.HTTP2:
            connection = Http2Server(scheme=scheme, now=now, limits=limits.http2)
            channel.write(connection.output())
            return connection
        case Spoken.HTTP1 | Spoken.OPAQUE:
            # What is no request at all is answered by the gate, with 400.
            return Http1Server(scheme=scheme, now=now, limits=limits.http1)
        case None:
            raise BrokenOffError("truncated")
        case Spoken.TLS:
            raise AcceptError("tls-on-plaintext")
