"""One HTTP/2 connection of a test's own, as client or server, that sends exactly what it is told when it is told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Self, TypeVar

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from h2.connection import ConnectionState

T = TypeVar("T", bound=h2.events.Event)


class H2Wire:
    """`events` grow as bytes come; window credit is given back only where `credit` says so."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, client: bool = True, credit: bool = True
    ) -> None:
        config = h2.config.H2Configuration(
            client_side=client, header_encoding="latin-1", validate_outbound_headers=False
        )
        self.reader = reader
        self.writer = writer
        self.credit = credit
        self.h2 = h2.connection.H2Connection(config)
        self.events: list[h2.events.Event] = []
        self.closed = False
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.h2.initiate_connection()
        await self.flush()
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def flush(self) -> None:
        """Write what h2 has to say."""
        with suppress(OSError):
            self.writer.write(self.h2.data_to_send())
            await self.writer.drain()

    async def request(
        self,
        path: str,
        *,
        method: str = "GET",
        authority: str = "cart.shop",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        ends: bool = True,
    ) -> int:
        """Begin a request; its stream."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]
        self.h2.send_headers(stream, [*pseudo, *headers], end_stream=ends and body is None)
        await self.flush()
        if body is not None:
            await self.data(stream, body, ends=ends)
        return stream

    async def connect(self, path: str, authority: str, headers: Sequence[tuple[str, str]]) -> int:
        """Begin an extended CONNECT (RFC 8441), whose `:protocol` is among the headers; its stream."""
        await self.event(h2.events.RemoteSettingsChanged)
        stream = self.h2.get_next_available_stream_id()
        pseudo = [one for one in headers if one[0].startswith(":")]
        others = [one for one in headers if not one[0].startswith(":")]
        target = [(":method", "CONNECT"), *pseudo, (":scheme", "https"), (":authority", authority), (":path", path)]
        self.h2.send_headers(stream, [*target, *others])
        await self.flush()
        return stream

    async def data(self, stream: int, data: bytes, *, ends: bool = False, timeout_s: float = 3.0) -> None:
        """Send a body's part as the windows allow. Raises TimeoutError if they do not."""
        while True:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(data))
            if room or not data:
                self.h2.send_data(stream, data[:room], end_stream=ends and room == len(data))
                await self.flush()
                data = data[room:]
                if not data:
                    return
                continue
            await self.until(lambda: self.h2.local_flow_control_window(stream) > 0, timeout_s)

    async def until(self, holds: Callable[[], bool], timeout_s: float = 3.0) -> None:
        """Wait until it holds. Raises TimeoutError and EOFError."""
        async with asyncio.timeout(timeout_s), self._changed:
            while not holds():
                if self.closed:
                    raise EOFError
                await self._changed.wait()

    async def event(self, kind: type[T], stream: int | None = None, timeout_s: float = 3.0) -> T:
        """The first event of a kind, on a stream if that is given. Raises TimeoutError and EOFError."""
        await self.until(lambda: bool(self.those(kind, stream)), timeout_s)
        return self.those(kind, stream)[0]

    def those(self, kind: type[T], stream: int | None = None) -> list[T]:
        """The events of a kind so far."""
        return [
            one
            for one in self.events
            if isinstance(one, kind) and (stream is None or getattr(one, "stream_id", None) == stream)
        ]

    def body(self, stream: int) -> bytes:
        """What came of a stream's body so far."""
        return b"".join(one.data for one in self.those(h2.events.DataReceived, stream))

    async def answer(self, stream: int, timeout_s: float = 3.0) -> tuple[int, bytes]:
        """The status and body of a whole answer."""
        await self.event(h2.events.StreamEnded, stream, timeout_s)
        return status_of(self.those(h2.events.ResponseReceived, stream)[0]), self.body(stream)

    async def _read(self) -> None:
        with suppress(OSError):
            while data := await self.reader.read(65536):
                try:
                    events = self.h2.receive_data(data)
                except h2.exceptions.ProtocolError:
                    break
                for event in events:
                    if isinstance(event, h2.events.ConnectionTerminated) and event.error_code == 0:
                        # To h2 all is over now; to RFC 9113 section 6.8 what has begun goes on.
                        self.h2.state_machine.state = ConnectionState.CLIENT_OPEN
                    if isinstance(event, h2.events.DataReceived) and self.credit:
                        self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                await self.flush()
                async with self._changed:
                    self.events += events
                    self._changed.notify_all()
        async with self._changed:
            self.closed = True
            self._changed.notify_all()


def status_of(response: h2.events.ResponseReceived | h2.events.InformationalResponseReceived) -> int:
    return int(dict(response.headers)[":status"])


def h2_application(
    serve: Callable[[H2Wire], Awaitable[None]], *, credit: bool = True
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """An application that speaks HTTP/2 with prior knowledge."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with H2Wire(reader, writer, client=False, credit=credit) as wire:
            await serve(wire)

    return handle
