"""Stub services: stand-ins for the applications behind the sidecars, and for externals.

A stub speaks the protocol of its port, says who it is in every answer, and remembers what reached it. HTTP answers carry
the header `SERVED_BY` and a JSON body with what was received; on tcp and tls ports a line with the name comes first, then
everything is echoed.
"""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Final, Self
from weakref import WeakKeyDictionary

from meshc.engine.authority import Credentials
from meshc.engine.http_server import Abort, Headers, HttpRequest, HttpResponse, serve_http

SERVED_BY: Final = b"x-meshc-served-by"
"""The response header that names the stub, as in `shop.cart@v1`."""

BANNER: Final = b"meshc-stub "
"""What a tcp or tls stub's first line begins with; its name and a line feed follow."""

_EMPTY_GRPC_MESSAGE: Final = b"\0\0\0\0\0"
_READ_SIZE: Final = 65536


class Protocol(Enum):
    """How a stub speaks. HTTP is HTTP/1.1 and HTTP/2 with prior knowledge on one port; so are HTTP2 and GRPC.

    Requests with a gRPC content type are answered as gRPC on every HTTP port. HTTPS is the same within TLS, TLS an echo
    within TLS.
    """

    HTTP = "http"
    HTTP2 = "http2"
    GRPC = "grpc"
    HTTPS = "https"
    TCP = "tcp"
    TLS = "tls"


_ENCRYPTED: Final = frozenset({Protocol.HTTPS, Protocol.TLS})
_OPAQUE: Final = frozenset({Protocol.TCP, Protocol.TLS})


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """One HTTP request as it reached a stub; `sni` is None without TLS or where the client sent none."""

    request: HttpRequest
    peer: str
    sni: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenConnection:
    """One connection to a tcp or tls stub, with the first bytes that it sent (none if it closed without any)."""

    first: bytes
    peer: str
    sni: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How to answer a request: after a delay, with an HTTP status and, for gRPC, a status of its own.

    A gRPC failure stands in the headers, as servers send it that have nothing else to say, unless `has_begun`: then it
    follows a message, in the trailers. `abort` breaks the answer off.
    """

    status: int = 200
    headers: Headers = ()
    delay_s: float = 0.0
    grpc_status: int = 0
    has_begun: bool = False
    abort: Abort | None = None


def reply_ok(_request: HttpRequest) -> Reply:
    """The reply of a healthy service."""
    return Reply()


class Stub:
    """One service, or one version of it, on one port; an asynchronous context that serves from `start` to its end.

    `requests` and `connections` grow in order of arrival and may be cleared by the owner at any time. `name` is
    `<namespace>.<service>`, with `@<version>` where there are versions. HTTPS and TLS need `credentials`; `reply` decides
    on each request, defaults to success, and may be replaced at any time.
    """

    def __init__(
        self,
        name: str,
        protocol: Protocol,
        *,
        credentials: Credentials | None = None,
        reply: Callable[[HttpRequest], Reply] = reply_ok,
    ) -> None:
        if (protocol in _ENCRYPTED) != (credentials is not None):
            raise ValueError(
                f"a stub for `{protocol.value}` {'needs' if credentials is None else 'takes no'} credentials"
            )
        self.name = name
        self.protocol = protocol
        self.requests: list[SeenRequest] = []
        self.connections: list[SeenConnection] = []
        self.reply = reply
        self._server_names: WeakKeyDictionary[ssl.SSLObject | ssl.SSLSocket, str] = WeakKeyDictionary()
        self._tls = None if credentials is None else self._tls_context(credentials)
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrival = asyncio.Condition()

    async def start(self, address: str, port: int) -> int:
        """Listen; port 0 takes any free one. Returns the port. May be called for several addresses. Raises OSError."""
        server = await asyncio.start_server(self._accept, address, port, ssl=self._tls)
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stop listening and abort every open connection."""
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()
        # One turn of the loop, in which the transports let go of their sockets.
        await asyncio.sleep(0)

    async def wait_requests(self, count: int, timeout_s: float = 5.0) -> None:
        """Wait until at least `count` requests are recorded, as for mirrored copies, which nobody waits for.

        Raises TimeoutError.
        """
        async with asyncio.timeout(timeout_s), self._arrival:
            await self._arrival.wait_for(lambda: len(self.requests) >= count)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def _tls_context(self, credentials: Credentials) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(credentials.chain, credentials.key)
        context.sni_callback = self._remember_server_name
        if self.protocol is Protocol.HTTPS:
            context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    def _remember_server_name(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext
    ) -> None:
        if name is not None:
            self._server_names[connection] = name

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str(writer.get_extra_info("peername")[0])
        connection: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        sni = None if connection is None else self._server_names.get(connection)
        try:
            # The peer may go at any moment: that ends the connection and is nobody's fault.
            with suppress(ConnectionError, ssl.SSLError):
                if self.protocol in _OPAQUE:
                    await self._echo(reader, writer, peer, sni)
                else:
                    await serve_http(reader, writer, self._handler(peer, sni))
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def _echo(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str, sni: str | None
    ) -> None:
        writer.write(BANNER + self.name.encode() + b"\n")
        received = await reader.read(_READ_SIZE)
        self.connections.append(SeenConnection(first=received, peer=peer, sni=sni))
        while received:
            writer.write(received)
            await writer.drain()
            received = await reader.read(_READ_SIZE)

    def _handler(self, peer: str, sni: str | None) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
        async def handle(request: HttpRequest) -> HttpResponse:
            seen = SeenRequest(request=request, peer=peer, sni=sni)
            self.requests.append(seen)
            async with self._arrival:
                self._arrival.notify_all()
            reply = self.reply(request)
            if reply.delay_s > 0:
                await asyncio.sleep(reply.delay_s)
            return self._respond(seen, reply)

        return handle

    def _respond(self, seen: SeenRequest, reply: Reply) -> HttpResponse:
        headers = ((SERVED_BY, self.name.encode()), *reply.headers)
        if (seen.request.header(b"content-type") or b"").startswith(b"application/grpc"):
            return _respond_grpc(headers, reply)
        return HttpResponse(
            status=reply.status,
            headers=((b"content-type", b"application/json"), *headers),
            body=_describe(self.name, seen),
            abort=reply.abort,
        )


def _respond_grpc(headers: Headers, reply: Reply) -> HttpResponse:
    """Without a message the status is part of the headers, which gRPC calls Trailers-Only."""
    has_message = reply.grpc_status == 0 or reply.has_begun
    status = ((b"grpc-status", str(reply.grpc_status).encode()),)
    return HttpResponse(
        status=reply.status,
        headers=((b"content-type", b"application/grpc"), *headers, *(() if has_message else status)),
        body=_EMPTY_GRPC_MESSAGE if has_message else b"",
        trailers=status if has_message else (),
        abort=reply.abort,
    )


def _describe(name: str, seen: SeenRequest) -> bytes:
    """The JSON body; bytes of the wire become characters one to one (Latin-1)."""
    request = seen.request
    return json.dumps(
        {
            "served_by": name,
            "protocol": request.protocol,
            "method": request.method.decode("latin-1"),
            "path": request.path.decode("latin-1"),
            "headers": [[key.decode("latin-1"), value.decode("latin-1")] for key, value in request.headers],
            "peer": seen.peer,
            "sni": seen.sni,
        }
    ).encode()
