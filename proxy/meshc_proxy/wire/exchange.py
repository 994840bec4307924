"""What both sides of an HTTP/1.1 connection share: one exchange after the other, read through intake, gate and h11."""

from enum import Enum, auto
from typing import Final

import h11

from meshc_proxy.wire import bridge
from meshc_proxy.wire.events import Closed, Data, End, Event, Reset, ResetReason, Trailers
from meshc_proxy.wire.limits import Http1Limits
from meshc_proxy.wire.parser import Parser

_ROOM: Final = 64 * 1024


class Phase(Enum):
    """Of what is received: between exchanges, within a body, complete, a tunnel, or over."""

    HEAD = auto()
    BODY = auto()
    COMPLETE = auto()
    TUNNEL = auto()
    OVER = auto()


class Http1Side:
    """What both sides share: the phase of what is received, the output, and the deadline."""

    def __init__(self, parser: Parser, now: float, limits: Http1Limits) -> None:
        self._parser = parser
        self._limits = limits
        self._phase = Phase.HEAD
        self._sent_end = False
        self._output = bytearray()
        self._stream = 1
        self._since = now
        self._events: list[Event] = []

    @property
    def want_read(self) -> bool:
        """Whether reading helps: not while what follows the current message is already held."""
        if self._phase is Phase.OVER:
            return False
        return self._phase in {Phase.BODY, Phase.TUNNEL, Phase.HEAD} or self._parser.held < self._limits.held_bytes

    @property
    def done(self) -> bool:
        """Whether nothing more will be read or sent, but what `output` gives."""
        return self._phase is Phase.OVER

    @property
    def half_closed(self) -> bool:
        """Whether a tunnel's bytes have ended in our direction."""
        return self._parser.switched and self._sent_end

    def output(self) -> bytes:
        """What must be sent that no event asked for."""
        taken = bytes(self._output)
        self._output.clear()
        return taken

    def room(self, stream: int) -> int:
        """How many bytes of `stream` may be sent now; TCP holds back, so a block's worth."""
        return _ROOM if stream == self._stream and not self.done else 0

    def consumed(self, stream: int, size: int) -> bytes:
        """Nothing to tell the peer: TCP does."""
        del stream, size
        return b""

    def _close(self, *, clean: bool) -> None:
        if self._phase is not Phase.OVER:
            self._phase = Phase.OVER
            self._events.append(Closed(clean=clean))

    def _reset(self, reason: ResetReason) -> None:
        self._events.append(Reset(stream=self._stream, reason=reason))
        self._close(clean=False)

    def _taken(self) -> tuple[Event, ...]:
        events = tuple(self._events)
        self._events.clear()
        return events

    def _read_body(self) -> None:
        """Give on what there is of the body; h11 sees the same bytes and says where messages end."""
        for event in self._parser.body():
            match event:
                case h11.Data():
                    self._events.append(Data(stream=self._stream, data=bytes(event.data)))
                case h11.EndOfMessage():
                    if fields := bridge.trailers(tuple((bytes(n), bytes(v)) for n, v in event.headers)):
                        self._events.append(Trailers(stream=self._stream, headers=fields))
                    self._finish()

    def _finish(self) -> None:
        self._events.append(End(stream=self._stream))
        self._phase = Phase.COMPLETE

    def _read_tunnel(self) -> None:
        if data := self._parser.rest():
            self._events.append(Data(stream=self._stream, data=data))
