"""What can be sent to a sidecar, from where, and what can come back.

All text is bytes, sent exactly as given: nothing is trimmed, encoded, lower-cased, sorted or added but what the fields
below say. So a request can be as hostile as a test wants, and an honest one must be honest by itself (lower-case names
over HTTP/2, for example).
"""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from meshc.engine.authority import Credentials
from meshc.engine.http_server import Headers
from meshc.engine.stubs import SERVED_BY

_EMPTY_GRPC_MESSAGE: Final = b"\0\0\0\0\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plaintext:
    """No TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS 1.2 or later. The peer must be signed by `trust` (its names are not checked); no `credentials`: no certificate."""

    trust: Path
    credentials: Credentials | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Where to connect to, and how. `source` is the address to come from, None for whatever the system picks."""

    address: str
    port: int
    security: Plaintext | Tls
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Http1Request:
    """`METHOD TARGET HTTP/1.1`, a Host unless that is None, `headers`, and a Content-Length if there is a body."""

    method: bytes
    path: bytes
    host: bytes | None
    headers: Headers = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawHttp1Request:
    """Whole HTTP/1 messages as bytes, of which the first is answered; `is_head` if that answer will have no body."""

    payload: bytes
    is_head: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Http2Request:
    """The four pseudo headers (`:authority` unless that is None), then `headers`, then the body, at most 65,535 bytes."""

    method: bytes
    path: bytes
    authority: bytes | None
    headers: Headers = ()
    body: bytes = b""
    scheme: bytes = b"https"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line sent over an opaque connection, to be greeted and echoed by a stub."""

    content: bytes = b"meshc\n"


HttpMessage = Http1Request | RawHttp1Request | Http2Request


def grpc_call(path: bytes, authority: bytes, headers: Headers = ()) -> Http2Request:
    """A unary gRPC call of `/package.Service/Method` with an empty message."""
    return Http2Request(
        method=b"POST",
        path=path,
        authority=authority,
        headers=((b"te", b"trailers"), (b"content-type", b"application/grpc"), *headers),
        body=_EMPTY_GRPC_MESSAGE,
    )


class Stage(Enum):
    """How far a refused connection came.

    With TLS 1.3 the server judges the client's certificate after the client's handshake is done, and its alert may be
    lost to the reset that follows: such a refusal is TLS or CLOSED, by chance. Do not tell the two apart.
    """

    CONNECT = "tcp"
    TLS = "tls"
    CLOSED = "closed before an answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The connection was refused or ended before the first byte of an answer."""

    stage: Stage
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An HTTP answer; names of `headers` and `trailers` are in lower case."""

    status: int
    headers: Headers
    body: bytes
    trailers: Headers = ()

    @property
    def served_by(self) -> str | None:
        """The stub that answered, None if a proxy did."""
        value = self.header(SERVED_BY)
        return None if value is None else value.decode("latin-1")

    @property
    def grpc_status(self) -> int | None:
        """The status of a gRPC answer, wherever it stands; None if there is none."""
        values = [value for name, value in (*self.trailers, *self.headers) if name == b"grpc-status"]
        return int(values[0]) if values and values[0].isdigit() else None

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, whose name is given in lower case."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReset:
    """The HTTP/2 stream was reset before an answer, the connection was not: the request itself was refused."""

    error_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeted:
    """A stub greeted and echoed on an opaque connection."""

    served_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An answer began and did not end well."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    """Nothing, or nothing complete, came in time."""

    after_s: float


Outcome = Refused | Answered | StreamReset | Greeted | Broken | TimedOut
