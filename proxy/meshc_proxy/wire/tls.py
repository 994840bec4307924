"""TLS as a codec: records to plaintext and back over `ssl`'s memory buffers, with the peer's identity verified.

asyncio's TLS cannot half-close and hides truncation; here one direction ends with close_notify and the other goes on, and
an end of the stream without close_notify is a truncation, which is never a clean end.
"""

import ssl
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, TypeAlias

from meshc_proxy.wire.limits import TlsLimits
from meshc_proxy.wire.spiffe import SpiffeId
from meshc_proxy.wire.trust import PeerFault, PeerRefusal, Role, Trust, verify_peer

PROTOCOLS: Final = ("h2", "http/1.1")
_BLOCK: Final = 64 * 1024
_EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_NOT_YET_VALID: Final = 9  # X509_V_ERR_CERT_NOT_YET_VALID


class PeerMode(Enum):
    """Whether a server asks its clients for certificates."""

    REQUIRED = ssl.CERT_REQUIRED
    OPTIONAL = ssl.CERT_OPTIONAL  # permissive ports: without one the peer is nobody, with a bad one it is refused
    NONE = ssl.CERT_NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Established:
    """The handshake is done. `peer` is None for a client without certificate on a port that allows it, and for servers
    that are verified by name alone. `protocol` is ALPN's choice, empty if there was none.
    """

    protocol: str
    peer: SpiffeId | None
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plaintext:
    """Bytes that the peer sent, not empty."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerEnd:
    """The peer's close_notify: it sends nothing more, and may still read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The connection is over: write what `output` gives (an alert, perhaps) and close. Nothing that follows is real."""

    fault: PeerFault


TlsEvent: TypeAlias = Established | Plaintext | PeerEnd | Broken


def server_context(trust: Trust, mode: PeerMode, *, protocols: tuple[str, ...] = PROTOCOLS) -> ssl.SSLContext:
    """A context for `Tls` as a server; the caller loads its own certificate into it, and makes a new one to rotate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = mode.value
    # A resumed session would carry on with a certificate that was checked against roots of the past.
    context.num_tickets = 0
    _harden(context, trust, protocols)
    return context


def client_context(trust: Trust, *, protocols: tuple[str, ...] = PROTOCOLS) -> ssl.SSLContext:
    """A context for `Tls` as a client of the mesh; the caller loads its own certificate into it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # identities are SPIFFE ids, which `Tls` verifies
    context.verify_mode = ssl.CERT_REQUIRED
    _harden(context, trust, protocols)
    return context


def _harden(context: ssl.SSLContext, trust: Trust, protocols: tuple[str, ...]) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(list(protocols))
    if trust.roots:
        context.load_verify_locations(cadata=trust.pem)


class Tls:
    """One connection's TLS. `trust` is what peers' identities are verified with; None leaves it to the context, which must
    then verify a host name. `at` is the wall clock's time of the connection, `now` the monotonic one's.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        server: bool,
        trust: Trust | None,
        at: datetime,
        now: float,
        server_name: str | None = None,
        limits: TlsLimits | None = None,
    ) -> None:
        if trust is None and not server and not (context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED):
            raise ValueError("a client without trust must verify its server's name")
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server, server_hostname=server_name)
        self._role = Role.CLIENT if server else Role.SERVER
        self._required = context.verify_mode is ssl.CERT_REQUIRED
        self._trust = trust
        self._at = at
        self._limits = limits or TlsLimits()
        self._until = now + self._limits.handshake_seconds
        self._handshake_bytes = 0
        self._established = False
        self._ended_in = False
        self._ended_out = False
        self._over = False
        self._events: list[TlsEvent] = []
        if not server:
            self._advance()

    @property
    def want_read(self) -> bool:
        """Whether the peer has more to say."""
        return not self._over and not self._ended_in

    @property
    def done(self) -> bool:
        """Whether nothing more will come or go, but what `output` gives."""
        return self._over or (self._ended_in and self._ended_out)

    def receive(self, data: bytes) -> tuple[TlsEvent, ...]:
        """What some bytes of the wire mean."""
        if self._over:
            return ()
        if not self._established:
            self._handshake_bytes += len(data)
        self._incoming.write(data)
        self._advance()
        if not self._established and self._handshake_bytes > self._limits.handshake_bytes:
            self._break(PeerFault.HANDSHAKE)
        return self._taken()

    def receive_eof(self) -> tuple[TlsEvent, ...]:
        """The stream ended: a truncation, unless close_notify came before."""
        if not self._over and not self._ended_in:
            self._break(PeerFault.TRUNCATED if self._established else PeerFault.HANDSHAKE)
        return self._taken()

    def send(self, data: bytes) -> bytes:
        """Records with some plaintext. Raises ValueError before the handshake is done and after `close`."""
        if self._over:
            return self.output()
        if not self._established or self._ended_out:
            raise ValueError("the connection takes no plaintext now")
        if data:
            self._tls.write(data)
        return self.output()

    def close(self) -> bytes:
        """Our close_notify: nothing more will be sent, what the peer sends is still read."""
        if self._established and not self._ended_out and not self._over:
            self._ended_out = True
            # It is written at once; then OpenSSL looks for the peer's, which may come later, and complains.
            with suppress(ssl.SSLError):
                self._tls.unwrap()
        return self.output()

    def output(self) -> bytes:
        """Records that must be written now."""
        return self._outgoing.read()

    def deadline(self, now: float) -> float | None:
        """Seconds until `expire` must be called; None once the handshake is done."""
        return None if self._established or self._over else max(self._until - now, 0.0)

    def expire(self, now: float) -> tuple[TlsEvent, ...]:
        """Give up a handshake whose time has passed."""
        if (left := self.deadline(now)) is not None and left <= 0:
            self._break(PeerFault.TIMEOUT)
        return self._taken()

    def _advance(self) -> None:
        try:
            if not self._established:
                self._tls.do_handshake()
                self._established = True
                self._events.append(self._result())
            self._read()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except ssl.SSLZeroReturnError:
            self._ended_in = True
            self._events.append(PeerEnd())
        except PeerRefusal as refusal:
            self._break(refusal.fault)
        except ssl.SSLCertVerificationError as error:
            faults = {_EXPIRED: PeerFault.EXPIRED, _NOT_YET_VALID: PeerFault.NOT_YET_VALID}
            self._break(faults.get(error.verify_code, PeerFault.UNTRUSTED))
        except ssl.SSLError:
            self._break(PeerFault.RECORD if self._established else PeerFault.HANDSHAKE)

    def _read(self) -> None:
        while not self._ended_in:
            data = self._tls.read(_BLOCK)
            if not data:
                raise ssl.SSLZeroReturnError
            self._events.append(Plaintext(data=data))

    def _result(self) -> Established:
        return Established(
            protocol=self._tls.selected_alpn_protocol() or "",
            peer=self._peer(),
            version=self._tls.version() or "",
        )

    def _peer(self) -> SpiffeId | None:
        if self._trust is None:
            return None
        chain = self._chain()
        if not chain and not self._required:
            return None
        return verify_peer(chain, self._trust, self._at, role=self._role, longest=self._limits.chain_certificates)

    def _chain(self) -> tuple[bytes, ...]:
        """The certificates that the peer showed. Before Python 3.13 only its own is public: authorities between it and the
        root must then be among the roots.
        """
        if sys.version_info >= (3, 13):
            return tuple(self._tls.get_unverified_chain())
        leaf = self._tls.getpeercert(binary_form=True)
        return () if leaf is None else (leaf,)

    def _break(self, fault: PeerFault) -> None:
        if not self._over:
            self._over = True
            self._events.append(Broken(fault=fault))

    def _taken(self) -> tuple[TlsEvent, ...]:
        events = tuple(self._events)
        self._events.clear()
        return events
