"""The first bytes of a connection: what it speaks, and whom a TLS client wants, read without being taken."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

from meshc_proxy.io.channel import BrokenOffError, Channel
from meshc_proxy.wire import Connection
from meshc_proxy.wire.hello import HelloError, read_hello
from meshc_proxy.wire.http1_server import Http1Server
from meshc_proxy.wire.http2_sides import Http2Server
from meshc_proxy.wire.sniff import Spoken, sniff

FIRST_BYTES_S: Final = 5.0
"""How long a client may take until it has shown what it speaks, in seconds."""

_Found = TypeVar("_Found")


class AcceptError(Exception):
    """A connection that speaks what its port does not; the text is a label of metrics."""


async def peek(
    channel: Channel, read: Callable[[bytes], _Found | None], *, may_be_silent: bool = False
) -> _Found | None:
    """What the first bytes are, which stay unread. None at their end, or, where silence is allowed, after a while.

    Raises AcceptError for a client that takes too long, and BrokenOffError.
    """
    first = b""
    try:
        async with asyncio.timeout(FIRST_BYTES_S):
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


async def hello_of(channel: Channel) -> str | None:
    """The server name of a TLS client whose TLS is not ours to end. Raises AcceptError for anything but TLS."""
    try:
        hello = await peek(channel, read_hello)
    except HelloError:
        raise AcceptError("not-tls") from None
    if hello is None:
        raise AcceptError("truncated")
    return hello.server_name


async def http_connection(channel: Channel, protocol: str, scheme: bytes) -> Connection:
    """The codec of an HTTP connection: by ALPN's choice, else by its first bytes. Raises AcceptError for other bytes."""
    spoken: Spoken | None
    match protocol:
        case "h2":
            spoken = Spoken.HTTP2
        case "http/1.1":
            spoken = Spoken.HTTP1
        case _:
            spoken = await peek(channel, sniff)
    now = time.monotonic()
    match spoken:
        case Spoken.HTTP2:
            connection = Http2Server(scheme=scheme, now=now)
            channel.write(connection.output())
            return connection
        case Spoken.HTTP1 | Spoken.OPAQUE:
            # What is no request at all is answered by the gate, with 400.
            return Http1Server(scheme=scheme, now=now)
        case None:
            raise BrokenOffError("truncated")
        case Spoken.TLS:
            raise AcceptError("tls-on-plaintext")
