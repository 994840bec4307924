"""Bytes from one connection to another, both ways, each with back-pressure and an end of its own."""

import asyncio
from contextlib import suppress
from typing import Self

from meshc_proxy.io.channel import BrokenOffError, Channel


async def tunnel(down: Channel, up: Channel, *, idle_s: float | None = None) -> tuple[int, int]:
    """Carry bytes until both directions have ended, or one broke off: then neither end may take it for whole.

    Returns how many bytes went up and down. `idle_s` ends a connection on which nothing moves for so long.
    """
    counts = {"up": 0, "down": 0}
    watch = _Idle(idle_s, (down, up))

    async def carry(source: Channel, sink: Channel, direction: str) -> None:
        while data := await source.read():
            watch.moved()
            counts[direction] += len(data)
            sink.write(data)
            await sink.drain()
        sink.finish()

    with suppress(BrokenOffError), watch:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(carry(down, up, "up"))
                group.create_task(carry(up, down, "down"))
        except* BrokenOffError:
            down.reset()
            up.reset()
    return counts["up"], counts["down"]


class _Idle:
    """Aborts channels on which nothing moves."""

    def __init__(self, seconds: float | None, channels: tuple[Channel, ...]) -> None:
        self._seconds = seconds
        self._channels = channels
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()

    def moved(self) -> None:
        self._last = self._loop.time()

    def __enter__(self) -> Self:
        if self._seconds is not None:
            self._timer = self._loop.call_later(self._seconds, self._look)
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        assert self._seconds is not None
        left = self._last + self._seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
            return
        for channel in self._channels:
            channel.abort()
