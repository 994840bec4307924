"""h11 beside the intake: fed with what passed the gate, it keeps the state of the connection and frames what we send.

What h11 would take and the gate does not never reaches it. Where h11 still refuses, that is a refusal like the gate's;
where it refuses what we send, the caller has made a mistake, or a value would have split the message.
"""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final

import h11

from meshc_proxy.wire import bridge
from meshc_proxy.wire.events import Fault, Headers, Informational, MisuseError, Refusal, RequestHead, ResponseHead
from meshc_proxy.wire.gate import Framing
from meshc_proxy.wire.grammar import check_authority, check_fields, check_method, check_path
from meshc_proxy.wire.intake import Intake
from meshc_proxy.wire.limits import Http1Limits

_Sendable = h11.Request | h11.Response | h11.InformationalResponse
_PHRASES: Final = {one.value: one.phrase.encode("ascii") for one in HTTPStatus}
_NO_FRAMING = frozenset({b"transfer-encoding", b"connection", b"upgrade", b"keep-alive", b"te"})


class Parser:
    """One connection's h11 and intake, for the role `h11.SERVER` or `h11.CLIENT`."""

    def __init__(self, role: type[h11.SERVER] | type[h11.CLIENT], limits: Http1Limits) -> None:
        self._role = role
        # The intake has bounded heads already; h11 counts a line ending more.
        self._h11 = h11.Connection(role, max_incomplete_event_size=4 * limits.head.head_bytes)
        self._intake = Intake(limits)
        self._trailers: Headers = ()
        self._keep_trailers = False
        self._chunked = False
        self.until_close = False
        """Whether the body that is being read ends with the connection."""

    @property
    def held(self) -> int:
        """Bytes that were received and not read yet."""
        return len(self._intake)

    @property
    def began(self) -> bool:
        """Whether a part of the next head is there."""
        return self._intake.began

    @property
    def switched(self) -> bool:
        """Whether the connection is a tunnel."""
        return self._h11.our_state is h11.SWITCHED_PROTOCOL

    def feed(self, data: bytes) -> None:
        """Add what the connection gave."""
        self._intake.feed(data)

    def head(self) -> tuple[bytes, ...] | None:
        """The lines of the next head, once complete."""
        return self._intake.head()

    def rest(self) -> bytes:
        """Everything that was not read."""
        return self._intake.rest()

    def accept_request(self, lines: Sequence[bytes], framing: Framing) -> None:
        """Have h11 read the head that passed the gate."""
        self._accept(lines, framing)

    def accept_response(self, lines: Sequence[bytes], framing: Framing) -> None:
        """Have h11 read the head that passed the gate; `framing` takes the request into account."""
        self._accept(lines, framing)

    def body(self) -> Iterator[h11.Data | h11.EndOfMessage]:
        """What there is of the body now."""
        while True:
            checked = self._intake.body()
            if checked:
                self._h11.receive_data(checked)
            while isinstance(event := self._next(), h11.Data | h11.EndOfMessage):
                yield event
                if isinstance(event, h11.EndOfMessage):
                    return
            if not checked:
                return

    def skip_end(self) -> None:
        """Take the end of a request that asked for a tunnel and got none."""
        while isinstance(self._next(), h11.EndOfMessage):
            pass

    def next_cycle(self) -> bool:
        """Begin another exchange; False if this connection has seen its last."""
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        self._intake.next_message()
        return True

    def send(self, message: _Sendable, *, keep_trailers: bool = False) -> bytes:
        """Bytes of a head; `keep_trailers`: the peer takes trailers where the body's framing has room for them."""
        self._keep_trailers = keep_trailers
        sent = self._send(message)
        if not isinstance(message, h11.InformationalResponse):
            self._chunked = b"\r\ntransfer-encoding: chunked\r\n" in sent.lower()
        return sent

    def send_data(self, data: bytes) -> bytes:
        """Bytes of a part of the body."""
        return self._send(h11.Data(data=data))

    def hold_trailers(self, headers: Headers) -> None:
        """Keep trailers for the end, where the framing has room for them and the peer wants them; else drop them."""
        if self._chunked and self._keep_trailers:
            self._trailers = bridge.trailers(headers)

    def send_end(self) -> bytes:
        """Bytes that end the message."""
        trailers, self._trailers = self._trailers, ()
        _check(trailers)
        return self._send(h11.EndOfMessage(headers=list(trailers)))

    def _send(self, message: _Sendable | h11.Data | h11.EndOfMessage) -> bytes:
        try:
            return self._h11.send(message)
        except h11.LocalProtocolError as error:
            raise MisuseError(str(error)) from error

    def _accept(self, lines: Sequence[bytes], framing: Framing) -> None:
        self._h11.receive_data(b"".join(line + b"\r\n" for line in (*lines, b"")))
        event = self._next()
        if not isinstance(event, _Sendable):
            raise Refusal(Fault.UNEXPECTED)
        if isinstance(event, h11.InformationalResponse):
            self._intake.next_message()
            return
        self._intake.begin_body(framing)
        self.until_close = framing == Framing()

    def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise Refusal(Fault.PROTOCOL, error.error_status_hint) from error


def request_to_h11(head: RequestHead) -> h11.Request:
    """The request as HTTP/1.1 writes it. Raises MisuseError for what would not be one request."""
    headers = _end_to_end(head.headers)
    method = b"GET" if head.upgrade else head.method
    try:
        check_method(method)
        check_authority(head.authority)
        if method != b"CONNECT":
            check_path(method, head.path)
    except Refusal as refusal:
        raise MisuseError(refusal.fault.value) from refusal
    if (b"te", b"trailers") in head.headers:
        headers = (*headers, (b"te", b"trailers"), (b"connection", b"te, upgrade" if head.upgrade else b"te"))
    elif head.upgrade:
        headers = (*headers, (b"connection", b"upgrade"))
    if head.upgrade:
        headers = (*bridge.without(headers, b"content-length"), (b"upgrade", head.upgrade))
    elif not head.ends and method != b"CONNECT" and bridge.value_of(headers, b"content-length") is None:
        headers = (*headers, (b"transfer-encoding", b"chunked"))
    target = head.authority if method == b"CONNECT" else head.path
    return _build_request(method, target, ((b"host", head.authority), *headers))


def response_to_h11(
    head: ResponseHead | Informational, *, close: bool = False, request: RequestHead | None = None
) -> h11.Response | h11.InformationalResponse:
    """The response as HTTP/1.1 writes it. Raises MisuseError for what would not be one response."""
    headers = _end_to_end(head.headers)
    if head.status < 200:
        if request is not None and request.upgrade and head.status == 101:
            headers = (*_with_accept(headers, request), (b"connection", b"upgrade"), (b"upgrade", request.upgrade))
        return h11.InformationalResponse(status_code=head.status, headers=list(headers), reason=_phrase(head.status))
    if close:
        headers = (*headers, (b"connection", b"close"))
    if isinstance(head, ResponseHead):
        headers = _with_length(head, headers, request)
    return h11.Response(status_code=head.status, headers=list(headers), reason=_phrase(head.status))


def _phrase(status: int) -> bytes:
    """What a status is called; empty for one without a name."""
    return _PHRASES.get(status, b"")


def _with_accept(headers: Headers, request: RequestHead) -> Headers:
    """Prove to the client that its WebSocket was agreed to, where the upstream, over HTTP/2, could not."""
    key = bridge.value_of(request.headers, b"sec-websocket-key")
    if key is None or bridge.value_of(headers, b"sec-websocket-accept") is not None:
        return headers
    return (*headers, (b"sec-websocket-accept", bridge.websocket_accept(key)))


def _with_length(head: ResponseHead, headers: Headers, request: RequestHead | None) -> Headers:
    """Say that there is no body, or leave room for gRPC's trailers."""
    method = b"" if request is None else request.method
    bodiless = head.status in {204, 304} or method == b"HEAD" or (method == b"CONNECT" and head.status < 300)
    if head.ends and not bodiless and bridge.value_of(headers, b"content-length") is None:
        return (*headers, (b"content-length", b"0"))
    if head.status == 204:
        return bridge.without(headers, b"content-length")
    if not head.ends and bridge.is_grpc(headers):
        return bridge.without(headers, b"content-length")
    return headers


def _end_to_end(headers: Headers) -> Headers:
    _check(headers)
    return bridge.join_cookies(tuple(field for field in headers if field[0] not in _NO_FRAMING and field[0] != b"host"))


def _check(headers: Headers) -> None:
    try:
        check_fields(headers)
    except Refusal as refusal:
        raise MisuseError(f"a header that is none: {refusal.fault.value}") from refusal


def _build_request(method: bytes, target: bytes, headers: Headers) -> h11.Request:
    try:
        return h11.Request(method=method, target=target, headers=list(headers))
    except h11.LocalProtocolError as error:
        raise MisuseError(str(error)) from error
