"""Copies of requests: sent beside the request, read to their end, and thrown away. Nobody waits for them."""

import asyncio
from contextlib import suppress
from typing import Final

from meshc_proxy.io.channel import BrokenOffError
from meshc_proxy.io.exchange import ExchangeEndedError
from meshc_proxy.io.pool import ConnectError, Pool
from meshc_proxy.wire.events import Data, End, MessageEvent, MisuseError, RequestHead, Reset

MOST_AT_ONCE: Final = 256
"""How many copies are under way at once; beyond, none is sent: a place that does not answer would hold all of their bodies."""

_LONGEST_S: Final = 30.0
_running: set["asyncio.Task[None]"] = set()


def copy_to(pool: Pool, head: RequestHead, body: tuple[MessageEvent, ...]) -> None:
    """Begin to send a copy, unless there are too many."""
    if len(_running) >= MOST_AT_ONCE:
        return
    task = asyncio.create_task(_send(pool, head, body))
    _running.add(task)
    task.add_done_callback(_running.discard)


async def _send(pool: Pool, head: RequestHead, body: tuple[MessageEvent, ...]) -> None:
    failures = (ConnectError, BrokenOffError, ExchangeEndedError, MisuseError, TimeoutError)
    with suppress(*failures):
        async with asyncio.timeout(_LONGEST_S):
            exchange, driver = await pool.begin(head)
            try:
                for event in body:
                    await exchange.send(event)
                while not isinstance(event := await exchange.receive(), End | Reset):
                    if isinstance(event, Data):
                        exchange.passed_on(event)
            finally:
                driver.forget(exchange)
