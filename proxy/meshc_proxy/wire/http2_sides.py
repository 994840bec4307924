"""HTTP/2 towards clients and towards upstreams: what each side does with heads."""

from typing import Final

import h2.events
from h2.errors import ErrorCodes

from meshc_proxy.wire.events import (
    Informational,
    MessageEvent,
    MisuseError,
    Refusal,
    RequestHead,
    ResetReason,
    ResponseHead,
)
from meshc_proxy.wire.heads2 import field_pairs, read_request, read_response, write_request, write_response
from meshc_proxy.wire.http2 import Exchange, Http2Side
from meshc_proxy.wire.limits import Http2Limits

_LAST_STREAM: Final = 2**31 - 1


class Http2Server(Http2Side):
    """The side that faces a client. `scheme` is that of the transport, whatever the client writes."""

    def __init__(self, *, scheme: bytes, now: float, limits: Http2Limits | None = None) -> None:
        super().__init__(client=False, now=now, limits=limits or Http2Limits())
        self._scheme = scheme

    def _read_head(self, event: h2.events.Event, now: float) -> None:
        if not isinstance(event, h2.events.RequestReceived):
            return
        stream = event.stream_id
        if self._leaving or len(self._exchanges) >= self._limits.streams:
            self._h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            self._floods.count_reset(now)
            return
        try:
            ends = event.stream_ended is not None
            head = read_request(stream, field_pairs(event.headers), self._scheme, self._limits.head, ends=ends)
        except Refusal as refusal:
            self._refuse(stream, refusal, now)
            return
        self._exchanges[stream] = Exchange(request=head)
        self._events.append(head)

    def _send_head(self, event: MessageEvent) -> None:
        if not isinstance(event, ResponseHead | Informational):
            raise MisuseError("a server sends no requests")
        exchange = self._exchanges[event.stream]
        request = exchange.request
        if exchange.answered:
            raise MisuseError("the request was answered")
        if event.status == 101 and not (request and request.upgrade):
            raise MisuseError("the client asked for no change of protocol")
        ends = isinstance(event, ResponseHead) and event.ends
        self._h2.send_headers(event.stream, write_response(event), end_stream=ends)
        exchange.answered = isinstance(event, ResponseHead)
        if ends:
            self._end_out(event.stream, exchange)

    def _reset_code(self, reason: ResetReason, exchange: Exchange) -> ErrorCodes:
        """NO_ERROR asks a client that was answered in full to stop sending (RFC 9113 section 8.1)."""
        if reason is ResetReason.CANCELLED and exchange.ended_out:
            return ErrorCodes.NO_ERROR
        return super()._reset_code(reason, exchange)


class Http2Client(Http2Side):
    """The side that faces an upstream; it opens streams while `free_streams` is not 0."""

    _eof_reason = ResetReason.TRUNCATED

    def __init__(self, *, now: float, limits: Http2Limits | None = None) -> None:
        super().__init__(client=True, now=now, limits=limits or Http2Limits())

    @property
    def free_streams(self) -> int:
        """How many more requests may be sent now: 0 once either side is leaving."""
        used_up = self._h2.highest_outbound_stream_id >= _LAST_STREAM - 2
        if self._over or self._draining or self._peer_leaving or used_up:
            return 0
        allowed = min(self._h2.remote_settings.max_concurrent_streams, self._limits.streams)
        return max(allowed - len(self._exchanges), 0)

    @property
    def takes_upgrades(self) -> bool:
        """Whether the upstream takes extended CONNECT (RFC 8441); it says so in its settings."""
        return self._h2.remote_settings.enable_connect_protocol == 1

    @property
    def next_stream(self) -> int:
        """The `stream` that the next request's head must have."""
        return self._h2.get_next_available_stream_id()

    def _goes_away(self, last: int) -> None:
        """Streams above `last` were never looked at: they may be tried elsewhere."""
        self._reset_all(last, ResetReason.REFUSED)

    def _read_head(self, event: h2.events.Event, now: float) -> None:
        if not isinstance(event, h2.events.ResponseReceived | h2.events.InformationalResponseReceived):
            return
        exchange = self._exchanges.get(event.stream_id)
        if exchange is None or exchange.request is None:
            return
        ends = isinstance(event, h2.events.ResponseReceived) and event.stream_ended is not None
        fields = field_pairs(event.headers)
        try:
            head = read_response(event.stream_id, fields, exchange.request, self._limits.head, ends=ends)
        except Refusal as refusal:
            self._refuse(event.stream_id, Refusal(refusal.fault, 502), now)
            return
        self._events.append(head)

    def _send_head(self, event: MessageEvent) -> None:
        if not isinstance(event, RequestHead):
            raise MisuseError("a client sends no responses")
        if not self.free_streams:
            raise MisuseError("the connection takes no more requests")
        if event.upgrade and not self.takes_upgrades:
            raise MisuseError("the upstream takes no upgrades over HTTP/2")
        if event.stream != self.next_stream:
            raise MisuseError("not the next stream")
        fields = write_request(event)
        self._h2.send_headers(event.stream, fields, end_stream=event.ends)
        exchange = Exchange(request=event)
        self._exchanges[event.stream] = exchange
        if event.ends:
            self._end_out(event.stream, exchange)
