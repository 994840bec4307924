"""One request on its way: sent, perhaps tried again, its answer passed on, and every way in which that can fail."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from meshc.ir import Settings
from meshc_proxy.io.body import Body, CallerLeftError
from meshc_proxy.io.channel import BrokenOffError
from meshc_proxy.io.driver import Driver
from meshc_proxy.io.exchange import Exchange, ExchangeEndedError
from meshc_proxy.io.outcomes import answer, note_cut, note_flag, note_grpc, note_left
from meshc_proxy.io.pool import ConnectError, Pool
from meshc_proxy.io.records import Record
from meshc_proxy.policy import replies
from meshc_proxy.policy.outbound import change_headers
from meshc_proxy.policy.replies import Flag, Reply
from meshc_proxy.policy.retrying import Failure, backoff_s, retries_answer, retries_failure
from meshc_proxy.wire.bridge import is_grpc
from meshc_proxy.wire.events import (
    Data,
    End,
    Informational,
    MisuseError,
    RequestHead,
    Reset,
    ResetReason,
    ResponseHead,
    Trailers,
)
from meshc_proxy.wire.http1_client import Http1Client

_SWITCHING: Final = 101
_GRPC_UNKNOWN: Final = 2
_IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})

PickPool: TypeAlias = Callable[[], Pool | None]
"""Where the next try goes; None where there is nobody."""


@dataclass(slots=True)
class _Open:
    """A try whose answer has begun: everything that must be ended with it."""

    exchange: Exchange
    driver: Driver
    copying: "asyncio.Task[None]"
    head: ResponseHead | None = None


@dataclass(frozen=True, slots=True)
class _Failed:
    """A try that brought no answer."""

    failure: Failure
    reply: Reply
    stale: bool = False


class _LeftError(Exception):
    """The caller has gone; nobody waits for an answer."""


@dataclass(slots=True, kw_only=True)
class Upcall:
    """A request of `down`, whose changed head is `head`, towards what `pick` chooses.

    `settings` say how long and how often; `on_kept` is told once the whole body is known and was small enough to keep.
    """

    down: Exchange
    head: RequestHead
    pick: PickPool
    settings: Settings
    record: Record
    on_kept: Callable[[Body], None] | None = None
    _timed_out: bool = False
    _used_up: bool = False
    _idled: bool = False
    _answering: bool = False
    _timer: asyncio.TimerHandle | None = None
    _idle_timer: asyncio.TimerHandle | None = None
    _moved: float = 0.0
    _current: Exchange | None = None
    _body: Body = field(init=False)

    async def run(self) -> None:
        """Carry the request to its end; whatever happens, the record says it. Raises BrokenOffError and MisuseError."""
        self._body = Body(self.down, keep=not self.head.upgrade)
        self.down.when_reset(self._leave)
        try:
            opened = await self._tries()
            if isinstance(opened, Reply):
                # Envoy's router changes the headers of its own answers too.
                headers = change_headers(opened.headers, self.settings.header_changes, "response")
                await answer(self.down, replace(opened, headers=headers), self.record)
                if self._used_up:
                    self.record.flags = f"{self.record.flags},{Flag.RETRIES_USED_UP.value}"
            else:
                await self._pass_on(opened)
        except (_LeftError, CallerLeftError, ExchangeEndedError):
            if self._timed_out or self._idled:
                reply = self._late()
                note_flag(self.record, reply.flag, reply.details)
            else:
                note_left(self.record, self.down)
        finally:
            self.record.bytes_in = self._body.bytes
            for timer in (self._timer, self._idle_timer):
                if timer is not None:
                    timer.cancel()

    # ---- tries ----------------------------------------------------------------------------------------------------

    async def _tries(self) -> _Open | Reply:
        retry = self.settings.retry
        tries, fresh = 1, False
        while True:
            tried = await self._try(retry.per_try_ms if retry is not None else None)
            if isinstance(tried, Reply):
                return tried
            if self._timed_out or self._idled:
                await self._abandon(tried)
                return self._late()
            if isinstance(tried, _Failed) and tried.stale and not fresh and self._body.can_repeat:
                fresh = True  # the connection had been closed while it was idle: nobody has seen the request
                continue
            if retry is None or not self._body.can_repeat or not self._may_retry(tried):
                return tried.reply if isinstance(tried, _Failed) else tried
            if tries > retry.attempts:
                self._used_up = True
                return tried.reply if isinstance(tried, _Failed) else tried
            await self._abandon(tried)
            await asyncio.sleep(backoff_s(retry, tries, random.random))
            if self._timed_out:
                return self._late()
            tries += 1

    def _is_harmless(self, exchange: Exchange, reason: ResetReason) -> bool:
        """Whether the request may be sent again unasked: nobody has looked at it, or, on a kept connection, twice is as once.

        Source: RFC 9110 section 9.2.2; RFC 9113 section 8.7.
        """
        is_stale = exchange.reused and reason is ResetReason.TRUNCATED and self.head.method in _IDEMPOTENT
        return reason is ResetReason.REFUSED or is_stale

    def _may_retry(self, tried: "_Open | _Failed") -> bool:
        retry = self.settings.retry
        if retry is None:
            return False
        if isinstance(tried, _Failed):
            return retries_failure(retry, tried.failure)
        return tried.head is not None and retries_answer(retry, tried.head)

    async def _abandon(self, tried: "_Open | _Failed") -> None:
        if isinstance(tried, _Open):
            tried.exchange.reset(ResetReason.CANCELLED)
            await self._close(tried)

    def _late(self) -> Reply:
        return replies.UPSTREAM_TIMEOUT if self._timed_out else replies.IDLE

    async def _try(self, per_try_ms: int | None) -> "_Open | _Failed | Reply":
        pool = self.pick()
        if pool is None:
            return replies.NO_UPSTREAM
        self.record.upstream = str(pool.endpoint.address)
        try:
            exchange, driver = await self._unless_left(pool.begin(self.head))
        except (ConnectError, BrokenOffError) as error:
            reply = replies.upstream_failed(Flag.UPSTREAM_FAILED, str(error))
            return _Failed(Failure.CONNECT, reply)
        except MisuseError:
            return replies.UPSTREAM_NOT_UNDERSTOOD
        self._current = exchange
        self._watch_idle()
        copying = asyncio.create_task(self._copy(exchange))
        opened = _Open(exchange, driver, copying)
        limit = None if per_try_ms is None else per_try_ms / 1000.0
        try:
            async with asyncio.timeout(limit):
                return await self._await_head(opened)
        except TimeoutError:
            exchange.reset(ResetReason.CANCELLED)
            await self._close(opened)
            return _Failed(Failure.TIMEOUT, replies.UPSTREAM_TIMEOUT)
        except BaseException:
            exchange.reset(ResetReason.CANCELLED)
            await self._close(opened)
            raise

    async def _unless_left(self, begun: "Awaitable[tuple[Exchange, Driver]]") -> tuple[Exchange, Driver]:
        task = asyncio.ensure_future(begun)
        self.down.when_reset(lambda: _cancel(task))
        try:
            return await task
        except asyncio.CancelledError:
            if self.down.reset_by is not None:
                raise _LeftError from None
            task.cancel()
            raise

    async def _copy(self, exchange: Exchange) -> None:
        # Failures show as a reset of one side or the other, which the reader of answers sees.
        try:
            await self._body.copy(exchange)
        except (CallerLeftError, ExchangeEndedError, BrokenOffError, MisuseError):
            exchange.reset(ResetReason.CANCELLED)
            return
        self._start_timer()
        if self.on_kept is not None and self._body.replayable:
            told, self.on_kept = self.on_kept, None
            told(self._body)

    async def _await_head(self, opened: _Open) -> "_Open | _Failed":
        exchange = opened.exchange
        while True:
            event = await exchange.receive()
            self._moved = time.monotonic()
            match event:
                case ResponseHead():
                    opened.head = event
                    return opened
                case Informational():
                    await self.down.send(event)
                case Reset(reason=reason):
                    await self._close(opened)
                    if self.down.reset_by is not None:
                        raise _LeftError
                    return _failed(reason, stale=self._is_harmless(exchange, reason))
                case _:
                    continue

    async def _close(self, opened: _Open) -> None:
        opened.copying.cancel()
        with suppress(asyncio.CancelledError):
            await opened.copying
        with suppress(BrokenOffError, MisuseError):
            opened.driver.forget(opened.exchange)
        self._current = None

    # ---- the answer ------------------------------------------------------------------------------------------------

    async def _pass_on(self, opened: _Open) -> None:
        head = opened.head
        assert head is not None
        try:
            if head.status == _SWITCHING:
                self._stop_timers()
            headers = change_headers(head.headers, self.settings.header_changes, "response")
            self.record.status = head.status
            note_flag(self.record, Flag.RETRIES_USED_UP if self._used_up else Flag.NONE, "via_upstream")
            note_grpc(self.record, headers)
            self._answering = True
            await self.down.send(
                ResponseHead(stream=self.down.stream, status=head.status, headers=headers, ends=head.ends)
            )
            await self._pass_body(opened)
            if head.status == _SWITCHING:
                await opened.copying
        finally:
            await self._close(opened)

    async def _pass_body(self, opened: _Open) -> None:
        exchange = opened.exchange
        while True:
            event = await exchange.receive()
            self._moved = time.monotonic()
            match event:
                case Data():
                    await self.down.send(event)
                    exchange.passed_on(event)
                    self.record.bytes_out += event.size
                case Trailers():
                    note_grpc(self.record, event.headers)
                    await self.down.send(event)
                case End():
                    await self.down.send(event)
                    return
                case Reset(reason=reason):
                    self._cut(opened, reason)
                    return
                case _:
                    continue

    def _cut(self, opened: _Open, reason: ResetReason) -> None:
        """The answer broke off: its reader must not take it for whole."""
        if self.down.reset_by is not None and not (self._timed_out or self._idled):
            raise _LeftError
        if self._timed_out or self._idled:
            reply = self._late()
            note_flag(self.record, reply.flag, reply.details)
        else:
            note_cut(self.record, reason, is_http1=isinstance(opened.driver.connection, Http1Client))
        if opened.head is not None and is_grpc(opened.head.headers) and self.record.grpc_status is None:
            self.record.grpc_status = _GRPC_UNKNOWN
        self.down.reset(ResetReason.TRUNCATED)

    # ---- time ------------------------------------------------------------------------------------------------------

    def _start_timer(self) -> None:
        """The request's time runs from its end, over all tries."""
        if self._timer is None and self.settings.timeout_ms is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.settings.timeout_ms / 1000.0, self._expire)

    def _expire(self) -> None:
        self._timed_out = True
        self._give_up()

    def _watch_idle(self) -> None:
        if self.settings.idle_timeout_ms is None or self._idle_timer is not None:
            return
        loop = asyncio.get_running_loop()
        self._moved = time.monotonic()
        self._idle_timer = loop.call_later(self.settings.idle_timeout_ms / 1000.0, self._look_idle)

    def _look_idle(self) -> None:
        loop = asyncio.get_running_loop()
        allowed = (self.settings.idle_timeout_ms or 0) / 1000.0
        moved = max(self._moved, self._body.moved)
        if (left := moved + allowed - time.monotonic()) > 0:
            self._idle_timer = loop.call_later(left, self._look_idle)
            return
        self._idled = True
        self._give_up()

    def _give_up(self) -> None:
        """End what is under way; of an answer that has begun its reader, who may be the one who stopped, as well."""
        if self._current is not None:
            self._current.reset(ResetReason.CANCELLED)
        if self._answering:
            self.down.reset(ResetReason.TRUNCATED)

    def _stop_timers(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _leave(self) -> None:
        if self._current is not None:
            self._current.reset(ResetReason.CANCELLED)


def _cancel(task: "asyncio.Future[tuple[Exchange, Driver]]") -> None:
    task.cancel()


def _failed(reason: ResetReason, *, stale: bool) -> _Failed:
    failure = Failure.REFUSED if reason is ResetReason.REFUSED else Failure.RESET
    return _Failed(failure, replies.upstream_reset(reason), stale)
