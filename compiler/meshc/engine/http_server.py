"""HTTP/1.1 and HTTP/2 with prior knowledge on one asyncio stream, whichever the peer begins to speak.

The server side of the stub services. It reports requests as they came, byte for byte and in order, so it validates
nothing that it can let pass; what answers them is a function given by the caller.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h11

Headers = tuple[tuple[bytes, bytes], ...]
"""Header fields in the order of the wire; names may repeat."""

_READ_SIZE: Final = 65536
_MAX_HEAD_SIZE: Final = 1 << 20
_HTTP2_PREFACE: Final = b"PRI * HTTP/2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request as received. `protocol` is `HTTP/1.1` or `HTTP/2`; over HTTP/2 `headers` keeps the pseudo headers."""

    protocol: str
    method: bytes
    path: bytes
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, whose name is given in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), None)


class Abort(Enum):
    """Where an answer breaks off: HTTP/1 closes the connection there, HTTP/2 resets the stream.

    REFUSE is HTTP/2's REFUSED_STREAM, which says that nothing was done yet; HTTP/1 knows no such thing, and closes.
    AFTER_HEADERS sends the first half of the body too.
    """

    BEFORE_HEADERS = "before headers"
    AFTER_HEADERS = "after headers"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What to answer; `trailers` are sent over HTTP/2 only, and `abort` ends the answer before its end."""

    status: int
    headers: Headers = ()
    body: bytes = b""
    trailers: Headers = ()
    abort: Abort | None = None


Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]


async def serve_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
    """Answer every request of one connection with `handler`; returns when the peer is done or speaks something else."""
    first = b""
    while _HTTP2_PREFACE.startswith(first[: len(_HTTP2_PREFACE)]) and len(first) < len(_HTTP2_PREFACE):
        received = await reader.read(_READ_SIZE)
        if not received:
            return
        first += received
    if first.startswith(_HTTP2_PREFACE):
        await _Http2Server(reader, writer, handler).serve(first)
    else:
        with suppress(h11.RemoteProtocolError):
            await _serve_http1(reader, writer, handler, first)


async def _serve_http1(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler, first: bytes
) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_SIZE)
    connection.receive_data(first)
    while (request := await _next_http1_request(connection, reader, writer)) is not None:
        response = await handler(request)
        if response.abort is not None and response.abort is not Abort.AFTER_HEADERS:
            return
        if (request.header(b"upgrade") or b"").lower() == b"websocket" and response.status == 200:
            await _echo_upgraded(connection, reader, writer, response)
            return
        has_body = request.method != b"HEAD" and response.status not in {204, 304}
        headers = [*response.headers, (b"content-length", str(len(response.body)).encode())]
        out = connection.send(h11.Response(status_code=response.status, headers=headers)) or b""
        if response.abort is Abort.AFTER_HEADERS:
            writer.write(out + response.body[: len(response.body) // 2])
            await writer.drain()
            return
        if has_body:
            out += connection.send(h11.Data(data=response.body)) or b""
        writer.write(out + (connection.send(h11.EndOfMessage()) or b""))
        await writer.drain()
        if connection.our_state is h11.MUST_CLOSE or connection.their_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _echo_upgraded(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, response: HttpResponse
) -> None:
    """Accept the upgrade to a WebSocket and send back whatever comes, frames unread."""
    headers = [*response.headers, (b"connection", b"upgrade"), (b"upgrade", b"websocket")]
    writer.write(connection.send(h11.InformationalResponse(status_code=101, headers=headers)) or b"")
    received, _ = connection.trailing_data
    while True:
        writer.write(received)
        await writer.drain()
        if not (received := await reader.read(_READ_SIZE)):
            return


async def _next_http1_request(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> HttpRequest | None:
    """The next complete request, or None at the end of the connection."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                if connection.they_are_waiting_for_100_continue:
                    writer.write(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
                connection.receive_data(await reader.read(_READ_SIZE))
            case h11.Request() as head:
                pass
            case h11.Data(data=part):
                body += part
            case h11.EndOfMessage() if head is not None:
                return HttpRequest(
                    protocol=f"HTTP/{head.http_version.decode()}",
                    method=head.method,
                    path=head.target,
                    headers=tuple(head.headers.raw_items()),
                    body=bytes(body),
                )
            case _:
                return None


class _Http2Server:
    """One HTTP/2 connection; every stream is answered in a task of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._connection = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=False,
                header_encoding=None,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
            )
        )
        self._heads: dict[int, Headers] = {}
        self._bodies: dict[int, bytearray] = {}
        self._answers: set[asyncio.Task[None]] = set()
        self._window_opened = asyncio.Event()

    async def serve(self, first: bytes) -> None:
        self._connection.initiate_connection()
        received = first
        try:
            while received:
                for event in self._connection.receive_data(received):
                    self._receive(event)
                await self._flush()
                received = await self._reader.read(_READ_SIZE)
        except h2.exceptions.ProtocolError:
            # The library has queued the GOAWAY that says why.
            await self._flush()
        finally:
            for task in self._answers:
                task.cancel()

    def _receive(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=stream, headers=headers):
                self._heads[stream] = tuple((bytes(name), bytes(value)) for name, value in headers)
                self._bodies[stream] = bytearray()
            case h2.events.DataReceived(stream_id=stream, data=part, flow_controlled_length=length):
                self._bodies[stream] += part
                self._connection.acknowledge_received_data(length, stream)
            case h2.events.StreamEnded(stream_id=stream):
                task = asyncio.create_task(self._answer(stream))
                self._answers.add(task)
                task.add_done_callback(self._answers.discard)
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self._window_opened.set()
            case _:
                pass

    async def _answer(self, stream: int) -> None:
        headers, body = self._heads.pop(stream), bytes(self._bodies.pop(stream))
        pseudo = dict(headers)
        method = pseudo.get(b":method", b"")
        response = await self._handler(
            HttpRequest(protocol="HTTP/2", method=method, path=pseudo.get(b":path", b""), headers=headers, body=body)
        )
        content = b"" if method == b"HEAD" else response.body
        # The peer may have reset the stream while the handler was at work.
        with suppress(h2.exceptions.ProtocolError, ConnectionError):
            if response.abort is not None:
                await self._abort(stream, response, response.abort)
                return
            head = [(b":status", str(response.status).encode()), *response.headers]
            self._connection.send_headers(stream, head, end_stream=not content and not response.trailers)
            await self._send_body(stream, content, ends_stream=not response.trailers)
            if response.trailers:
                self._connection.send_headers(stream, list(response.trailers), end_stream=True)
            await self._flush()

    async def _abort(self, stream: int, response: HttpResponse, abort: Abort) -> None:
        if abort is Abort.AFTER_HEADERS:
            head = [(b":status", str(response.status).encode()), *response.headers]
            self._connection.send_headers(stream, head)
            await self._send_body(stream, response.body[: len(response.body) // 2], ends_stream=False)
        is_refused = abort is Abort.REFUSE
        error = h2.errors.ErrorCodes.REFUSED_STREAM if is_refused else h2.errors.ErrorCodes.INTERNAL_ERROR
        self._connection.reset_stream(stream, error)
        await self._flush()

    async def _send_body(self, stream: int, body: bytes, *, ends_stream: bool) -> None:
        while body:
            window = self._connection.local_flow_control_window(stream)
            size = min(len(body), window, self._connection.max_outbound_frame_size)
            if size == 0:
                self._window_opened.clear()
                await self._flush()
                await self._window_opened.wait()
                continue
            part, body = body[:size], body[size:]
            self._connection.send_data(stream, part, end_stream=ends_stream and not body)

    async def _flush(self) -> None:
        self._writer.write(self._connection.data_to_send())
        await self._writer.drain()
