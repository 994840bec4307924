"""HTTP/2 connections without I/O: h2 with its header validation on, behind counters of floods, in front of our heads.

One class for both sides, `Http2Server` and `Http2Client` say what differs. GOAWAY never reaches h2, which would end
every running stream with it: it is read and written here, so that streams up to the last one finish.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import h2.errors
import h2.events
import h2.exceptions
from hyperframe.frame import GoAwayFrame

from meshc_proxy.wire.codes import REASON_TO_CODE, code_to_reason
from meshc_proxy.wire.events import (
    Closed,
    Data,
    End,
    Event,
    Fault,
    GoAway,
    MessageEvent,
    MisuseError,
    Refusal,
    Refused,
    RequestHead,
    Reset,
    ResetReason,
    Trailers,
    Writable,
)
from meshc_proxy.wire.frames import Floods, Frame, FrameCutter, Kind
from meshc_proxy.wire.heads2 import field_pairs, read_trailers, write_headers
from meshc_proxy.wire.limits import Http2Limits
from meshc_proxy.wire.setup2 import open_connection

_Code = h2.errors.ErrorCodes
_LAST_STREAM: Final = 2**31 - 1
_TABLE: Final = 4096
_CALM: Final = frozenset(
    {Fault.RESET_FLOOD, Fault.CONTROL_FLOOD, Fault.OUTPUT_FLOOD, Fault.HEAD_TOO_LARGE, Fault.TIMEOUT}
)


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One stream that is open: its request, once known, and which directions have ended."""

    request: RequestHead | None = None
    answered: bool = False
    ended_in: bool = False
    ended_out: bool = False


class Http2Side:
    """What both sides share. Subclasses read heads, and send them."""

    _eof_reason = ResetReason.CANCELLED

    def __init__(self, *, client: bool, now: float, limits: Http2Limits) -> None:
        self._limits = limits
        self._h2 = open_connection(client=client, limits=limits)
        self._cutter = FrameCutter(expects_preface=not client, limits=limits)
        self._floods = Floods(limits, now)
        self._output = bytearray()
        self._events: list[Event] = []
        self._exchanges: dict[int, Exchange] = {}
        self._owed: dict[int, int] = {}
        self._since = now
        self._over = False
        self._draining = False
        self._leaving = False
        self._peer_leaving = False
        self._flush()

    @property
    def want_read(self) -> bool:
        """Whether to read: not while the peer leaves too much of our output unread."""
        return not self._over and len(self._output) <= self._limits.output_bytes // 2

    @property
    def half_closed(self) -> bool:
        """Never: HTTP/2 ends streams, and connections whole."""
        return False

    @property
    def done(self) -> bool:
        """Whether the connection is over, but for what `output` gives."""
        return self._over

    def receive(self, data: bytes, now: float) -> tuple[Event, ...]:
        """What `data` means."""
        if self._over:
            return ()
        busy = self._busy()
        try:
            for frame in self._cutter.cut(data):
                self._take(frame, now)
                self._bound_output()
                if self._over:
                    break
        except Refusal as refusal:
            self._cut(refusal.fault)
        if busy != self._busy():
            self._since = now
        return self.resume(now)

    def resume(self, now: float) -> tuple[Event, ...]:
        """What is known besides: the end, once the last stream of a connection that is left has ended."""
        if self._exchanges and not self._busy():
            self._since = now
        if (self._leaving or self._peer_leaving) and not self._exchanges and not self._over:
            self._close(clean=True)
        events = tuple(self._events)
        self._events.clear()
        return events

    def receive_eof(self, now: float) -> tuple[Event, ...]:
        """The peer will send nothing more: every open stream is over, in HTTP/2 both ways."""
        if not self._over:
            clean = not self._exchanges and not self._cutter.began
            self._reset_all(0, self._eof_reason)
            self._close(clean=clean)
        return self.resume(now)

    def deadline(self, now: float) -> float | None:
        """Seconds until `expire` must be called: for the handshake, an unfinished header block, or idleness."""
        if self._over:
            return None
        if self._busy():
            return max(self._since + self._limits.head_seconds - now, 0.0)
        if self._exchanges:
            self._since = now  # idleness begins when the last of them has ended
            return None
        return max(self._since + self._limits.idle_seconds - now, 0.0)

    def expire(self, now: float) -> tuple[Event, ...]:
        """Close if the deadline has passed."""
        if (left := self.deadline(now)) is None or left > 0:
            return ()
        if self._busy():
            self._cut(Fault.TIMEOUT)
        else:
            self._go_away(_Code.NO_ERROR, self._h2.highest_inbound_stream_id)
            self._close(clean=True)
        return self.resume(now)

    def drain(self) -> bytes:
        """Announce the end; called again, take no new streams and be done after the last one (RFC 9113 section 6.8)."""
        if not self._over:
            self._go_away(_Code.NO_ERROR, self._h2.highest_inbound_stream_id if self._draining else _LAST_STREAM)
            self._leaving = self._draining
            self._draining = True
        return self.output()

    def room(self, stream: int) -> int:
        """How many bytes of data `stream` may take now: the peer's windows, and what it leaves unread, bound it."""
        if (exchange := self._exchanges.get(stream)) is None or exchange.ended_out or self._over:
            return 0
        free = self._limits.output_bytes // 2 - len(self._output)
        return max(min(self._h2.local_flow_control_window(stream), free), 0)

    def consumed(self, stream: int, size: int) -> bytes:
        """Give back the credit of `size` bytes that were passed on, at most what the stream received."""
        size = min(size, self._owed.get(stream, 0))
        if size and not self._over:
            self._owed[stream] -= size
            self._acknowledge(stream, size)
            if not self._owed[stream] and stream not in self._exchanges:
                del self._owed[stream]
        return self.output()

    def output(self) -> bytes:
        """What must be written now."""
        self._flush()
        taken = bytes(self._output)
        self._output.clear()
        return taken

    def send(self, event: MessageEvent) -> bytes:
        """Bytes of an event. Raises MisuseError for what may not be sent; sends nothing on a stream that is over."""
        if self._over:
            return self.output()
        try:
            self._send(event)
        except h2.exceptions.ProtocolError as error:
            raise MisuseError(str(error)) from error
        return self.output()

    def _send(self, event: MessageEvent) -> None:
        if isinstance(event, RequestHead):
            self._send_head(event)
            return
        exchange = self._exchanges.get(event.stream)
        if exchange is None or (exchange.ended_out and not isinstance(event, Reset)):
            return
        match event:
            case Data():
                self._send_data(event)
            case Trailers():
                self._h2.send_headers(event.stream, list(write_headers(event.headers)), end_stream=True)
                self._end_out(event.stream, exchange)
            case End():
                self._h2.end_stream(event.stream)
                self._end_out(event.stream, exchange)
            case Reset():
                self._h2.reset_stream(event.stream, self._reset_code(event.reason, exchange))
                self._forget(event.stream)
            case _:
                self._send_head(event)

    def _reset_code(self, reason: ResetReason, exchange: Exchange) -> _Code:
        del exchange
        return REASON_TO_CODE[reason]

    def _send_data(self, event: Data) -> None:
        if len(event.data) > self._h2.local_flow_control_window(event.stream):
            raise MisuseError("more data than the peer has room for")
        step = self._h2.max_outbound_frame_size
        for start in range(0, len(event.data), step):
            self._h2.send_data(event.stream, event.data[start : start + step])
            self._floods.sent_data()

    def _send_head(self, event: MessageEvent) -> None:
        raise NotImplementedError

    def _read_head(self, event: h2.events.Event, now: float) -> None:
        raise NotImplementedError

    def _take(self, frame: Frame, now: float) -> None:
        in_headers = self._floods.in_headers
        self._floods.count(frame, now)
        if frame.kind == Kind.GOAWAY and not in_headers:
            self._peer_goes(frame)
            return
        try:
            received = self._h2.receive_data(frame.raw)
        except h2.exceptions.ProtocolError as error:
            self._fail(error)
            return
        for event in received:
            self._read(event, now)

    def _read(self, event: h2.events.Event, now: float) -> None:
        match event:
            case h2.events.DataReceived():
                self._read_data(event)
            case h2.events.TrailersReceived():
                self._read_trailers(event, now)
            case h2.events.StreamEnded():
                if (exchange := self._exchanges.get(event.stream_id)) is not None:
                    self._events.append(End(stream=event.stream_id))
                    exchange.ended_in = True
                    self._settle(event.stream_id, exchange)
            case h2.events.StreamReset():
                if not event.remote_reset:
                    self._floods.count_reset(now)
                self._was_reset(event.stream_id, code_to_reason(event.error_code))
            case h2.events.WindowUpdated():
                self._events.append(Writable(stream=event.stream_id))
            case h2.events.RemoteSettingsChanged():
                # The peer may allow us a table of headers as large as it likes: ours would hold all that we ever sent.
                self._h2.encoder.header_table_size = min(self._h2.encoder.header_table_size, _TABLE)
                self._events.append(Writable(stream=0))
            case _:
                self._read_head(event, now)

    def _read_data(self, event: h2.events.DataReceived) -> None:
        stream, size = event.stream_id, len(event.data)
        padding = event.flow_controlled_length - size
        if stream not in self._exchanges:
            self._acknowledge(stream, event.flow_controlled_length)
            return
        if padding:
            self._acknowledge(stream, padding)
        if size:
            self._owed[stream] = self._owed.get(stream, 0) + size
            self._events.append(Data(stream=stream, data=bytes(event.data)))

    def _read_trailers(self, event: h2.events.TrailersReceived, now: float) -> None:
        if event.stream_id not in self._exchanges:
            return
        try:
            headers = read_trailers(field_pairs(event.headers), self._limits.head)
        except Refusal as refusal:
            self._refuse(event.stream_id, refusal, now)
            return
        if headers:
            self._events.append(Trailers(stream=event.stream_id, headers=headers))

    def _refuse(self, stream: int, refusal: Refusal, now: float, code: _Code = _Code.PROTOCOL_ERROR) -> None:
        """Reset one stream because of what the peer sent on it."""
        with suppress(h2.exceptions.StreamClosedError):  # a message that was complete has closed it
            self._h2.reset_stream(stream, code)
        self._events.append(Refused(stream=stream, status=refusal.status, fault=refusal.fault))
        self._was_reset(stream, ResetReason.PROTOCOL)
        self._floods.count_reset(now)

    def _was_reset(self, stream: int, reason: ResetReason) -> None:
        if stream in self._exchanges:
            self._events.append(Reset(stream=stream, reason=reason))
            self._forget(stream)

    def _end_out(self, stream: int, exchange: Exchange) -> None:
        exchange.ended_out = True
        self._settle(stream, exchange)

    def _settle(self, stream: int, exchange: Exchange) -> None:
        """Forget a stream that has ended both ways; credit for its data is still returned as it is consumed."""
        if exchange.ended_in and exchange.ended_out:
            del self._exchanges[stream]

    def _forget(self, stream: int) -> None:
        """Forget a stream that was reset, and return the credit of what nobody will consume any more."""
        self._exchanges.pop(stream, None)
        if owed := self._owed.pop(stream, 0):
            self._acknowledge(stream, owed)

    def _acknowledge(self, stream: int, size: int) -> None:
        if size:
            self._h2.acknowledge_received_data(size, stream)

    def _peer_goes(self, frame: Frame) -> None:
        if frame.stream or len(frame.payload) < 8:
            raise Refusal(Fault.PROTOCOL)
        last = int.from_bytes(frame.payload[:4]) & _LAST_STREAM
        code = int.from_bytes(frame.payload[4:8])
        self._peer_leaving = True
        self._events.append(GoAway(last_stream=last, clean=code == _Code.NO_ERROR))
        self._goes_away(last)

    def _goes_away(self, last: int) -> None:
        """What the peer's GOAWAY means for our own streams: none for a server, which opens none."""

    def _reset_all(self, above: int, reason: ResetReason) -> None:
        for stream in sorted(self._exchanges):
            if stream > above:
                self._was_reset(stream, reason)

    def _fail(self, error: h2.exceptions.ProtocolError) -> None:
        """End the connection for a breach that h2 found; it has written the GOAWAY."""
        calm = error.error_code is _Code.ENHANCE_YOUR_CALM
        self._flush()
        self._events.append(Refused(stream=0, status=400, fault=Fault.HEAD_TOO_LARGE if calm else Fault.PROTOCOL))
        self._end_all()

    def _cut(self, fault: Fault) -> None:
        """End the connection for a breach that we found."""
        self._go_away(_Code.ENHANCE_YOUR_CALM if fault in _CALM else _Code.PROTOCOL_ERROR, self._last())
        self._events.append(Refused(stream=0, status=400, fault=fault))
        self._end_all()

    def _end_all(self) -> None:
        self._reset_all(0, ResetReason.PROTOCOL)
        self._close(clean=False)

    def _last(self) -> int:
        return self._h2.highest_inbound_stream_id

    def _go_away(self, code: _Code, last: int) -> None:
        self._flush()
        frame = GoAwayFrame(0)
        frame.last_stream_id = last
        frame.error_code = code
        self._output += frame.serialize()

    def _close(self, *, clean: bool) -> None:
        self._over = True
        self._exchanges.clear()
        self._owed.clear()
        self._events.append(Closed(clean=clean))

    def _busy(self) -> bool:
        """Whether the peer owes us the rest of its settings or of a header block."""
        return not self._cutter.greeted or self._floods.in_headers

    def _bound_output(self) -> None:
        self._flush()
        if len(self._output) > self._limits.output_bytes:
            raise Refusal(Fault.OUTPUT_FLOOD)

    def _flush(self) -> None:
        self._output += self._h2.data_to_send()
