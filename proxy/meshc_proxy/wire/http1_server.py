"""HTTP/1.1 towards a client, without I/O: requests in, responses out, tunnels, refusals, timeouts.

A refusal is answered, then the connection is closed; nothing of the refused message is given on but what was already.
"""

from dataclasses import replace
from http import HTTPStatus

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
from meshc_proxy.wire.gate import Framing, GatedRequest, read_request
from meshc_proxy.wire.limits import Http1Limits
from meshc_proxy.wire.parser import Parser, response_to_h11


class Http1Server(Http1Side):
    """The side that faces a client. `scheme` is that of the transport; what an absolute target says of it is not believed."""

    def __init__(self, *, scheme: bytes, now: float, limits: Http1Limits | None = None) -> None:
        limits = limits or Http1Limits()
        super().__init__(Parser(h11.SERVER, limits), now, limits)
        self._scheme = scheme
        self._request: RequestHead | None = None
        self._answered = False
        self._draining = False
        self._head_began = False

    @property
    def want_read(self) -> bool:
        """Whether reading helps: not while what follows the request, or waits for a tunnel, is held already."""
        if self._phase is Phase.BODY and self._may_switch():
            return self._parser.held < self._limits.held_bytes
        return super().want_read

    def receive(self, data: bytes, now: float) -> tuple[Event, ...]:
        """What `data` means."""
        self._parser.feed(data)
        return self.resume(now)

    def resume(self, now: float) -> tuple[Event, ...]:
        """What held input means, now that something was sent: the next pipelined request, or a tunnel's first bytes."""
        try:
            self._advance(now)
        except Refusal as refusal:
            self._refuse(refusal)
        return self._taken()

    def receive_eof(self, now: float) -> tuple[Event, ...]:
        """The client will send nothing more.

        As in Envoy 1.40, a request whose client has half-closed is cancelled; a
        tunnel is closed in that direction only.
        """
        del now
        match self._phase:
            case Phase.TUNNEL:
                self._events.append(End(stream=self._stream))
                self._phase = Phase.COMPLETE
                self._end_tunnel()
            case Phase.BODY | Phase.COMPLETE:
                self._reset(ResetReason.CANCELLED)
            case Phase.HEAD:
                self._close(clean=not self._parser.began)
            case Phase.OVER:
                pass
        return self._taken()

    def deadline(self, now: float) -> float | None:
        """Seconds until `expire` must be called, None while the client is owed something."""
        if self._phase is not Phase.HEAD:
            return None
        return max(self._since + self._patience() - now, 0.0)

    def expire(self, now: float) -> tuple[Event, ...]:
        """Close if the deadline has passed: with 408 within a head, silently where none has begun."""
        if (left := self.deadline(now)) is None or left > 0:
            return ()
        if self._parser.began:
            self._refuse(Refusal(Fault.TIMEOUT, 408))
        else:
            self._close(clean=True)
        return self._taken()

    def drain(self) -> bytes:
        """Serve what has begun, then close."""
        self._draining = True
        if self._phase is Phase.HEAD and not self._parser.began:
            self._phase = Phase.OVER
        return self.output()

    def send(self, event: MessageEvent) -> bytes:
        """Bytes of a response's event. Raises MisuseError for what may not be sent; sends nothing on a closed connection."""
        if event.stream != self._stream or self.done:
            return self.output()
        match event:
            case RequestHead():
                raise MisuseError("a server sends no requests")
            case Informational():
                self._output += self._parser.send(response_to_h11(event))
            case ResponseHead():
                self._send_head(event)
            case Data():
                self._output += event.data if self._tunnelling() else self._parser.send_data(event.data)
            case Trailers():
                self._parser.hold_trailers(event.headers)
            case End():
                self._send_end()
            case Reset():
                self._phase = Phase.OVER
        return self.output()

    def _send_head(self, head: ResponseHead) -> None:
        request = self._request
        if request is None or self._answered:
            raise MisuseError("no request waits for an answer")
        if head.status == HTTPStatus.SWITCHING_PROTOCOLS and not request.upgrade:
            raise MisuseError("the client asked for no change of protocol")
        wants_trailers = (b"te", b"trailers") in request.headers
        asked = b"close" in bridge.tokens(head.headers, b"connection")
        close = self._draining or asked or (head.ends and self._phase is Phase.BODY and not self._may_switch())
        self._output += self._parser.send(
            response_to_h11(head, close=close, request=request), keep_trailers=wants_trailers
        )
        self._answered = True
        if head.status == HTTPStatus.SWITCHING_PROTOCOLS or (request.method == b"CONNECT" and head.status < 300):
            self._phase = Phase.TUNNEL
        elif head.ends:
            self._send_end()

    def _send_end(self) -> None:
        if self._sent_end:
            return
        if not self._answered:
            raise MisuseError("an end before its head")
        if self._tunnelling():
            self._sent_end = True
            self._end_tunnel()
            return
        self._output += self._parser.send_end()
        self._sent_end = True
        if self._phase is Phase.BODY and not self._may_switch():
            # The rest of the request would have to be read and thrown away before the next one: close instead.
            self._phase = Phase.OVER

    def _may_switch(self) -> bool:
        """Whether the request asks for a tunnel, granted or not."""
        request = self._request
        return request is not None and (bool(request.upgrade) or request.method == b"CONNECT")

    def _tunnelling(self) -> bool:
        return self._parser.switched

    def _end_tunnel(self) -> None:
        if self._sent_end and self._phase is not Phase.TUNNEL:
            self._close(clean=True)

    def _advance(self, now: float) -> None:
        while True:
            match self._phase:
                case Phase.HEAD:
                    if not self._next_request(now):
                        return
                case Phase.BODY:
                    if not self._body_is_read():
                        return
                case Phase.COMPLETE:
                    if not self._next_exchange(now):
                        return
                case Phase.TUNNEL:
                    self._read_tunnel()
                    return
                case Phase.OVER:
                    self._parser.rest()
                    return

    def _next_request(self, now: float) -> bool:
        if (lines := self._parser.head()) is None:
            self._note_start(now)
            return False
        gated = read_request(lines, self._limits.head)
        head = self._request_head(gated)
        waits = bool(head.upgrade) or head.method == b"CONNECT"
        if waits and not head.ends:
            raise Refusal(Fault.TWO_FRAMINGS)
        self._parser.accept_request(lines, gated.framing if gated.framing.chunked else _length(gated.framing))
        if waits:
            self._parser.skip_end()
        self._request = replace(head, ends=False) if waits else head
        self._answered = False
        self._sent_end = False
        self._head_began = False
        self._events.append(self._request)
        self._phase = Phase.BODY
        return True

    def _note_start(self, now: float) -> None:
        if self._parser.began and not self._head_began and self._stream > 1:
            self._head_began = True
            self._since = now

    def _request_head(self, gated: GatedRequest) -> RequestHead:
        return RequestHead(
            stream=self._stream,
            method=gated.method,
            scheme=self._scheme,
            authority=gated.authority,
            path=gated.path,
            headers=bridge.end_to_end(gated.fields),
            ends=not gated.framing.chunked and not gated.framing.length,
            upgrade=bridge.wanted_upgrade(gated.method, gated.fields),
        )

    def _body_is_read(self) -> bool:
        """Whether the request is complete. One that may become a tunnel is, only when it was answered otherwise."""
        if self._may_switch():
            if not self._sent_end:
                return False
            self._finish()
            return True
        self._read_body()
        return self._phase is Phase.COMPLETE

    def _next_exchange(self, now: float) -> bool:
        if not self._sent_end or self._parser.switched:
            return False
        if not self._parser.next_cycle() or self._draining:
            self._close(clean=True)
            return False
        self._stream += 1
        self._request = None
        self._phase = Phase.HEAD
        self._since = now
        return True

    def _patience(self) -> float:
        began = self._parser.began or self._stream == 1
        return self._limits.head_seconds if began else self._limits.idle_seconds

    def _refuse(self, refusal: Refusal) -> None:
        """Answer, unless an answer has begun; end the exchange, if one has begun; close."""
        if not self._answered or self._phase is Phase.HEAD:
            self._output += _refusal(refusal)
        self._events.append(Refused(stream=self._stream, status=refusal.status, fault=refusal.fault))
        if self._phase is Phase.HEAD:
            self._close(clean=False)
        else:
            self._reset(ResetReason.PROTOCOL)


def _length(framing: Framing) -> Framing:
    """A request without framing has no body (RFC 9112 section 6.3)."""
    return Framing(length=framing.length or 0)


def _refusal(refusal: Refusal) -> bytes:
    """Envoy's answer to what it does not understand, and the end. It gives reasons for no host, and no path, that way."""
    phrase = HTTPStatus(refusal.status).phrase.encode("ascii")
    body = b"" if refusal.fault in {Fault.AUTHORITY, Fault.TARGET} else phrase
    kind = b"content-type: text/plain\r\n" if body else b""
    head = b"HTTP/1.1 %d %b\r\ncontent-length: %d\r\n%bconnection: close\r\n\r\n"
    return head % (refusal.status, phrase, len(body), kind) + body
