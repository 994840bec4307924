"""The bytes of an HTTP/1.1 connection, cut into heads and bodies that passed the gate.

Lines are taken one by one, so that the verdict on a stream never depends on how it was cut into packets. A chunked body comes
out in chunks of our own making: the parser behind reads what we have read, and tiny chunks cost it nothing.
"""

import re
from enum import Enum, auto
from typing import Final

from meshc_proxy.wire.events import Fault, Refusal
from meshc_proxy.wire.gate import Framing, read_trailers
from meshc_proxy.wire.limits import Http1Limits

_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e]*)?")


class _Part(Enum):
    HEAD = auto()
    LENGTH = auto()
    UNTIL_CLOSE = auto()
    CHUNK_LINE = auto()
    CHUNK_DATA = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    DONE = auto()


class Intake:
    """Cuts one direction of a connection. Methods raise `Refusal`; after that the object must not be used."""

    def __init__(self, limits: Http1Limits) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._searched = 0
        self._part = _Part.HEAD
        self._lines: list[bytes] = []
        self._line_bytes = 0
        self._left = 0
        self._skipped_empty = False
        self._fault: Refusal | None = None
        self._chunked = False
        self._last_chunk = b""

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def began(self) -> bool:
        """Whether a part of a head is there."""
        return bool(self._buffer or self._lines)

    def feed(self, data: bytes) -> None:
        """Add what the connection gave."""
        self._buffer += data

    def head(self) -> tuple[bytes, ...] | None:
        """The lines of the next head, or None until it is complete. One empty line before it is skipped (RFC 9112 2.2)."""
        while (line := self._line(self._head_room(), *self._head_fault())) is not None:
            if line:
                self._add_line(line)
            elif self._lines:
                return self._take_lines()
            elif self._skipped_empty:
                raise Refusal(Fault.REQUEST_LINE)
            else:
                self._skipped_empty = True
        return None

    def begin_body(self, framing: Framing) -> None:
        """Read what follows the head that `head` gave; with neither chunks nor length, up to the connection's end."""
        self._skipped_empty = False
        self._chunked = framing.chunked
        if framing.chunked:
            self._part = _Part.CHUNK_LINE
        elif framing.length is None:
            self._part = _Part.UNTIL_CLOSE
        else:
            self._left = framing.length
            self._part = _Part.LENGTH if self._left else _Part.DONE

    def next_message(self) -> None:
        """Read a head again."""
        self._part = _Part.HEAD

    def body(self) -> bytes:
        """The body's next bytes, empty if there are none yet; a chunked body's in one chunk of our own, without extensions.

        What was right before a fault comes first; the call after that raises.
        """
        data = bytearray()
        try:
            while self._read_body(data):
                pass
        except Refusal as refusal:
            if not data:
                raise
            self._fault = refusal
        if not self._chunked:
            return bytes(data)
        last, self._last_chunk = self._last_chunk, b""
        return (b"%x\r\n%b\r\n" % (len(data), bytes(data)) if data else b"") + last

    def rest(self) -> bytes:
        """Everything that is left, of a connection that is a tunnel now."""
        taken = bytes(self._buffer)
        self._buffer.clear()
        return taken

    def _read_body(self, data: bytearray) -> bool:
        """One step, whose bytes are added to `data`; whether there was something to read."""
        if self._fault is not None:
            raise self._fault
        match self._part:
            case _Part.HEAD | _Part.DONE:
                return False
            case _Part.UNTIL_CLOSE:
                taken = self.rest()
                data += taken
                return bool(taken)
            case _Part.LENGTH:
                return self._read_bytes(data, _Part.DONE)
            case _Part.CHUNK_DATA:
                return self._read_bytes(data, _Part.CHUNK_END)
            case _Part.CHUNK_END:
                return self._read_chunk_end()
            case _Part.CHUNK_LINE:
                return self._read_chunk_line()
            case _Part.TRAILERS:
                return self._read_trailers()

    def _read_bytes(self, data: bytearray, after: _Part) -> bool:
        taken = self._buffer[: self._left]
        del self._buffer[: len(taken)]
        data += taken
        self._left -= len(taken)
        if not self._left:
            self._part = after
        return bool(taken)

    def _read_chunk_end(self) -> bool:
        taken = bytes(self._buffer[:2])
        if not b"\r\n".startswith(taken):
            raise Refusal(Fault.CHUNK)
        if len(taken) < 2:
            return False
        del self._buffer[:2]
        self._part = _Part.CHUNK_LINE
        return True

    def _read_chunk_line(self) -> bool:
        line = self._line(self._limits.chunk_line_bytes, Fault.CHUNK, 400)
        if line is None:
            return False
        if (match := _CHUNK.fullmatch(line)) is None:
            raise Refusal(Fault.CHUNK)
        self._left = int(match[1], 16)
        self._part = _Part.CHUNK_DATA if self._left else _Part.TRAILERS
        return True

    def _read_trailers(self) -> bool:
        while (line := self._line(self._head_room(), Fault.HEAD_TOO_LARGE, 431)) is not None:
            if line:
                self._add_line(line)
                continue
            lines = self._take_lines()
            read_trailers(lines)
            self._part = _Part.DONE
            self._last_chunk = b"0\r\n" + b"".join(line + b"\r\n" for line in (*lines, b""))
            return True
        return False

    def _line(self, room: int, over: Fault, status: int) -> bytes | None:
        """The next line without its CRLF; longer than `room`, complete or not, it is refused with `over` and `status`."""
        end = self._buffer.find(b"\n", self._searched)
        if (end if end >= 0 else len(self._buffer)) > room:
            raise Refusal(over, status)
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            raise Refusal(Fault.LINE_END)
        return line[:-1]

    def _add_line(self, line: bytes) -> None:
        self._lines.append(line)
        self._line_bytes += len(line) + 2
        if len(self._lines) > self._limits.head.header_lines + 1:
            raise Refusal(Fault.TOO_MANY_LINES, 431)

    def _take_lines(self) -> tuple[bytes, ...]:
        lines = tuple(self._lines)
        self._lines = []
        self._line_bytes = 0
        return lines

    def _head_room(self) -> int:
        return max(self._limits.head.head_bytes - self._line_bytes, 0)

    def _head_fault(self) -> tuple[Fault, int]:
        """What a line that is too long says: before the first one ends, the target is to blame."""
        return (Fault.HEAD_TOO_LARGE, 431) if self._lines else (Fault.TARGET_TOO_LONG, 414)
