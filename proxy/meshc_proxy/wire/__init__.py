"""The wire ring: bytes to events and back, for HTTP/1.1, HTTP/2 and TLS, without sockets, clocks or threads.

Every HTTP connection is a `Connection`, whichever the version and the side; whoever owns the socket drives it:

1. Read while `want_read`, give the bytes to `receive`, and the end of the stream to `receive_eof`; act on the events.
   `now` is seconds of a monotonic clock, of which only differences count.
2. What `send` and `consumed` return, and `output` after every other call, is written to the socket in that order.
3. Before `Data` is sent, ask `room`: a larger block is a mistake. `Writable` says that there is more room.
4. Once the bytes of a `Data` were passed on, and not before, say so with `consumed`: that is back-pressure.
5. After something was sent, call `resume`: pipelined requests and the first bytes of a tunnel wait for it.
6. When `deadline` seconds have passed, call `expire`. When `done`, write what `output` gives, and close.

Sending on an exchange that was reset is not an error: it sends nothing. `MisuseError` means a bug, or a header that would
have split the message; nothing of the event was sent, and the exchange can only be ended with `Reset`.
"""

from typing import Protocol

from meshc_proxy.wire.events import Event, MessageEvent


class Connection(Protocol):
    """What every HTTP connection does, whatever its version and side."""

    @property
    def want_read(self) -> bool:
        """Whether more bytes are of use now."""
        ...

    @property
    def done(self) -> bool:
        """Whether the connection is over, but for what `output` gives."""
        ...

    @property
    def half_closed(self) -> bool:
        """Whether nothing more will be sent, while bytes may still come."""
        ...

    def receive(self, data: bytes, now: float) -> tuple[Event, ...]:
        """The events of some bytes."""
        ...

    def receive_eof(self, now: float) -> tuple[Event, ...]:
        """The events of the peer's end of the stream."""
        ...

    def resume(self, now: float) -> tuple[Event, ...]:
        """The events of bytes that had to wait until something was sent."""
        ...

    def send(self, event: MessageEvent) -> bytes:
        """The bytes of an event; raises MisuseError if it may not be sent now, or never."""
        ...

    def room(self, stream: int) -> int:
        """How many bytes of data may be sent on a stream now."""
        ...

    def consumed(self, stream: int, size: int) -> bytes:
        """Give the peer back the credit of `size` bytes that were passed on."""
        ...

    def output(self) -> bytes:
        """What must be written that no event asked for."""
        ...

    def deadline(self, now: float) -> float | None:
        """Seconds until `expire` must be called; None: never, as things are."""
        ...

    def expire(self, now: float) -> tuple[Event, ...]:
        """The events of a deadline that has passed; none if it has not."""
        ...

    def drain(self) -> bytes:
        """Take nothing new, finish what has begun, then be done."""
        ...
