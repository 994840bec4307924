"""One connection's bytes, in the clear or within TLS, with half-close, back-pressure, and truncation seen as what it is."""

import asyncio
import socket
import struct
import time
from contextlib import suppress
from typing import Final

from meshc_proxy.wire.tls import Broken, Established, PeerEnd, Plaintext, Tls

BLOCK: Final = 64 * 1024
_LINGER_S: Final = 2.0


class BrokenOffError(Exception):
    """The connection ended where it must not: reset, truncated, or its TLS failed. The text is a label of metrics."""


class Channel:
    """A connection. `received` and `sent` count its bytes as the wire has them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._tls: Tls | None = None
        self._plain = bytearray()
        self._ended = False
        self._finished = False
        self.received = 0
        self.sent = 0

    @property
    def remote(self) -> str:
        """The address of the other end, without its port."""
        name = self._writer.get_extra_info("peername")
        return str(name[0]) if name else ""

    @property
    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._writer.is_closing()

    @property
    def unsent(self) -> int:
        """How many bytes wait to be sent."""
        return self._writer.transport.get_write_buffer_size()

    @property
    def is_secure(self) -> bool:
        """Whether it is TLS that ends here."""
        return self._tls is not None

    async def secure(self, tls: Tls) -> Established:
        """Shake hands. Raises BrokenOffError, after the other end was told."""
        self._tls = tls
        self._write_raw(tls.output())
        pending = bytes(self._plain)
        self._plain.clear()
        while True:
            left = tls.deadline(time.monotonic())
            if not pending:
                try:
                    async with asyncio.timeout(left):
                        pending = await self._read_raw()
                except TimeoutError:
                    self._handle_expired(tls)
            events = tls.receive(pending) if pending else tls.receive_eof()
            pending = b""
            established = self._take(events)
            if established is not None:
                await self.drain()
                return established

    def _handle_expired(self, tls: Tls) -> None:
        events = tls.expire(time.monotonic())
        self._take(events)
        raise BrokenOffError("timeout")

    async def read(self) -> bytes:
        """The next bytes; empty at the end of what the other end sends. Raises BrokenOffError."""
        while not self._plain and not self._ended:
            data = await self._read_raw()
            if self._tls is None:
                if not data:
                    self._ended = True
                return data
            self._take(self._tls.receive(data) if data else self._tls.receive_eof())
        data = bytes(self._plain)
        self._plain.clear()
        return data

    def unread(self, data: bytes) -> None:
        """Put back what was read, to be read again."""
        self._plain[:0] = data

    def write(self, data: bytes) -> None:
        """Send; `drain` waits until there is room again."""
        if not data or self._finished:
            return
        self._write_raw(data if self._tls is None else self._tls.send(data))

    async def drain(self) -> None:
        """Wait until the other end has taken enough. Raises BrokenOffError."""
        try:
            await self._writer.drain()
        except (ConnectionError, OSError) as error:
            raise BrokenOffError("reset") from error

    def finish(self) -> None:
        """Say that nothing more will be sent; what the other end sends is still read."""
        if self._finished or self._writer.is_closing():
            return
        self._finished = True
        if self._tls is not None:
            self._write_raw(self._tls.close())
        with suppress(OSError, RuntimeError):
            self._writer.write_eof()

    async def close(self) -> None:
        """Send what was written, then close; not for longer than some seconds."""
        self.finish()
        try:
            async with asyncio.timeout(_LINGER_S):
                # Bytes that nobody reads would make the system reset the connection, and what was sent be lost.
                while not self._writer.is_closing() and await self._reader.read(BLOCK):
                    pass
                self._writer.close()
                await self._writer.wait_closed()
        except (TimeoutError, ConnectionError, OSError):
            self.abort()

    def abort(self) -> None:
        """Close at once, whatever was written."""
        transport = self._writer.transport
        transport.abort()

    def reset(self) -> None:
        """Close at once, by RST: so the other end cannot take what it has for the whole."""
        connection = self._writer.get_extra_info("socket")
        if connection is not None:
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    async def _read_raw(self) -> bytes:
        try:
            data = await self._reader.read(BLOCK)
        except (ConnectionError, OSError) as error:
            raise BrokenOffError("reset") from error
        self.received += len(data)
        return data

    def _write_raw(self, data: bytes) -> None:
        if data and not self._writer.is_closing():
            self.sent += len(data)
            self._writer.write(data)

    def _take(self, events: tuple[Established | Plaintext | PeerEnd | Broken, ...]) -> Established | None:
        established: Established | None = None
        for event in events:
            match event:
                case Established():
                    established = event
                case Plaintext(data=data):
                    self._plain += data
                case PeerEnd():
                    self._ended = True
                case Broken(fault=fault):
                    if self._tls is not None:
                        self._write_raw(self._tls.output())
                    raise BrokenOffError(fault.value)
        if self._tls is not None:
            self._write_raw(self._tls.output())
        return established
