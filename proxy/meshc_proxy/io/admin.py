"""The admin endpoint: what runs, whether it is ready, its metrics, and the order to drain. It listens on loopback."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from meshc.site import Address
from meshc_proxy.io.channel import BLOCK, BrokenOffError, Channel
from meshc_proxy.io.driver import Driver
from meshc_proxy.io.exchange import Exchange, ExchangeEndedError
from meshc_proxy.io.sidecar import ListenError
from meshc_proxy.policy.replies import Reply
from meshc_proxy.wire.bridge import value_of
from meshc_proxy.wire.events import Data, End, MisuseError, Reset, ResponseHead
from meshc_proxy.wire.http1_server import Http1Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is answered to a method and a path."""

    answer: Callable[[], Reply]
    method: bytes = b"GET"


def text_reply(status: int, text: str) -> Reply:
    """Plain text."""
    return Reply(status=status, body=text.encode(), headers=((b"content-type", b"text/plain; charset=utf-8"),))


def json_reply(value: Mapping[str, object]) -> Reply:
    """JSON, laid out for people."""
    return Reply(
        status=200, body=json.dumps(value, indent=2).encode() + b"\n", headers=((b"content-type", b"application/json"),)
    )


class Admin:
    """A small HTTP/1.1 server for pages by path; everything else is 404 or 405."""

    def __init__(self, pages: Mapping[bytes, Page]) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, address: Address) -> None:
        """Listen. Raises ListenError."""
        try:
            self._server = await asyncio.start_server(self._accept, address.host, address.port, limit=BLOCK)
        except OSError as error:
            raise ListenError(f"cannot listen on {address}: {error.strerror or error}") from error

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(Channel(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, channel: Channel) -> None:
        driver = Driver(Http1Server(scheme=b"http", now=time.monotonic()), channel, handler=self._handle)
        await driver.run()

    async def _handle(self, exchange: Exchange) -> None:
        try:
            while not isinstance(event := await exchange.receive(), End | Reset):
                if isinstance(event, Data):
                    exchange.passed_on(event)
            await _answer(exchange, self._reply(exchange))
        except (BrokenOffError, ExchangeEndedError, MisuseError):
            return

    def _reply(self, exchange: Exchange) -> Reply:
        assert exchange.head is not None
        page = self._pages.get(exchange.head.path.partition(b"?")[0])
        if page is None:
            listed = "\n".join(f"{one.method.decode()} {path.decode()}" for path, one in sorted(self._pages.items()))
            return text_reply(404, f"there is nothing here; what there is:\n{listed}\n")
        if exchange.head.method != page.method:
            return text_reply(405, f"use {page.method.decode()}\n")
        if page.method != b"GET" and value_of(exchange.head.headers, b"origin") is not None:
            # Any page that a browser shows may have it post to loopback; it then says whose page it is.
            return text_reply(403, "orders are not taken from browsers\n")
        return page.answer()


async def _answer(exchange: Exchange, reply: Reply) -> None:
    headers = (*reply.headers, (b"content-length", b"%d" % len(reply.body)))
    stream = exchange.stream
    await exchange.send(ResponseHead(stream=stream, status=reply.status, headers=headers, ends=not reply.body))
    if reply.body:
        await exchange.send(Data(stream=stream, data=reply.body))
    await exchange.send(End(stream=stream))
