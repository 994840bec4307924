"""The body of a request on its way up: passed on as it comes, and kept, while it is small, for another try."""

import time
from typing import Final

from meshc_proxy.io.exchange import Exchange
from meshc_proxy.wire.events import Data, End, MessageEvent, RequestHead, Reset

MOST_KEPT: Final = 64 * 1024
"""A body beyond this many bytes is passed on and not kept: its request is tried once."""


class CallerLeftError(Exception):
    """Whoever asked has gone."""


class Body:
    """What follows a request's head. One `copy` at a time; each sends everything from the beginning.

    `bytes` is its size so far, `moved` when the last of it came, in monotonic seconds.
    """

    def __init__(self, source: Exchange, *, keep: bool) -> None:
        self._source = source
        self._kept: list[MessageEvent] = []
        self._size = 0
        self._passed = 0
        self.replayable = keep
        self.bytes = 0
        self.moved = 0.0

    @property
    def can_repeat(self) -> bool:
        """Whether everything that was sent so far can be sent again."""
        return self.replayable or self._passed == 0

    @property
    def kept(self) -> tuple[MessageEvent, ...]:
        """The whole body, where it was small enough."""
        return tuple(self._kept)

    async def copy(self, to: Exchange) -> None:
        """Send the body to the other end. Raises CallerLeftError, and what sending raises."""
        place = 0
        while True:
            event, fresh = await self._next(place)
            place += 1
            await to.send(event)
            if fresh and isinstance(event, Data):
                self._source.passed_on(event)
            if isinstance(event, End):
                return

    async def _next(self, place: int) -> tuple[MessageEvent, bool]:
        if place < len(self._kept):
            return self._kept[place], False
        event = await self._source.receive()
        if isinstance(event, Reset | RequestHead):
            raise CallerLeftError
        self._passed += 1
        self.moved = time.monotonic()
        if isinstance(event, Data):
            self.bytes += event.size
            self._size += event.size
        if self.replayable and self._size <= MOST_KEPT:
            self._kept.append(event)
        else:
            self.replayable = False
            self._kept.clear()
        return event, True
