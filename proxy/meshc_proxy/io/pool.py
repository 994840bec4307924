"""Connections to one endpoint, kept for the next request: never shared between identities, since each pool has one.

HTTP/1.1 connections carry one exchange at a time, HTTP/2 connections many; which it is, the endpoint's protocols say.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from meshc.site import Address
from meshc_proxy.io.channel import BLOCK, BrokenOffError, Channel
from meshc_proxy.io.driver import Driver
from meshc_proxy.io.exchange import Exchange
from meshc_proxy.io.secrets import SecretsError
from meshc_proxy.wire.events import RequestHead
from meshc_proxy.wire.http1_client import Http1Client
from meshc_proxy.wire.http2_sides import Http2Client
from meshc_proxy.wire.spiffe import SpiffeId
from meshc_proxy.wire.tls import Established, Tls

HTTP2: Final = "h2"
HTTP1: Final = "http/1.1"
CONNECT_S: Final = 5.0
"""How long a connection may take, handshake and all, if the program does not say; in seconds. Source: Envoy."""

MOST_IDLE: Final = 100
"""How many HTTP/1.1 connections of one endpoint are kept for the next request: a burst must not hold descriptors for ever."""


class ConnectError(Exception):
    """No connection came about; the text says why, for logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where and how to connect: `protocols` in order of preference, `secure` makes the TLS of a connection, `server` is the
    identity that must answer, None where the name was verified or there is no TLS; `server_name` is that name. Times are in seconds.
    """

    address: Address
    protocols: tuple[str, ...] = ()
    secure: Callable[[], Tls] | None = None
    server: SpiffeId | None = None
    source: str | None = None
    connect_s: float = CONNECT_S
    server_name: str | None = None


async def connect(endpoint: Endpoint) -> tuple[Channel, Established | None]:
    """A new connection. Raises ConnectError."""
    channel: Channel | None = None
    source = None if endpoint.source is None else (endpoint.source, 0)
    address = endpoint.address
    try:
        async with asyncio.timeout(endpoint.connect_s):
            reader, writer = await asyncio.open_connection(address.host, address.port, local_addr=source, limit=BLOCK)
            channel = Channel(reader, writer)
            if endpoint.secure is None:
                return channel, None
            established = await channel.secure(endpoint.secure())
    except TimeoutError:
        _drop(channel)
        raise ConnectError("connection timeout") from None
    except (OSError, BrokenOffError, SecretsError, UnicodeError) as error:
        # A label of more than 63 letters has no address, and no TLS can ask for it: Python calls that an error of codecs.
        _drop(channel)
        detail = f"TLS error: {error}" if isinstance(error, BrokenOffError | SecretsError) else "connection failure"
        raise ConnectError(f"remote connection failure, {detail}") from error
    except BaseException:
        _drop(channel)  # whoever wanted it has left within the handshake
        raise
    if established.peer != endpoint.server:
        _drop(channel)
        raise ConnectError("TLS error: the server is somebody else")
    return channel, established


def _drop(channel: Channel | None) -> None:
    if channel is not None:
        channel.abort()


class Pool:
    """The connections to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._idle: list[Driver] = []
        self._shared: list[Driver] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()
        self._failed: tuple[float, str] | None = None
        self.is_closed = False

    @property
    def is_over(self) -> bool:
        """Whether it is closed, and nothing is under way any more."""
        return self.is_closed and not self._tasks

    async def begin(self, head: RequestHead) -> tuple[Exchange, Driver]:
        """Send a request's head, on an old connection or a new one. Raises ConnectError, BrokenOffError and MisuseError.

        The driver must `forget` the exchange in the end.
        """
        driver = self._take_idle()
        if driver is not None:
            return await self._send(driver, head, reused=True)
        driver = self._free() or await self._shared_or_new()
        return await self._send(driver, head, reused=driver.began > 0)

    def close(self) -> None:
        """Take no more requests; what is under way may finish."""
        self.is_closed = True
        for driver in self._idle:
            driver.leave()
        for driver in tuple(self._shared):
            self._retire(driver)
        self._idle.clear()
        self._shared.clear()

    async def abort(self) -> None:
        """End every connection now."""
        self.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _shared_or_new(self) -> Driver:
        """Many requests that come at once wait for one HTTP/2 connection, rather than each opening one."""
        if HTTP2 not in self.endpoint.protocols:
            return await self._open()
        asked = time.monotonic()
        async with self._opening:
            driver = self._free()
            if driver is not None:
                return driver
            if self._failed is not None and self._failed[0] >= asked:
                # What failed for the first of them failed for all: else each waits for as long again.
                raise ConnectError(self._failed[1])
            try:
                return await self._open()
            except ConnectError as error:
                self._failed = (time.monotonic(), str(error))
                raise

    async def _open(self) -> Driver:
        channel, established = await connect(self.endpoint)
        protocol = established.protocol if established is not None else ""
        is_http2 = (protocol or self.endpoint.protocols[0]) == HTTP2
        now = time.monotonic()
        connection = Http2Client(now=now) if is_http2 else Http1Client(now=now)
        driver = Driver(connection, channel)
        if is_http2:
            self._shared.append(driver)
            driver.on_idle = lambda: self._retire(driver)
            driver.channel.write(connection.output())
        else:
            driver.on_idle = lambda: self._keep(driver)
        task = asyncio.create_task(self._run(driver))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return driver

    async def _run(self, driver: Driver) -> None:
        try:
            await driver.run()
        finally:
            for drivers in (self._idle, self._shared):
                with suppress(ValueError):
                    drivers.remove(driver)

    def _keep(self, driver: Driver) -> None:
        connection = driver.connection
        if isinstance(connection, Http1Client) and connection.reusable and not driver.is_over and not driver.active:
            if self.is_closed or len(self._idle) >= MOST_IDLE:
                driver.leave()
            elif driver not in self._idle:
                self._idle.append(driver)

    def _retire(self, driver: Driver) -> None:
        """A connection of many requests, in a pool that is closed or to a server that takes no more, ends with the last of them.

        It is not announced before: servers that are made with h2 answer nothing more once a client has said GOAWAY.
        """
        connection = driver.connection
        is_of_use = isinstance(connection, Http2Client) and connection.free_streams > 0
        if (self.is_closed or not is_of_use) and not driver.active and not driver.is_over:
            driver.leave()
            driver.leave()

    def _take_idle(self) -> Driver | None:
        while self._idle:
            driver = self._idle.pop()
            if not driver.is_over:
                return driver
        return None

    def _free(self) -> Driver | None:
        for driver in self._shared:
            connection = driver.connection
            if not driver.is_over and isinstance(connection, Http2Client) and connection.free_streams:
                return driver
        return None

    async def _send(self, driver: Driver, head: RequestHead, *, reused: bool) -> tuple[Exchange, Driver]:
        connection = driver.connection
        assert isinstance(connection, Http1Client | Http2Client)
        exchange = driver.open(connection.next_stream, reused=reused)
        try:
            await exchange.send(replace(head, stream=exchange.stream))
        except BaseException:
            driver.forget(exchange)
            raise
        return exchange, driver
