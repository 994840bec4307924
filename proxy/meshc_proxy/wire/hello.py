"""A TLS ClientHello, read and left as it is: for ports whose TLS goes through, and is not ours to end.

Source: RFC 8446 sections 4.1.2, 4.2 and 5.1, RFC 6066 section 3. The hello may be cut into records anywhere.
"""

import re
from dataclasses import dataclass
from typing import Final

_RECORD_HEADER: Final = 5
_HANDSHAKE: Final = 0x16
_CLIENT_HELLO: Final = 1
_LONGEST_RECORD: Final = 2**14
_LONGEST_HELLO: Final = 64 * 1024
_SERVER_NAME: Final = 0
_ALPN: Final = 16
_HOST_NAME: Final = 0
_NAME: Final = re.compile(rb"[0-9A-Za-z_](?:[0-9A-Za-z._-]{0,252}[0-9A-Za-z_])?\.?")


class HelloError(ValueError):
    """The bytes begin no ClientHello, or one that cannot be trusted to say where it goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a client announces. `server_name` is in lower case, without a final dot; None if it named no server."""

    server_name: str | None
    protocols: tuple[bytes, ...]


class _Reader:
    """Takes fields from the front; asking for more than there is raises HelloError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise HelloError("a field of the hello is cut short")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def vector(self, size: int) -> bytes:
        """A field that is preceded by its length in `size` bytes."""
        return self.take(self.number(size))


def read_hello(data: bytes) -> Hello | None:
    """The hello that `data` begins with, or None if more bytes are needed. Raises HelloError for anything else."""
    message = _message(data)
    return None if message is None else _read(_Reader(message))


def _message(data: bytes) -> bytes | None:
    """The hello without its records and its own header."""
    message = bytearray()
    at = 0
    while (record := data[at : at + _RECORD_HEADER]) and len(record) == _RECORD_HEADER:
        length = int.from_bytes(record[3:])
        if record[0] != _HANDSHAKE or record[1] != 3 or not 0 < length <= _LONGEST_RECORD:
            raise HelloError("not a handshake of TLS")
        message += data[at + _RECORD_HEADER : at + _RECORD_HEADER + length]
        at += _RECORD_HEADER + length
        if message and message[0] != _CLIENT_HELLO:
            raise HelloError("not a hello")
        size = 4 + int.from_bytes(message[1:4])
        if len(message) >= 4 and size > _LONGEST_HELLO:
            raise HelloError("the hello is too long")
        if len(message) >= max(size, 4):
            return bytes(message[4:size])
    if data and (data[0] != _HANDSHAKE or data[1:2] not in {b"", b"\x03"}):
        raise HelloError("not a handshake of TLS")
    return None


def _read(hello: _Reader) -> Hello:
    hello.take(2 + 32)  # version, random
    hello.vector(1)  # session
    hello.vector(2)  # ciphers
    hello.vector(1)  # compressions
    server_name: str | None = None
    protocols: tuple[bytes, ...] = ()
    seen: set[int] = set()
    extensions = _Reader(hello.vector(2) if hello else b"")
    if hello:
        raise HelloError("there is more in the hello than it says")
    while extensions:
        kind, content = extensions.number(2), _Reader(extensions.vector(2))
        if kind in seen:
            raise HelloError("an extension comes twice")  # two names: whoever reads the other one goes elsewhere
        seen.add(kind)
        if kind == _SERVER_NAME:
            server_name = _server_name(content)
        elif kind == _ALPN:
            protocols = _protocols(content)
    return Hello(server_name=server_name, protocols=protocols)


def _server_name(content: _Reader) -> str:
    """Exactly one name, a host's."""
    names = _Reader(content.vector(2))
    if content or names.number(1) != _HOST_NAME:
        raise HelloError("not a server's name")
    name = names.vector(2)
    if names or not _NAME.fullmatch(name):
        raise HelloError("not a server's name")
    return name.decode("ascii").lower().removesuffix(".")


def _protocols(content: _Reader) -> tuple[bytes, ...]:
    listed = _Reader(content.vector(2))
    found: list[bytes] = []
    while listed:
        found.append(listed.vector(1))
    return tuple(found)
