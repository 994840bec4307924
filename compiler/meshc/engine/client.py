"""The client: sends one real request exactly as told, and says what became of it.

Honest requests to one peer share connections, since random testing sends thousands; a connection that turns out to be
closed when it is used again is replaced, so a refusal is always that of a fresh one.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

from meshc.engine.connections import ClosedBeforeAnswerError, Connector, Streams, receive, send
from meshc.engine.exchange import (
    Greeted,
    Http1Request,
    Http2Request,
    HttpMessage,
    Line,
    Outcome,
    Peer,
    RawHttp1Request,
    Stage,
    TimedOut,
)
from meshc.engine.http_client import Http1Connection, Http2Connection, HttpOutcome
from meshc.engine.stubs import BANNER

_HTTP1: Final = ("http/1.1",)
_HTTP2: Final = ("h2",)

_Request = TypeVar("_Request")
_Request_contra = TypeVar("_Request_contra", contravariant=True)


class _HttpConnection(Protocol[_Request_contra]):
    """What both versions of HTTP have in common."""

    is_reusable: bool

    async def exchange(self, request: _Request_contra) -> HttpOutcome: ...
    def close(self) -> None: ...


class Client:
    """A sender of requests with its pool of connections; an asynchronous context that closes them at its end.

    Requests may be sent concurrently. `connect_timeout_s` covers TCP and TLS, `timeout_s` everything.
    """

    def __init__(self, *, connect_timeout_s: float = 3.0, timeout_s: float = 10.0) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._timeout_s = timeout_s
        self._connector = Connector()
        self._idle_http1: defaultdict[Peer, list[_HttpConnection[Http1Request | RawHttp1Request]]] = defaultdict(list)
        self._idle_http2: defaultdict[Peer, list[_HttpConnection[Http2Request]]] = defaultdict(list)

    async def send(self, request: HttpMessage | Line, peer: Peer, *, on_fresh_connection: bool = False) -> Outcome:
        """What becomes of one request. Hostile ones should go `on_fresh_connection`; raw ones always do.

        Raises OSError if the source address or a certificate's file cannot be used: the caller's mistake, and no outcome.
        """
        is_fresh = on_fresh_connection or isinstance(request, RawHttp1Request)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._send(request, peer, is_fresh=is_fresh)
        except ClosedBeforeAnswerError as error:
            return error.refused
        except _ConnectTimeoutError:
            return TimedOut(after_s=self._connect_timeout_s)
        except TimeoutError:
            return TimedOut(after_s=self._timeout_s)

    async def close(self) -> None:
        """Close every idle connection."""
        for http1 in self._idle_http1.values():
            for connection in http1:
                connection.close()
        for http2 in self._idle_http2.values():
            for stream_connection in http2:
                stream_connection.close()
        self._idle_http1.clear()
        self._idle_http2.clear()
        # One turn of the loop, in which the transports let go of their sockets.
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(self, request: HttpMessage | Line, peer: Peer, *, is_fresh: bool) -> Outcome:
        match request:
            case Line():
                return await _exchange_line(await self._connect(peer, ()), request)
            case Http2Request():

                async def open_http2() -> Http2Connection:
                    return Http2Connection(await self._connect(peer, _HTTP2))

                return await _exchange_pooled(request, None if is_fresh else self._idle_http2[peer], open_http2)
            case Http1Request() | RawHttp1Request():

                async def open_http1() -> Http1Connection:
                    return Http1Connection(await self._connect(peer, _HTTP1))

                return await _exchange_pooled(request, None if is_fresh else self._idle_http1[peer], open_http1)

    async def _connect(self, peer: Peer, alpn: tuple[str, ...]) -> Streams:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                return await self._connector.connect(peer, alpn)
        except TimeoutError as error:
            raise _ConnectTimeoutError from error


class _ConnectTimeoutError(Exception):
    """No connection came about in time."""


async def _exchange_pooled(
    request: _Request,
    idle: list[_HttpConnection[_Request]] | None,
    connect: Callable[[], Awaitable[_HttpConnection[_Request]]],
) -> HttpOutcome:
    """Exchange over an idle connection, or over a new one if there is none or it is closed; None: over a new, unkept one.

    At most two are tried: a request that its server answers by closing the connection would use up every idle one.
    """
    if idle:
        with suppress(ClosedBeforeAnswerError):
            return await _exchange(request, idle.pop(), idle)
    return await _exchange(request, await connect(), idle)


async def _exchange(
    request: _Request, connection: _HttpConnection[_Request], idle: list[_HttpConnection[_Request]] | None
) -> HttpOutcome:
    try:
        return await connection.exchange(request)
    finally:
        if idle is not None and connection.is_reusable:
            idle.append(connection)
        else:
            connection.close()


async def _exchange_line(streams: Streams, line: Line) -> Outcome:
    """Greeted only if the whole line came back: a proxy that lets the greeting through may still refuse the line."""
    try:
        await send(streams, line.content)
        received = b""
        while not (received.startswith(BANNER) and received.partition(b"\n")[2].endswith(line.content)):
            part = await receive(streams)
            if not part:
                raise ClosedBeforeAnswerError(Stage.CLOSED, "closed")
            received += part
    finally:
        streams.writer.transport.abort()
    return Greeted(served_by=received.partition(b"\n")[0].removeprefix(BANNER).decode("latin-1"))
