"""One HTTP connection, in HTTP/1.1 or HTTP/2, over which requests are sent one after the other.

Requests are written byte by byte as they are given; libraries only parse the answers. A connection says whether it can be
used again, and raises ClosedBeforeAnswerError if it ended before the answer began.
"""

from typing import Final

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h11

from meshc.engine.connections import ClosedBeforeAnswerError, Streams, receive, send
from meshc.engine.exchange import Answered, Broken, Http1Request, Http2Request, RawHttp1Request, Stage, StreamReset
from meshc.engine.http_server import Headers

_MAX_HEAD_SIZE: Final = 1 << 20
_HTTP1_BEGINNING: Final = b"HTTP/1."

HttpOutcome = Answered | StreamReset | Broken


class Http1Connection:
    """An HTTP/1.1 connection. After a raw request it is never used again: nobody knows what it holds."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self.is_reusable = True

    async def exchange(self, request: Http1Request | RawHttp1Request) -> HttpOutcome:
        """Send one request and read its answer; raises ClosedBeforeAnswerError."""
        self.is_reusable = False
        is_raw = isinstance(request, RawHttp1Request)
        is_head = request.is_head if isinstance(request, RawHttp1Request) else request.method == b"HEAD"
        await send(self._streams, request.payload if isinstance(request, RawHttp1Request) else _write_http1(request))
        parser = _answer_parser(is_head=is_head)
        try:
            outcome = await self._read_answer(parser)
        except h11.RemoteProtocolError as error:
            return Broken(detail=str(error))
        self.is_reusable = not is_raw and parser.their_state is h11.DONE
        return outcome

    def close(self) -> None:
        """Close the connection at once."""
        self._streams.writer.transport.abort()

    async def _read_answer(self, parser: h11.Connection) -> HttpOutcome:
        answer: h11.Response | h11.InformationalResponse | None = None
        body = bytearray()
        has_begun = False
        while True:
            match parser.next_event():
                case h11.NEED_DATA:
                    try:
                        received = await receive(self._streams)
                    except ClosedBeforeAnswerError as error:
                        if not has_begun:
                            raise
                        return Broken(detail=error.refused.detail)
                    if not has_begun:
                        _check_beginning(received)
                    has_begun = True
                    parser.receive_data(received)
                case h11.InformationalResponse(status_code=101) as answer:
                    break
                case h11.Response() as answer:
                    pass
                case h11.Data(data=part):
                    body += part
                case h11.EndOfMessage() | h11.ConnectionClosed():
                    break
                case _:
                    pass
        if answer is None:
            return Broken(detail="closed within the answer")
        return Answered(status=answer.status_code, headers=tuple(answer.headers), body=bytes(body))


class Http2Connection:
    """An HTTP/2 connection, one stream at a time."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._connection = h2.connection.H2Connection(
            h2.config.H2Configuration(
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
            )
        )
        self._connection.initiate_connection()
        self.is_reusable = True

    async def exchange(self, request: Http2Request) -> HttpOutcome:
        """Send one request and read its answer; raises ClosedBeforeAnswerError."""
        self.is_reusable = False
        stream = self._connection.get_next_available_stream_id()
        self._connection.send_headers(stream, _http2_head(request), end_stream=not request.body)
        body, size = request.body, self._connection.max_outbound_frame_size
        for start in range(0, len(body), size):
            self._connection.send_data(stream, body[start : start + size], end_stream=start + size >= len(body))
        answer = _Http2Answer(stream)
        while answer.outcome is None:
            await send(self._streams, self._connection.data_to_send())
            try:
                await self._receive_into(answer)
            except ClosedBeforeAnswerError as error:
                if answer.status is None:
                    raise
                return Broken(detail=error.refused.detail)
        await send(self._streams, self._connection.data_to_send())
        self.is_reusable = not answer.is_last
        return answer.outcome

    def close(self) -> None:
        """Close the connection at once."""
        self._streams.writer.transport.abort()

    async def _receive_into(self, answer: "_Http2Answer") -> None:
        received = await receive(self._streams)
        if not received:
            raise ClosedBeforeAnswerError(Stage.CLOSED, "closed")
        try:
            events = self._connection.receive_data(received)
        except h2.exceptions.ProtocolError as error:
            raise ClosedBeforeAnswerError(Stage.CLOSED, str(error)) from error
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                self._connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            answer.receive(event)


class _Http2Answer:
    """The answer on one stream, as far as it has come; `is_last` if the connection cannot take another request."""

    def __init__(self, stream: int) -> None:
        self.status: int | None = None
        self.outcome: HttpOutcome | None = None
        self.is_last = False
        self._stream = stream
        self._headers: Headers = ()
        self._trailers: Headers = ()
        self._body = bytearray()

    def receive(self, event: h2.events.Event) -> None:
        """Take in one event; raises ClosedBeforeAnswerError if the server gave the connection up."""
        match event:
            case h2.events.ResponseReceived(stream_id=self._stream, headers=headers):
                named = tuple((bytes(name), bytes(value)) for name, value in headers)
                self.status = int(dict(named)[b":status"])
                self._headers = tuple(field for field in named if not field[0].startswith(b":"))
            case h2.events.TrailersReceived(stream_id=self._stream, headers=trailers):
                self._trailers = tuple((bytes(name), bytes(value)) for name, value in trailers)
            case h2.events.DataReceived(stream_id=self._stream, data=part):
                self._body += part
            case h2.events.StreamEnded(stream_id=self._stream) if self.status is not None:
                self.outcome = Answered(
                    status=self.status, headers=self._headers, body=bytes(self._body), trailers=self._trailers
                )
            case h2.events.StreamReset(stream_id=self._stream, error_code=code) if self.outcome is None:
                self.outcome = (
                    StreamReset(error_code=int(code)) if self.status is None else Broken(detail=f"reset {code}")
                )
            case h2.events.ConnectionTerminated(error_code=code):
                self.is_last = True
                # RFC 9113 6.8 lets a server answer open streams after this; `h2` does not, so the request counts as unanswered.
                if self.outcome is None:
                    raise ClosedBeforeAnswerError(Stage.CLOSED, f"GOAWAY {code}")
            case _:
                pass


def _write_http1(request: Http1Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method, request.path)]
    if request.host is not None:
        lines.append(b"host: " + request.host)
    lines += [b"%s: %s" % field for field in request.headers]
    if request.body:
        lines.append(b"content-length: %d" % len(request.body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + request.body


def _check_beginning(received: bytes) -> None:
    """Raise ClosedBeforeAnswerError for an end, or for bytes that are no HTTP: a TLS server sends an alert in the clear."""
    if not received:
        raise ClosedBeforeAnswerError(Stage.CLOSED, "closed")
    if not received.startswith(_HTTP1_BEGINNING[: len(received)]):
        raise ClosedBeforeAnswerError(Stage.CLOSED, f"not HTTP: {received[:16]!r}")


def _answer_parser(*, is_head: bool) -> h11.Connection:
    """A parser that believes to have sent a plain request, for one that it would itself refuse to write.

    It offers an upgrade, so that an answer 101 is understood.
    """
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_SIZE)
    headers = [("host", "unused"), ("connection", "upgrade"), ("upgrade", "websocket")]
    parser.send(h11.Request(method="HEAD" if is_head else "GET", target="/", headers=headers))
    parser.send(h11.EndOfMessage())
    return parser


def _http2_head(request: Http2Request) -> list[tuple[bytes, bytes]]:
    head = [(b":method", request.method), (b":scheme", request.scheme)]
    if request.authority is not None:
        head.append((b":authority", request.authority))
    return [*head, (b":path", request.path), *request.headers]
