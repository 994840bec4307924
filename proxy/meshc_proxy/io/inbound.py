"""What arrives for the own application: connections are verified, requests decided, and what is allowed passed on."""

import base64
import secrets
import uuid
from dataclasses import replace
from typing import Final, Protocol

from meshc.ir import MtlsMode, PortPolicy, Settings
from meshc.ir import Protocol as Spoken
from meshc.request import Decision
from meshc.site import Inbound as Listening
from meshc_proxy.io.accept import AcceptError, hello_of, http_connection, peek
from meshc_proxy.io.channel import BrokenOffError, Channel
from meshc_proxy.io.clock import moment
from meshc_proxy.io.driver import Driver
from meshc_proxy.io.exchange import Exchange, ExchangeEndedError
from meshc_proxy.io.outcomes import answer, note_left
from meshc_proxy.io.pool import ConnectError, Endpoint, connect
from meshc_proxy.io.records import Record
from meshc_proxy.io.setup import Setup
from meshc_proxy.io.tunnel import tunnel
from meshc_proxy.io.upcall import Upcall
from meshc_proxy.policy.hygiene import without_port
from meshc_proxy.policy.inbound import Answer, Forward, Peer, Refuse, decide_connection, decide_inbound, facts_of
from meshc_proxy.policy.replies import Flag
from meshc_proxy.policy.texts import decoded
from meshc_proxy.wire.bridge import value_of
from meshc_proxy.wire.events import MisuseError, Refused, RequestHead
from meshc_proxy.wire.http2_sides import Http2Server
from meshc_proxy.wire.limits import ServerLimits
from meshc_proxy.wire.sniff import Spoken as First
from meshc_proxy.wire.sniff import sniff
from meshc_proxy.wire.spiffe import SpiffeId
from meshc_proxy.wire.tls import PeerMode

_PLAIN_SETTINGS: Final = Settings()
_HTTP1: Final = "HTTP/1.1"
_WEBSOCKET_KEY: Final = b"sec-websocket-key"
REQUEST_ID: Final = b"x-request-id"


class Host(Protocol):
    """The sidecar that a connection came to."""

    @property
    def setup(self) -> Setup:
        """What it runs now."""
        ...

    @property
    def limits(self) -> ServerLimits:
        """What its clients may take."""
        ...

    def tell(self, record: Record) -> None:
        """Take a record that is complete."""
        ...

    def refused(self, reason: str) -> None:
        """Count bytes or handshakes that were refused."""
        ...

    def adopt(self, driver: Driver) -> None:
        """Remember a connection that must be drained."""
        ...

    def drop(self, driver: Driver) -> None:
        """Forget it again."""
        ...


async def serve_inbound(host: Host, number: int, channel: Channel) -> None:
    """Carry one connection to the service's port `number`. Raises AcceptError and BrokenOffError."""
    setup = host.setup
    port = setup.snapshot.port(number)
    listening = next((one for one in setup.site.inbound if one.number == number), None)
    if port is None or listening is None:
        channel.abort()
        return
    if port.protocol is Spoken.TLS:
        sni = await hello_of(channel, host.limits)
        await _connection(host, port, listening, channel, Peer(identity=None, address=channel.remote), sni=sni)
        return
    identity, protocol, is_secure = await _verify(setup, port, channel, host.limits)
    if not port.protocol.is_http:
        await _connection(host, port, listening, channel, Peer(identity=identity, address=channel.remote))
        return
    scheme = b"https" if is_secure else b"http"
    connection = await http_connection(channel, protocol, scheme, host.limits)
    peer = Peer(identity=identity, address=channel.remote)
    carrier = _Requests(host, number, peer)
    driver = Driver(connection, channel, handler=carrier.handle, on_refused=carrier.refused)
    carrier.driver = driver
    host.adopt(driver)
    try:
        await driver.run()
    finally:
        host.drop(driver)


async def _verify(
    setup: Setup, port: PortPolicy, channel: Channel, limits: ServerLimits
) -> tuple[SpiffeId | None, str, bool]:
    """Who has come, what ALPN chose, and whether it is TLS. STRICT never takes anything else."""
    match port.mtls:
        case MtlsMode.OFF:
            return None, "", False
        case MtlsMode.PERMISSIVE:
            # A client that waits for the server to speak first is no TLS client.
            first = await peek(channel, sniff, limits.first_seconds, may_be_silent=not port.protocol.is_http)
            if first is not First.TLS:
                return None, "", False
            mode = PeerMode.OPTIONAL
        case MtlsMode.STRICT:
            mode = PeerMode.REQUIRED
    established = await channel.secure(setup.secrets.serve(mode))
    return established.peer, established.protocol, True


async def _connection(
    host: Host, port: PortPolicy, listening: Listening, channel: Channel, peer: Peer, *, sni: str | None = None
) -> None:
    """A connection to a port of bytes: decided once, then carried."""
    setup = host.setup
    decision = decide_connection(setup.snapshot, port.number, peer, sni)
    record = _record(setup, port, peer.identity, peer.address)
    record.server_name = sni
    _decided(record, decision)
    try:
        if not decision.allowed:
            record.flags, record.details = "UAEX", "rbac_access_denied_matched_policy"
            channel.abort()
            return
        record.upstream = str(listening.application)
        try:
            up, _ = await connect(Endpoint(address=listening.application))
        except ConnectError as error:
            record.flags, record.details = "UF", str(error)
            channel.abort()
            return
        record.bytes_in, record.bytes_out = await tunnel(channel, up)
        await up.close()
        await channel.close()
    finally:
        host.tell(record)


class _Requests:
    """The requests of one connection."""

    def __init__(self, host: Host, number: int, peer: Peer) -> None:
        self._host = host
        self._number = number
        self._peer = peer
        self.driver: Driver | None = None

    async def handle(self, exchange: Exchange) -> None:
        """Decide and carry one request."""
        setup = self._host.setup
        head = exchange.head
        port = setup.snapshot.port(self._number)
        assert head is not None
        if port is None:
            if self.driver is not None:
                self.driver.abort()
            return
        record = _record(setup, port, self._peer.identity, self._peer.address)
        note_head(record, replace(head, authority=without_port(head.authority)), self.driver)
        head, record.request_id = completed(head)
        if setup.asks_facts:
            record.facts = facts_of(setup.snapshot, self._number, head, self._peer)
        try:
            decided = decide_inbound(setup.snapshot, self._number, head, self._peer, moment())
            match decided:
                case Refuse(decision=decision):
                    _decided(record, decision)
                    record.flags, record.details = "UAEX", "connection_refused"
                    if self.driver is not None:
                        self.driver.abort()
                case Answer(reply=reply, decision=verdict):
                    if verdict is not None:
                        _decided(record, verdict)
                    note_target(record, decided.target)
                    await answer(exchange, reply, record)
                case Forward():
                    note_target(record, decided.head.path)
                    _decided(record, decided.decision)
                    listening = next(one for one in setup.site.inbound if one.number == self._number)
                    pool = setup.upstreams.application(port, listening.application)
                    await Upcall(
                        down=exchange, head=decided.head, pick=lambda: pool, settings=_PLAIN_SETTINGS, record=record
                    ).run()
        except (BrokenOffError, ExchangeEndedError):
            note_left(record, exchange)
        except MisuseError as error:
            record.flags, record.details = "UPE", str(error)
        finally:
            self._host.tell(record)

    def refused(self, event: Refused, begun: Exchange | None) -> None:
        """Count what was refused, and log it, unless it is a part of a request that is logged itself."""
        self._host.refused(event.fault.value)
        setup = self._host.setup
        port = setup.snapshot.port(self._number)
        if port is not None and begun is None:
            record = _record(setup, port, self._peer.identity, self._peer.address)
            self._host.tell(note_refused(record, event, self.driver))


def note_head(record: Record, head: RequestHead, driver: Driver | None) -> None:
    """Note what was asked."""
    record.method, record.host, record.path = decoded(head.method), decoded(head.authority), decoded(head.path)
    record.protocol = spoken(driver)


def note_target(record: Record, target: bytes | None) -> None:
    """Note the path as it was judged."""
    if target is not None:
        record.path = decoded(target)


def note_refused(record: Record, event: Refused, driver: Driver | None) -> Record:
    """A record of bytes that were no request: over HTTP/1.1 they are answered, over HTTP/2 their stream is reset."""
    record.protocol = spoken(driver)
    is_http1 = record.protocol == _HTTP1
    record.method, record.status = "", event.status if is_http1 else None
    record.flags = Flag.NOT_UNDERSTOOD.value
    record.details = f"{'http1' if is_http1 else 'http2'}.{event.fault.value}"
    return record


def spoken(driver: Driver | None) -> str:
    """The version of HTTP on a connection, in the words of logs."""
    return "HTTP/2" if driver is not None and isinstance(driver.connection, Http2Server) else _HTTP1


def completed(head: RequestHead) -> tuple[RequestHead, str]:
    """The head with an id of the request, which is the caller's if it has one, and the id.

    A WebSocket that comes over HTTP/2 has no key, and an application that speaks HTTP/1.1 wants one.
    """
    known = value_of(head.headers, REQUEST_ID)
    made = decoded(known) if known else str(uuid.uuid4())
    headers = head.headers if known else (*head.headers, (REQUEST_ID, made.encode("ascii")))
    if head.upgrade and value_of(headers, _WEBSOCKET_KEY) is None:
        headers = (*headers, (_WEBSOCKET_KEY, base64.b64encode(secrets.token_bytes(16))))
    return replace(head, headers=headers), made


def _record(setup: Setup, port: PortPolicy, identity: SpiffeId | None, address: str) -> Record:
    workload = setup.workload
    return Record(
        direction="inbound",
        source=None if identity is None else str(identity),
        source_ip=address,
        to=f"{workload.namespace}.{workload.name}:{port.number}",
    )


def _decided(record: Record, decision: Decision) -> None:
    record.rule, record.shadow = decision.rule, decision.shadow


__all__ = ["AcceptError", "Host", "completed", "serve_inbound"]
