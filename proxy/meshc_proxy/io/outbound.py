"""What the own application sends to others: routed, judged where nobody else would, and carried."""

import asyncio
import random
from dataclasses import replace

from meshc.ir import Destination, Mirror
from meshc.site import Address, Way
from meshc_proxy.io.accept import hello_of, http_connection
from meshc_proxy.io.body import Body
from meshc_proxy.io.channel import BrokenOffError, Channel
from meshc_proxy.io.driver import Driver
from meshc_proxy.io.exchange import Exchange, ExchangeEndedError
from meshc_proxy.io.inbound import Host, completed, note_head, note_refused, note_target
from meshc_proxy.io.mirroring import copy_to
from meshc_proxy.io.outcomes import answer, note_left
from meshc_proxy.io.pool import ConnectError, Pool, connect
from meshc_proxy.io.records import Record
from meshc_proxy.io.setup import Setup
from meshc_proxy.io.tunnel import tunnel
from meshc_proxy.io.upcall import Upcall
from meshc_proxy.io.upstreams import Chooser
from meshc_proxy.policy import replies
from meshc_proxy.policy.connections import decide_outbound_connection
from meshc_proxy.policy.hosts import Meant
from meshc_proxy.policy.hygiene import without_dot
from meshc_proxy.policy.outbound import AnswerLater, Send, call_facts, decide_outbound
from meshc_proxy.wire.events import MisuseError, Refused, RequestHead, ResetReason


async def serve_outbound(host: Host, channel: Channel) -> None:
    """Carry one connection of the application's to the listener that takes all of its HTTP. Raises as `serve_inbound`."""
    connection = await http_connection(channel, "", b"http", host.limits)
    calls = _Calls(host, channel.remote)
    driver = Driver(connection, channel, handler=calls.handle, on_refused=calls.refused)
    calls.driver = driver
    host.adopt(driver)
    try:
        await driver.run()
    finally:
        host.drop(driver)


async def serve_way(host: Host, way: Way, channel: Channel) -> None:
    """Carry one connection of the application's to a destination of bytes."""
    setup = host.setup
    sni = await hello_of(channel, host.limits) if _is_tls(setup, way) else None
    record = _record(setup, f"{way.to[0]}.{way.to[1]}:{way.to[2]}", channel.remote)
    record.server_name = sni
    try:
        decided = decide_outbound_connection(setup.snapshot, way.to, way.host, sni, random.random)
        if decided.destination is None:
            record.flags, record.details, record.rule = "UAEX", "rbac_access_denied_matched_policy", decided.rule
            channel.abort()
            return
        chooser = Chooser(head=None, address=channel.remote)
        endpoint = setup.upstreams.choose(decided.destination, _asked(way, sni), chooser, frozenset())
        if endpoint is None:
            record.flags, record.details = "UH", "no_healthy_upstream"
            channel.abort()
            return
        record.upstream, record.sent_to = str(endpoint.address), _named(decided.destination)
        idle_ms = decided.settings.idle_timeout_ms
        try:
            up, _ = await connect(endpoint)
        except ConnectError as error:
            record.flags, record.details = "UF", str(error)
            channel.abort()
            return
        idle_s = None if idle_ms is None else idle_ms / 1000.0
        record.bytes_in, record.bytes_out = await tunnel(channel, up, idle_s=idle_s)
        await up.close()
        await channel.close()
    finally:
        host.tell(record)


class _Calls:
    """The requests of one connection of the application's."""

    def __init__(self, host: Host, address: str) -> None:
        self._host = host
        self._address = address
        self.driver: Driver | None = None

    async def handle(self, exchange: Exchange) -> None:
        """Route and carry one request."""
        setup = self._host.setup
        head = exchange.head
        assert head is not None
        record = _record(setup, "", self._address)
        note_head(record, replace(head, authority=without_dot(head.authority)), self.driver)
        head, record.request_id = completed(head)
        try:
            meant = setup.hosts.find(head.authority)
            if meant is None:
                await answer(exchange, replies.NO_ROUTE, record)
                return
            record.to = f"{meant.key[0]}.{meant.key[1]}:{meant.key[2]}"
            if setup.asks_facts:
                record.facts = call_facts(setup.snapshot, meant.key, head)
            await self._route(setup, exchange, head, meant, record)
        except (BrokenOffError, ExchangeEndedError):
            note_left(record, exchange)
        except MisuseError as error:
            record.flags, record.details = "UPE", str(error)
        finally:
            self._host.tell(record)

    def refused(self, event: Refused, begun: Exchange | None) -> None:
        """Count what was refused, and log it, unless it is a part of a request that is logged itself."""
        self._host.refused(event.fault.value)
        if begun is None:
            self._host.tell(note_refused(_record(self._host.setup, "", self._address), event, self.driver))

    async def _route(self, setup: Setup, exchange: Exchange, head: RequestHead, meant: Meant, record: Record) -> None:
        decided = decide_outbound(setup.snapshot, meant.key, head, random.random)
        record.route = None if decided.route is None else decided.route.span
        note_target(record, decided.target)
        if decided.delay_ms:
            await _delayed(exchange, decided.delay_ms / 1000.0)
        match decided:
            case AnswerLater(reply=reply):
                await answer(exchange, reply, record)
            case Send():
                record.sent_to = _named(decided.destination)
                chooser = Chooser(head=decided.head, address=self._address)
                call = _Choice(setup, decided.destination, meant.host, chooser)
                mirrors = _Mirrors(setup, decided, meant.host, chooser)
                await Upcall(
                    down=exchange,
                    head=decided.head,
                    pick=call.pick,
                    settings=decided.settings,
                    record=record,
                    on_kept=mirrors.send if decided.mirrors else None,
                ).run()


class _Choice:
    """Where the tries of one request go: each to another endpoint, while there is one."""

    def __init__(self, setup: Setup, destination: Destination, host: str | None, chooser: Chooser) -> None:
        self._setup = setup
        self._destination = destination
        self._host = host
        self._chooser = chooser
        self._tried: frozenset[Address] = frozenset()

    def pick(self) -> Pool | None:
        """The next endpoint's connections."""
        upstreams = self._setup.upstreams
        endpoint = upstreams.choose(self._destination, self._host, self._chooser, self._tried)
        if endpoint is None:
            return None
        self._tried |= {endpoint.address}
        return upstreams.pool(self._destination, endpoint)


class _Mirrors:
    """The copies of one request, sent once its body is known; nobody waits for them."""

    def __init__(self, setup: Setup, sent: Send, host: str | None, chooser: Chooser) -> None:
        self._setup = setup
        self._sent = sent
        self._host = host
        self._chooser = chooser

    def send(self, body: Body) -> None:
        """Begin to send the copies."""
        for mirror in self._sent.mirrors:
            self._send(mirror, body)

    def _send(self, mirror: Mirror, body: Body) -> None:
        choice = _Choice(self._setup, mirror.destination, self._host, self._chooser)
        pool = choice.pick()
        if pool is not None:
            copy_to(pool, self._sent.head, body.kept)


async def _delayed(exchange: Exchange, seconds: float) -> None:
    """Wait, unless the caller leaves."""
    left = asyncio.Event()
    exchange.when_reset(left.set)
    try:
        async with asyncio.timeout(seconds):
            await left.wait()
    except TimeoutError:
        return
    exchange.reset(ResetReason.CANCELLED)
    raise ExchangeEndedError


def _is_tls(setup: Setup, way: Way) -> bool:
    """Whether the application speaks TLS itself here, whose server name rules may ask for."""
    port = setup.snapshot.evaluator.port(way.to)
    return port is not None and port.policy.protocol.value == "tls"


def _asked(way: Way, sni: str | None) -> str | None:
    """The host of an external that is connected to; behind a wildcard the one that the client names."""
    return sni if way.host is not None and way.host.startswith("*.") else way.host


def _named(destination: Destination) -> str:
    version = "" if destination.version is None else f"@{destination.version}"
    return f"{destination.namespace}/{destination.service}:{destination.port}{version}"


def _record(setup: Setup, to: str, address: str) -> Record:
    return Record(direction="outbound", source=setup.workload.identity, source_ip=address, to=to)
