"""Drive one HTTP connection: its bytes in and out, its deadlines, and its exchanges."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from meshc_proxy.io.channel import BrokenOffError, Channel
from meshc_proxy.io.exchange import Exchange
from meshc_proxy.wire import Connection
from meshc_proxy.wire.events import (
    Closed,
    Data,
    Event,
    GoAway,
    MessageEvent,
    MisuseError,
    Refused,
    RequestHead,
    Reset,
    ResetReason,
    Writable,
)

LINGER_S: Final = 2.0
"""How long the other end may take, once all is over, to read something more or to close."""

_MOST_HELD: Final = 64 * 1024
"""How many bytes of bodies wait in a connection's exchanges before it is read no further."""

Handler = Callable[[Exchange], Awaitable[None]]


class Driver:
    """One connection. As a server, `handler` carries each request; as a client, `open` begins exchanges.

    `on_refused` is told what was wrong with bytes that were refused, and the exchange that had begun and ends with it.
    """

    def __init__(
        self,
        connection: Connection,
        channel: Channel,
        *,
        handler: Handler | None = None,
        on_refused: Callable[[Refused, Exchange | None], None] | None = None,
    ) -> None:
        self.connection = connection
        self.channel = channel
        self._handler = handler
        self._on_refused = on_refused
        self._exchanges: dict[int, Exchange] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._held = 0
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.on_idle: Callable[[], None] | None = None
        self.began = 0
        """How many exchanges a client has begun here."""

    @property
    def is_over(self) -> bool:
        """Whether no exchange can begin here any more."""
        return self._closed or self.connection.done or self.channel.is_closing

    @property
    def active(self) -> int:
        """How many exchanges are under way."""
        return len(self._exchanges)

    # ---- exchanges ------------------------------------------------------------------------------------------------

    def open(self, stream: int, *, reused: bool = False) -> Exchange:
        """A client's next exchange; its head must be sent before anything else is awaited."""
        self.began += 1
        exchange = Exchange(self, stream, reused=reused)
        self._exchanges[stream] = exchange
        return exchange

    def forget(self, exchange: Exchange) -> None:
        """Whoever carried an exchange is done with it."""
        if not exchange.is_over:
            exchange.reset(ResetReason.CANCELLED if exchange.sent_end else ResetReason.INTERNAL)
        exchange.discard()
        self._exchanges.pop(exchange.stream, None)
        if self.on_idle is not None:
            self.on_idle()

    # ---- what exchanges ask of their carrier ------------------------------------------------------------------------

    def put(self, event: MessageEvent) -> None:
        try:
            self.channel.write(self.connection.send(event))
        finally:
            self._after()
            if isinstance(event, Reset) and self._handler is None and self.connection.done:
                # Nobody wants the rest of the answer: what the upstream still sends is not even read.
                self.channel.abort()

    async def drain(self) -> None:
        await self.channel.drain()

    def room(self, stream: int) -> int:
        return self.connection.room(stream)

    def give_back(self, stream: int, size: int) -> None:
        self._held -= size
        self.channel.write(self.connection.consumed(stream, size))
        self._wake.set()

    # ---- the connection ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Carry the connection to its end, and all of its exchanges."""
        try:
            self._arm()
            await self._read_all()
        except BrokenOffError:
            self._dispatch(self.connection.receive_eof(time.monotonic()))
        except asyncio.CancelledError:
            self.channel.abort()
            raise
        finally:
            await self._end()

    def leave(self) -> None:
        """Take nothing new, finish what has begun, then close."""
        self.channel.write(self.connection.drain())
        self._after()

    def abort(self) -> None:
        """Close at once, without an answer."""
        self.channel.abort()
        self._end_exchanges()
        self._wake.set()

    async def _read_all(self) -> None:
        connection = self.connection
        while not connection.done and not self._closed:
            if not connection.want_read or self._held > _MOST_HELD:
                self._wake.clear()
                if connection.want_read and self._held <= _MOST_HELD:
                    continue
                await self._wake.wait()
                continue
            data = await self.channel.read()
            now = time.monotonic()
            self._dispatch(connection.receive(data, now) if data else connection.receive_eof(now))
            self._after()
            await self.channel.drain()
            if not data:
                await self._until_done()

    async def _until_done(self) -> None:
        """The other end sends nothing more: what it is still owed is sent by the exchanges."""
        while not self.connection.done and not self.channel.is_closing and self._exchanges:
            self._wake.clear()
            await self._wake.wait()
        self._closed = True

    def _after(self) -> None:
        """After anything was sent: what had to wait for it, what must be written, and the next deadline."""
        self._dispatch(self.connection.resume(time.monotonic()))
        self.channel.write(self.connection.output())
        self._arm()
        self._wake.set()
        if self.connection.half_closed:
            self.channel.finish()
        if self.connection.done and not self._closed:
            self._closed = True
            self.channel.finish()
            self._await_close()

    def _dispatch(self, events: tuple[Event, ...]) -> None:
        for event in events:
            match event:
                case Refused(stream=stream):
                    if self._on_refused is not None:
                        self._on_refused(event, next(iter(self._meant(stream)), None))
                case Writable(stream=stream):
                    for exchange in self._meant(stream):
                        exchange.may_send()
                case RequestHead():
                    self._begin(event)
                case GoAway() | Closed():
                    pass
                case _:
                    self._deliver(event)

    def _meant(self, stream: int) -> list[Exchange]:
        if stream == 0:
            return list(self._exchanges.values())
        one = self._exchanges.get(stream)
        return [] if one is None else [one]

    def _deliver(self, event: MessageEvent) -> None:
        exchange = self._exchanges.get(event.stream)
        if isinstance(event, Data):
            self._held += event.size
            if exchange is None or exchange.reset_by is not None:
                self.give_back(event.stream, event.size)
                return
        if exchange is not None:
            exchange.deliver(event)

    def _begin(self, head: RequestHead) -> None:
        if self._handler is None:
            return
        exchange = Exchange(self, head.stream, head)
        self._exchanges[head.stream] = exchange
        task = asyncio.create_task(self._carry(exchange, self._handler))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, exchange: Exchange, handler: Handler) -> None:
        try:
            await handler(exchange)
        finally:
            try:
                self.forget(exchange)
            except MisuseError:
                self.channel.abort()
            self._wake.set()

    def _await_close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(LINGER_S, self._linger, self.channel.unsent)

    def _linger(self, before: int) -> None:
        if 0 < self.channel.unsent < before:
            self._await_close()
        else:
            self.channel.abort()

    def _arm(self) -> None:
        if self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left = self.connection.deadline(time.monotonic())
        if left is not None:
            self._timer = asyncio.get_running_loop().call_later(left + 0.001, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._dispatch(self.connection.expire(time.monotonic()))
        self._after()

    def _end_exchanges(self) -> None:
        for exchange in list(self._exchanges.values()):
            exchange.deliver(Reset(stream=exchange.stream, reason=ResetReason.CANCELLED))

    async def _end(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._end_exchanges()
        self.channel.write(self.connection.output())
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.channel.close()
        if self.on_idle is not None:
            self.on_idle()
