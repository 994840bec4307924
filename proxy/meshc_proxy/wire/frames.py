"""HTTP/2's frames as they arrive, before anything interprets them: cut, bounded and counted.

h2 has no defence against floods but a cap on CONTINUATION, so each frame is weighed here first. Budgets are buckets that
refill evenly; time comes in with the bytes. Source: RFC 9113 sections 4 and 10.5, Envoy `max_inbound_*_frames`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from meshc_proxy.wire.events import Fault, Refusal
from meshc_proxy.wire.limits import Http2Limits

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADER: Final = 9
_END_STREAM: Final = 0x1
_ACK: Final = 0x1
_END_HEADERS: Final = 0x4


class Kind(IntEnum):
    """RFC 9113 section 6; every other type is an extension that is ignored, but counted."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame, `raw` with its header."""

    kind: int
    flags: int
    stream: int
    raw: bytes

    @property
    def payload(self) -> bytes:
        return self.raw[_HEADER:]

    @property
    def ends_headers(self) -> bool:
        return bool(self.flags & _END_HEADERS)


class FrameCutter:
    """Cuts bytes into frames, none larger than `frame_bytes`; a server's client sends the preface first."""

    def __init__(self, *, expects_preface: bool, limits: Http2Limits) -> None:
        self._buffer = bytearray()
        self._preface = PREFACE if expects_preface else b""
        self._limits = limits
        self._first = True

    @property
    def began(self) -> bool:
        """Whether a part of a frame is there."""
        return bool(self._buffer)

    @property
    def greeted(self) -> bool:
        """Whether the preface and the first SETTINGS frame came."""
        return not self._first

    def cut(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now. Raises Refusal for what is not HTTP/2, or too large."""
        self._buffer += data
        if not self._take_preface():
            return
        while len(self._buffer) >= _HEADER:
            length = int.from_bytes(self._buffer[:3])
            if length > self._limits.frame_bytes:
                raise Refusal(Fault.PROTOCOL)
            if len(self._buffer) < _HEADER + length:
                return
            raw = bytes(self._buffer[: _HEADER + length])
            del self._buffer[: _HEADER + length]
            yield self._frame(raw)

    def _take_preface(self) -> bool:
        expected = self._preface
        if not expected:
            return True
        if not expected.startswith(bytes(self._buffer[: len(expected)])):
            raise Refusal(Fault.PROTOCOL)
        if len(self._buffer) < len(expected):
            return False
        del self._buffer[: len(expected)]
        self._preface = b""
        return True

    def _frame(self, raw: bytes) -> Frame:
        frame = Frame(kind=raw[3], flags=raw[4], stream=int.from_bytes(raw[5:9]) & 0x7FFFFFFF, raw=raw)
        if self._first and (frame.kind != Kind.SETTINGS or frame.flags & _ACK):
            # RFC 9113 3.4: both sides begin with a SETTINGS frame.
            raise Refusal(Fault.PROTOCOL)
        self._first = False
        return frame


class _Bucket:
    """Allows `size` events at once, and `size` more in each `seconds`."""

    def __init__(self, size: int, seconds: float, now: float) -> None:
        self._size = size
        self._seconds = seconds
        self._left = float(size)
        self._at = now

    def take(self, now: float) -> bool:
        """Whether there was room for one more."""
        gained = max(now - self._at, 0.0) * self._size / self._seconds
        self._left = min(self._left + gained, float(self._size))
        self._at = max(now, self._at)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Floods:
    """Counts what costs us more than the peer. Methods raise Refusal once a budget is spent: the connection is cut then."""

    def __init__(self, limits: Http2Limits, now: float) -> None:
        self._limits = limits
        self._resets = _Bucket(limits.resets, limits.reset_seconds, now)
        self._control = _Bucket(limits.control_frames, limits.control_seconds, now)
        self._earned = 0
        self._block = 0

    @property
    def in_headers(self) -> bool:
        """Whether a header block has begun and not ended."""
        return self._block > 0

    def count(self, frame: Frame, now: float) -> None:
        """Weigh one frame that came."""
        match frame.kind:
            case Kind.HEADERS | Kind.CONTINUATION | Kind.PUSH_PROMISE:
                self._count_block(frame)
            case Kind.DATA:
                if not frame.payload and not frame.flags & _END_STREAM:
                    self._count_control(now)
            case Kind.RST_STREAM:
                self.count_reset(now)
            case Kind.PING | Kind.WINDOW_UPDATE:
                if self._earned:
                    self._earned -= 1
                else:
                    self._count_control(now)
            case _:
                self._count_control(now)

    def count_reset(self, now: float) -> None:
        """A stream was reset, by the peer or because of it."""
        if not self._resets.take(now):
            raise Refusal(Fault.RESET_FLOOD)

    def sent_data(self) -> None:
        """A DATA frame was sent: the peer may tell us of its windows, and measure the way, in return."""
        ceiling = self._limits.control_frames * self._limits.control_frames_earned
        self._earned = min(self._earned + self._limits.control_frames_earned, ceiling)

    def _count_control(self, now: float) -> None:
        if not self._control.take(now):
            raise Refusal(Fault.CONTROL_FLOOD)

    def _count_block(self, frame: Frame) -> None:
        self._block += len(frame.raw)
        if self._block > self._limits.head.head_bytes:
            raise Refusal(Fault.HEAD_TOO_LARGE)
        if frame.ends_headers:
            self._block = 0
