"""What tests of traffic share: a mesh whose callers meet stubs directly, stubs that misbehave, and patience."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from envoy_lab import Lab
from meshc.engine.http_server import HttpRequest
from meshc.engine.stubs import Reply

PLAIN: Final = """
mesh shop { trust-domain "mesh.local" }
namespace shop
namespace plain { mtls off default access allow }
namespace inside { default access allow }
"""
"""The beginning of a program: services in `plain` may have bare endpoints, those in `inside` have sidecars."""


def in_turn(*replies: Reply) -> Callable[[HttpRequest], Reply]:
    """A stub's behaviour: these replies one after the other, then success."""
    left = iter(replies)
    return lambda _request: next(left, Reply())


def always(reply: Reply) -> Callable[[HttpRequest], Reply]:
    """A stub's behaviour: this reply every time."""
    return lambda _request: reply


async def eventually(check: Callable[[], Awaitable[bool]], *, within_s: float = 8.0, every_s: float = 0.05) -> None:
    """Ask until the answer is yes; raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not await check():  # noqa: ASYNC110
            await asyncio.sleep(every_s)


async def wait_for(lab: Lab, host: str, expected: Iterable[str]) -> None:
    """Wait until just these endpoints answer (`-<status>` stands for failures) twelve requests in a row.

    Envoy puts changes that follow each other within a second together, so what endpoints are thought to be comes late.
    """

    async def is_so() -> bool:
        return set(await lab.tally(lab.outbound("cart"), 12, host=host)) == set(expected)

    await eventually(is_so)


@contextmanager
def full_queue(listener: socket.socket, address: tuple[str, int]) -> Iterator[None]:
    """Have `listener` listen and accept nothing: once its queue is full, Linux drops further handshakes."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(0)
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.setblocking(False)  # noqa: FBT003
            one.connect_ex(address)
        yield
