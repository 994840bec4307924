"""A sidecar: its listeners, its connections, and what they run, which a reload swaps as a whole."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

from meshc.site import Address, Way
from meshc_proxy.io.accept import AcceptError
from meshc_proxy.io.channel import BLOCK, BrokenOffError, Channel
from meshc_proxy.io.driver import Driver
from meshc_proxy.io.inbound import serve_inbound
from meshc_proxy.io.key_sets import REFRESH_S, refresh
from meshc_proxy.io.outbound import serve_outbound, serve_way
from meshc_proxy.io.records import Record, Sink
from meshc_proxy.io.secrets import SecretsError
from meshc_proxy.io.setup import Setup
from meshc_proxy.wire.limits import ServerLimits

_LOG: Final = logging.getLogger("meshc.proxy")
_BACKLOG: Final = 512
_ANNOUNCED_S: Final = 1.0

Serve = Callable[[Channel], Awaitable[None]]


class ListenError(Exception):
    """An address that cannot be listened on; the text says which, and why."""


class Sidecar:
    """One running sidecar. `sink` takes a record of every request, `count` the reason of whatever was refused before one."""

    def __init__(
        self,
        setup: Setup,
        *,
        sink: Sink,
        count: Callable[[str], None] | None = None,
        limits: ServerLimits | None = None,
    ) -> None:
        self.setup = setup
        self.limits = limits or ServerLimits()
        self._sink = sink
        self._count = count
        self._servers: dict[Address, asyncio.Server] = {}
        self._serves: dict[Address, Serve] = {}
        self._drivers: set[Driver] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refreshing: asyncio.Task[None] | None = None
        self._is_draining = False

    # ---- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen on everything, or on nothing. Raises ListenError."""
        try:
            await self._listen(self.setup)
        except ListenError:
            await self._close(self._servers)
            raise
        self._refreshing = asyncio.create_task(self._refresh())

    async def reload(self, setup: Setup) -> None:
        """Run something else from now on: new requests see it, running ones keep what they began with.

        Raises ListenError, and then nothing has changed.
        """
        old = self.setup
        before = dict(self._serves)
        known = set(self._servers)
        try:
            await self._listen(setup)
        except ListenError:
            await self._close(set(self._servers) - known)
            self._serves = before
            raise
        self.setup = setup
        await self._close(set(self._servers) - set(self._serves))
        old.upstreams.close()
        if not setup.secrets.trusts_all_of(old.secrets):
            self._part_with_verified()
        if setup.remote_sets():
            await self._fetch(setup)

    def _part_with_verified(self) -> None:
        """Whom an authority vouched for that may be none any more finishes what has begun, and must come again."""
        secure = [driver for driver in self._drivers if driver.channel.is_secure]
        for driver in secure:
            driver.leave()
        asyncio.get_running_loop().call_later(_ANNOUNCED_S, self._leave_again, secure)

    def _leave_again(self, drivers: Iterable[Driver]) -> None:
        for driver in drivers:
            if driver in self._drivers:
                driver.leave()

    async def drain(self, grace_s: float) -> None:
        """Take nothing new, let what is under way finish, for so many seconds at most; then stop."""
        self._is_draining = True
        await self._close(self._servers)
        for driver in tuple(self._drivers):
            driver.leave()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                # Clients have seen the announcement after a while; then streams that they begin are refused (RFC 9113 6.8).
                await asyncio.sleep(min(_ANNOUNCED_S, grace_s / 4))
                for driver in tuple(self._drivers):
                    driver.leave()
                while self._tasks:
                    await asyncio.wait(self._tasks)
        await self.stop()

    async def stop(self) -> None:
        """End everything now."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        await self._close(self._servers)
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.setup.upstreams.abort()

    @property
    def active(self) -> int:
        """How many connections are open."""
        return len(self._tasks)

    @property
    def requests(self) -> int:
        """How many requests are under way."""
        return sum(driver.active for driver in self._drivers)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens."""
        return tuple(self._servers)

    # ---- what its connections ask of it -----------------------------------------------------------------------------

    def tell(self, record: Record) -> None:
        record.finish()
        self._sink(record)

    def refused(self, reason: str) -> None:
        if self._count is not None:
            self._count(reason)

    def adopt(self, driver: Driver) -> None:
        self._drivers.add(driver)
        if self._is_draining:
            driver.leave()

    def drop(self, driver: Driver) -> None:
        self._drivers.discard(driver)

    # ---- listeners --------------------------------------------------------------------------------------------------

    async def _listen(self, setup: Setup) -> None:
        wanted = dict(self._wanted(setup))
        for address, serve in wanted.items():
            self._serves[address] = serve
            if address not in self._servers:
                self._servers[address] = await self._open(address)
        self._serves = wanted

    def _wanted(self, setup: Setup) -> Iterable[tuple[Address, Serve]]:
        for one in setup.site.inbound:
            for address in one.listen:
                yield address, self._inbound(one.number)
        for address in setup.site.outbound:
            yield address, self._outbound()
        for way in setup.site.ways:
            yield way.listen, self._way(way)

    def _inbound(self, number: int) -> Serve:
        return lambda channel: serve_inbound(self, number, channel)

    def _outbound(self) -> Serve:
        return lambda channel: serve_outbound(self, channel)

    def _way(self, way: Way) -> Serve:
        return lambda channel: serve_way(self, way, channel)

    async def _open(self, address: Address) -> asyncio.Server:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(address, Channel(reader, writer)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        try:
            # asyncio accepts as many at once as its backlog says, and complains as often where there are no descriptors.
            server = await asyncio.start_server(accept, address.host, address.port, limit=BLOCK, backlog=1)
            for one in server.sockets:
                with socket.fromfd(one.fileno(), one.family, one.type) as listening:
                    listening.listen(_BACKLOG)
        except OSError as error:
            raise ListenError(f"cannot listen on {address}: {error.strerror or error}") from error
        return server

    async def _serve(self, address: Address, channel: Channel) -> None:
        serve = self._serves.get(address)
        try:
            if serve is None:
                channel.abort()
            else:
                await serve(channel)
        except (AcceptError, BrokenOffError, SecretsError) as error:
            self.refused(str(error))
            channel.abort()
        except asyncio.CancelledError:
            channel.abort()
            raise
        except Exception:  # noqa: BLE001
            # One connection's mistake must not end the others; it ends this one without an answer.
            _LOG.exception("a connection to %s failed", address)
            self.refused("internal")
            channel.abort()

    async def _close(self, addresses: Iterable[Address]) -> None:
        for address in tuple(addresses):
            server = self._servers.pop(address, None)
            self._serves.pop(address, None)
            if server is not None:
                server.close()

    # ---- keys -------------------------------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        while True:
            problems = await self._fetch(self.setup)
            await asyncio.sleep(REFRESH_S / 10 if problems else REFRESH_S)

    async def _fetch(self, setup: Setup) -> list[str]:
        problems = await refresh(setup)
        for problem in problems:
            _LOG.warning("%s", problem)
        return problems
