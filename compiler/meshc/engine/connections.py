"""Opening one client connection, in TCP or TLS, from a chosen source address."""

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from meshc.engine.exchange import Peer, Plaintext, Refused, Stage, Tls
from meshc.engine.network import prepare_source

READ_SIZE: Final = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Both directions of an open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class ClosedBeforeAnswerError(Exception):
    """The connection could not be opened, or ended before the first byte of an answer."""

    def __init__(self, stage: Stage, detail: str) -> None:
        super().__init__(detail)
        self.refused = Refused(stage=stage, detail=detail)


class Connector:
    """Opens connections; keeps the TLS contexts, so that certificate files are read once."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[Tls, tuple[str, ...]], ssl.SSLContext] = {}

    async def connect(self, peer: Peer, alpn: tuple[str, ...]) -> Streams:
        """An open connection that offers the protocols `alpn`, if it is TLS and there are any.

        Raises ClosedBeforeAnswerError, and OSError if the source address or a certificate's file cannot be used.
        """
        context = None if isinstance(peer.security, Plaintext) else self._context(peer.security, alpn)
        connection = await _connect_tcp(peer)
        try:
            # An empty server name: asyncio wants one, and leaves the extension out.
            name = None if isinstance(peer.security, Plaintext) else peer.security.server_name or ""
            reader, writer = await asyncio.open_connection(sock=connection, ssl=context, server_hostname=name)
        except OSError as error:
            connection.close()
            raise ClosedBeforeAnswerError(Stage.TLS, str(error) or type(error).__name__) from error
        except BaseException:
            connection.close()
            raise
        return Streams(reader=reader, writer=writer)

    def _context(self, tls: Tls, alpn: tuple[str, ...]) -> ssl.SSLContext:
        context = self._contexts.get((tls, alpn))
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            # SPIFFE: a peer is known by its URI, which `ssl` cannot check; the chain is verified all the same.
            context.check_hostname = False
            context.load_verify_locations(tls.trust)
            if tls.credentials is not None:
                context.load_cert_chain(tls.credentials.chain, tls.credentials.key)
            if alpn:
                context.set_alpn_protocols(list(alpn))
            self._contexts[tls, alpn] = context
        return context


async def _connect_tcp(peer: Peer) -> socket.socket:
    is_v6 = ipaddress.ip_address(peer.address).version == 6
    connection = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.settimeout(0)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if peer.source is not None:
            prepare_source(connection, peer.source)
        await asyncio.get_running_loop().sock_connect(connection, (peer.address, peer.port))
    except ConnectionError as error:
        connection.close()
        raise ClosedBeforeAnswerError(Stage.CONNECT, str(error)) from error
    except BaseException:
        connection.close()
        raise
    return connection


async def send(streams: Streams, payload: bytes) -> None:
    """Write, leaving it to the next read to notice that the peer is gone: an answer may still be waiting there."""
    streams.writer.write(payload)
    try:
        await streams.writer.drain()
    except (ConnectionError, ssl.SSLError):
        return


async def receive(streams: Streams) -> bytes:
    """The next bytes, empty at the end. Raises ClosedBeforeAnswerError for an end by reset or TLS alert."""
    try:
        return await streams.reader.read(READ_SIZE)
    except ssl.SSLError as error:
        raise ClosedBeforeAnswerError(Stage.TLS, str(error)) from error
    except OSError as error:
        raise ClosedBeforeAnswerError(Stage.CLOSED, str(error) or type(error).__name__) from error
