"""One exchange of a connection, as whoever carries it sees it: events in, events out, both with back-pressure."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from meshc_proxy.wire.events import Data, End, MessageEvent, RequestHead, Reset, ResetReason


class Carrier(Protocol):
    """The connection that an exchange is part of."""

    def put(self, event: MessageEvent) -> None:
        """Send an event; raises MisuseError."""
        ...

    async def drain(self) -> None:
        """Wait until the other end has taken enough; raises BrokenOffError."""
        ...

    def room(self, stream: int) -> int:
        """How many bytes of data may be put now."""
        ...

    def give_back(self, stream: int, size: int) -> None:
        """Say that data were passed on."""
        ...


class ExchangeEndedError(Exception):
    """The exchange was reset; nothing can be sent on it."""


class Exchange:
    """One request and its response. `head` is the request's, on the side that receives it."""

    def __init__(self, carrier: Carrier, stream: int, head: RequestHead | None = None, *, reused: bool = False) -> None:
        self.stream = stream
        self.head = head
        self.reused = reused
        self.reset_by: ResetReason | None = None
        self.got_end = False
        self.sent_end = False
        self._carrier = carrier
        self._events: deque[MessageEvent] = deque()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._on_reset: list[Callable[[], None]] = []

    @property
    def is_over(self) -> bool:
        """Whether it ended, both ways or early."""
        return self.reset_by is not None or (self.got_end and self.sent_end)

    async def receive(self) -> MessageEvent:
        """The next event; after a reset that reset, for ever."""
        while not self._events:
            if self.reset_by is not None:
                return Reset(stream=self.stream, reason=self.reset_by)
            self._arrived.clear()
            await self._arrived.wait()
        return self._events.popleft()

    def passed_on(self, event: Data) -> None:
        """Say that these bytes have gone on: the other end may send as many more."""
        self._carrier.give_back(self.stream, event.size)

    async def send(self, event: MessageEvent) -> None:
        """Send an event, a large block in parts. Raises ExchangeEndedError, BrokenOffError, and MisuseError."""
        if isinstance(event, Data):
            await self._send_data(event)
            return
        if self.reset_by is not None:
            raise ExchangeEndedError
        self._carrier.put(replace(event, stream=self.stream))
        if isinstance(event, End) or getattr(event, "ends", False):
            self.sent_end = True
        await self._carrier.drain()

    async def _send_data(self, event: Data) -> None:
        left = event.data
        while left:
            if self.reset_by is not None:
                raise ExchangeEndedError
            room = self._carrier.room(self.stream)
            if not room:
                self._writable.clear()
                await self._writable.wait()
                continue
            self._carrier.put(Data(stream=self.stream, data=left[:room]))
            left = left[room:]
            await self._carrier.drain()

    def reset(self, reason: ResetReason) -> None:
        """End it early; whoever waits for an event gets the reset."""
        if not self.is_over:
            self._carrier.put(Reset(stream=self.stream, reason=reason))
            self._end(reason)

    def when_reset(self, act: Callable[[], None]) -> None:
        """Call `act` once it is reset, by either end; at once if it was."""
        if self.reset_by is not None:
            act()
        else:
            self._on_reset.append(act)

    def deliver(self, event: MessageEvent) -> None:
        """An event of the other end."""
        if isinstance(event, Reset):
            self._end(event.reason)
            return
        if isinstance(event, End):
            self.got_end = True
        self._events.append(event)
        self._arrived.set()

    def may_send(self) -> None:
        """There is more room."""
        self._writable.set()

    def discard(self) -> None:
        """Give back the credit of what nobody will read."""
        for event in self._events:
            if isinstance(event, Data):
                self._carrier.give_back(self.stream, event.size)
        self._events.clear()

    def _end(self, reason: ResetReason) -> None:
        if self.reset_by is not None:
            return
        self.reset_by = reason
        self._arrived.set()
        self._writable.set()
        acts, self._on_reset = self._on_reset, []
        for act in acts:
            act()
