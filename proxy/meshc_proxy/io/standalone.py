"""One reference proxy as a process: it starts with a configuration that is good, keeps the last good one, and drains."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from meshc.ir import Mesh
from meshc.site import Address, Site
from meshc_proxy.io.admin import Admin, Page, json_reply, text_reply
from meshc_proxy.io.logs import AccessLogs
from meshc_proxy.io.metrics import Metrics
from meshc_proxy.io.records import Record
from meshc_proxy.io.secrets import SecretsError
from meshc_proxy.io.setup import Setup, SetupError, not_enforced, prepare
from meshc_proxy.io.sidecar import ListenError, Sidecar
from meshc_proxy.policy.replies import Reply

LOOK_S: Final = 1.0
"""How often the files are looked at, in seconds."""

_LOG: Final = logging.getLogger("meshc.proxy")
_METRICS_PORT: Final = 15090
_METRICS_PATH: Final = b"/stats/prometheus"


class ConfigurationError(Exception):
    """Configuration that cannot be run, in one line or several; the text is meant for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the configuration comes from: `load` reads it whole, `stamp` changes when it may have changed.

    `load` raises ConfigurationError.
    """

    load: Callable[[], tuple[Mesh, Site]]
    stamp: Callable[[], Hashable]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How to run: `admin` is None for no admin endpoint, `drain_s` how long what is under way may take at the end."""

    admin: Address | None
    drain_s: float
    say: Callable[[str], None]


def run(source: Source, running: Running) -> None:
    """Run until SIGTERM or SIGINT; a second one ends at once. Raises ConfigurationError before anything listens."""
    stamp = source.stamp()
    setup = _prepared(source, None)
    asyncio.run(_Process(source, running, setup, stamp).run())


def _prepared(source: Source, before: Setup | None) -> Setup:
    try:
        mesh, site = source.load()
        return prepare(mesh, site, before)
    except (SetupError, SecretsError, ValueError) as error:
        raise ConfigurationError(str(error)) from error


class _Process:
    def __init__(self, source: Source, running: Running, setup: Setup, stamp: Hashable) -> None:
        self._source = source
        self._running = running
        self._stamp = stamp
        self._metrics = Metrics()
        self._logs = AccessLogs(sys.stdout)
        self._sidecar = Sidecar(setup, sink=self._take, count=self._metrics.refused)
        self._asked = asyncio.Event()
        self._loaded_at = datetime.now(UTC)
        self._generation = 1
        self._problem: str | None = None
        self._is_draining = False

    async def run(self) -> None:
        admin, metrics = Admin(self._pages()), Admin({_METRICS_PATH: Page(answer=self._show_metrics)})
        self._told(self._sidecar.setup)
        try:
            await self._sidecar.start()
            if self._running.admin is not None:
                await admin.start(self._running.admin)
            if self._sidecar.setup.workload.telemetry.metrics:
                await metrics.start(Address(host="0.0.0.0", port=_METRICS_PORT))  # noqa: S104  as the program asks
        except ListenError as error:
            await self._sidecar.stop()
            await admin.stop()
            raise ConfigurationError(str(error)) from error
        self._say_where()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unhandled)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask)
        watching = asyncio.create_task(self._watch())
        await self._asked.wait()
        watching.cancel()
        await self._drain()
        await admin.stop()
        await metrics.stop()
        self._logs.close()

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if "socket" in context and isinstance(error, OSError):
            # asyncio leaves the listener alone for a second.
            self._running.say(f"no connection can be accepted for now: {error.strerror}")
        else:
            loop.default_exception_handler(context)

    def _ask(self) -> None:
        self._asked.set()

    async def _drain(self) -> None:
        self._is_draining = True
        self._running.say(f"draining, for at most {self._running.drain_s:g} s; once more ends at once")
        loop = asyncio.get_running_loop()
        draining = asyncio.create_task(self._sidecar.drain(self._running.drain_s))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, draining.cancel)
        with suppress(asyncio.CancelledError):
            await draining
        await self._sidecar.stop()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self._metrics.open.set(self._sidecar.active)
            self._metrics.dropped.set(self._logs.dropped)
            stamp = self._source.stamp()
            if stamp != self._stamp:
                self._stamp = stamp
                await self._reload()

    async def _reload(self) -> None:
        """Take the new configuration, or keep the last good one and say why."""
        try:
            setup = await asyncio.to_thread(_prepared, self._source, self._sidecar.setup)
            await self._sidecar.reload(setup)
        except (ConfigurationError, ListenError) as error:
            self._refuse(str(error))
            return
        except Exception:  # noqa: BLE001
            # A mistake of ours in reading must not end the watch: nothing would ever be reloaded again.
            _LOG.exception("the new configuration cannot be read")
            self._refuse("it cannot be read")
            return
        self._problem = None
        self._generation += 1
        self._loaded_at = datetime.now(UTC)
        self._metrics.reloaded(ok=True)
        self._told(setup)
        self._running.say(f"configuration {self._generation} runs")

    def _refuse(self, problem: str) -> None:
        self._problem = problem
        self._metrics.reloaded(ok=False)
        self._running.say(f"the new configuration is refused, the last good one stays: {problem}")

    def _told(self, setup: Setup) -> None:
        self._logs.load(setup.mesh, setup.site.workload)
        if left := not_enforced(setup.mesh):
            self._running.say(f"not done by this proxy: {', '.join(left)}")

    def _take(self, record: Record) -> None:
        self._metrics.take(record)
        self._logs.take(record)

    def _say_where(self) -> None:
        setup = self._sidecar.setup
        for one in setup.site.inbound:
            places = ", ".join(map(str, one.listen))
            self._running.say(f"{'.'.join(setup.site.workload)}:{one.number} at {places}, for {one.application}")
        for address in setup.site.outbound:
            self._running.say(f"calls to others at {address}")

    # ---- admin ----------------------------------------------------------------------------------------------------

    def _pages(self) -> dict[bytes, Page]:
        return {
            b"/ready": Page(answer=self._show_ready),
            b"/config": Page(answer=self._show_config),
            b"/metrics": Page(answer=self._show_metrics),
            b"/drain": Page(answer=self._order_drain, method=b"POST"),
        }

    def _show_ready(self) -> Reply:
        return text_reply(503, "draining\n") if self._is_draining else text_reply(200, "ready\n")

    def _show_metrics(self) -> Reply:
        kind = self._metrics.content_type.encode("ascii")
        return Reply(status=200, body=self._metrics.text(), headers=((b"content-type", kind),))

    def _order_drain(self) -> Reply:
        self._asked.set()
        return text_reply(200, "draining\n")

    def _show_config(self) -> Reply:
        setup = self._sidecar.setup
        return json_reply(
            {
                "workload": ".".join(setup.site.workload),
                "identity": setup.workload.identity,
                "generation": self._generation,
                "loaded_at": self._loaded_at.isoformat(timespec="seconds"),
                "refused_since": self._problem,
                "not_done": list(not_enforced(setup.mesh)),
                "ports": [
                    {
                        "port": port.number,
                        "protocol": port.protocol.value,
                        "mtls": port.mtls.value,
                        "listen": [
                            str(at) for one in setup.site.inbound if one.number == port.number for at in one.listen
                        ],
                        "rules": sum(len(stage.rules) for stage in port.access),
                    }
                    for port in setup.workload.ports
                ],
                "destinations": sorted(f"{key[0]}.{key[1]}:{key[2]}" for key in setup.site.peers),
            }
        )
