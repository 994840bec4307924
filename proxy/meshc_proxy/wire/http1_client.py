"""HTTP/1.1 towards an upstream, without I/O: one request after the other, never two at once.

A response that two readers could read differently is refused (`Refused` with status 502) and the connection closed, so that
no upstream can put words into the answer to somebody else's request.
"""

from http import HTTPStatus
from typing import Final

import h11

from meshc_proxy.wire import bridge
from meshc_proxy.wire.events import (
    Data,
    End,
    Event,
    Fault,
    Informational,
    MessageEvent,
    MisuseError,
    Refusal,
    Refused,
    RequestHead,
    Reset,
    ResetReason,
    ResponseHead,
    Trailers,
)
from meshc_proxy.wire.exchange import Http1Side, Phase
from meshc_proxy.wire.gate import Framing, GatedResponse, read_response
from meshc_proxy.wire.limits import Http1Limits
from meshc_proxy.wire.parser import Parser, request_to_h11

_NO_BODY_STATUSES: Final = frozenset({204, 304})


class Http1Client(Http1Side):
    """The side that faces an upstream: one request after the other, never two at once."""

    def __init__(self, *, now: float, limits: Http1Limits | None = None) -> None:
        limits = limits or Http1Limits()
        super().__init__(Parser(h11.CLIENT, limits), now, limits)
        self._request: RequestHead | None = None
        self._keep_alive = True
        self._asked = False

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent: the connection is idle and both sides keep it."""
        return self._request is None and not self.done

    @property
    def next_stream(self) -> int:
        """The `stream` that the next request's head must have."""
        return self._stream + 1 if self._asked else 1

    def receive(self, data: bytes, now: float) -> tuple[Event, ...]:
        """What `data` means."""
        self._parser.feed(data)
        return self.resume(now)

    def resume(self, now: float) -> tuple[Event, ...]:
        """What held input means, now that something was sent."""
        del now
        try:
            self._advance()
        except Refusal as refusal:
            self._events.append(Refused(stream=self._stream, status=502, fault=refusal.fault))
            if self._request is None:
                self._close(clean=False)
            else:
                self._reset(ResetReason.PROTOCOL)
        return self._taken()

    def receive_eof(self, now: float) -> tuple[Event, ...]:
        """The upstream closed: the end of a body that only this ends, the end of a tunnel's direction, or a truncation."""
        del now
        if self.done:
            return ()
        if self._phase is Phase.TUNNEL:
            self._events.append(End(stream=self._stream))
            self._phase = Phase.COMPLETE
            if self._sent_end:
                self._close(clean=True)
        elif self._request is None:
            self._close(clean=not self._parser.began)
        elif self._phase is Phase.BODY and self._parser.until_close:
            self._finish()
            self._request = None
            self._close(clean=True)
        elif not (self._parser.switched and self._phase is Phase.COMPLETE):
            self._reset(ResetReason.TRUNCATED)
        return self._taken()

    def deadline(self, now: float) -> float | None:
        """None: how long an upstream may take is the route's to say."""
        del now
        return None

    def expire(self, now: float) -> tuple[Event, ...]:
        """Nothing, as there is no deadline."""
        del now
        return ()

    def drain(self) -> bytes:
        """Take no more requests."""
        self._keep_alive = False
        if self._request is None:
            self._phase = Phase.OVER
        return self.output()

    def send(self, event: MessageEvent) -> bytes:
        """Bytes of a request's event. Raises MisuseError for what may not be sent; sends nothing on a closed connection."""
        if self.done or (not isinstance(event, RequestHead) and event.stream != self._stream):
            return self.output()
        match event:
            case RequestHead():
                self._send_head(event)
            case ResponseHead() | Informational():
                raise MisuseError("a client sends no responses")
            case Data():
                self._output += event.data if self._parser.switched else self._parser.send_data(event.data)
            case Trailers():
                self._parser.hold_trailers(event.headers)
            case End():
                self._send_end()
            case Reset():
                self._phase = Phase.OVER
        return self.output()

    def _send_head(self, head: RequestHead) -> None:
        if self._request is not None or self._parser.began:
            raise MisuseError("an exchange is under way")
        if head.stream != self.next_stream:
            raise MisuseError("not the next stream")
        self._output += self._parser.send(request_to_h11(head), keep_trailers=True)
        self._stream = head.stream
        self._asked = True
        self._request = head
        self._sent_end = False
        self._phase = Phase.HEAD
        if head.upgrade or head.method == b"CONNECT":
            self._output += self._parser.send_end()
        elif head.ends:
            self._send_end()

    def _send_end(self) -> None:
        if self._sent_end or self._request is None:
            return
        self._sent_end = True
        if self._parser.switched:
            if self._phase is Phase.COMPLETE:
                self._close(clean=True)
        elif not (self._request.upgrade or self._request.method == b"CONNECT"):
            self._output += self._parser.send_end()

    def _advance(self) -> None:
        while self._step():
            pass
        if self._phase is Phase.COMPLETE and not self._parser.switched:
            self._next_exchange()

    def _step(self) -> bool:
        match self._phase:
            case Phase.HEAD:
                if self._request is None and self._parser.held:
                    # Bytes that nobody asked for would become the next request's response.
                    raise Refusal(Fault.UNEXPECTED)
                return self._request is not None and self._next_response(self._request)
            case Phase.BODY:
                self._read_body()
                return False
            case Phase.TUNNEL:
                self._read_tunnel()
                return False
            case Phase.COMPLETE | Phase.OVER:
                return False

    def _next_response(self, request: RequestHead) -> bool:
        if (lines := self._parser.head()) is None:
            return False
        gated = read_response(lines)
        if gated.status == HTTPStatus.SWITCHING_PROTOCOLS:
            _check_switch(request, gated)
        framing = _response_framing(request, gated)
        self._parser.accept_response(lines, framing)
        headers = bridge.end_to_end(gated.fields)
        if gated.status < 200 and gated.status != HTTPStatus.SWITCHING_PROTOCOLS:
            self._events.append(Informational(stream=self._stream, status=gated.status, headers=headers))
            return True
        self._keep_alive = self._keep_alive and b"close" not in bridge.tokens(gated.fields, b"connection")
        switched = self._parser.switched
        ends = framing.length == 0 and not switched
        self._events.append(ResponseHead(stream=self._stream, status=gated.status, headers=headers, ends=ends))
        self._phase = Phase.TUNNEL if switched else Phase.BODY
        return True

    def _next_exchange(self) -> None:
        """After a whole response: ready for another request, or, if ours is not all sent or one side will not, closed."""
        self._request = None
        if self._keep_alive and self._parser.next_cycle():
            self._phase = Phase.HEAD
            if self._parser.held:
                raise Refusal(Fault.UNEXPECTED)
        else:
            self._close(clean=True)


def _response_framing(request: RequestHead, gated: GatedResponse) -> Framing:
    """RFC 9112 section 6.3: some responses have no body, whatever they say."""
    bodiless = request.method == b"HEAD" or gated.status < 200 or gated.status in _NO_BODY_STATUSES
    if bodiless or (request.method == b"CONNECT" and gated.status < 300):
        return Framing(length=0)
    return gated.framing


def _check_switch(request: RequestHead, gated: GatedResponse) -> None:
    """An upstream changes to the protocol that it was asked for, or to none."""
    if not request.upgrade or bridge.tokens(gated.fields, b"upgrade") != {request.upgrade}:
        raise Refusal(Fault.UNEXPECTED)
