"""What happens on a connection: the same events for HTTP/1.1 and HTTP/2, in both directions.

Every event of an exchange names its `stream`: HTTP/2's own number, or 1, 2, 3… for the exchanges of an HTTP/1.1
connection. An exchange is, each way: a head, any number of `Data`, perhaps `Trailers`, then `End`; or at any point
`Reset`, after which nothing more comes. After a response's head with status 101, or 2xx to CONNECT, `Data` are the
bytes of the tunnel, and `End` closes one direction of it.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Names in lower case and values without blanks around them, in the order of the wire; no pseudo-headers, no `host`, and
nothing that is about one connection only (RFC 9110 section 7.6.1) but `te: trailers`."""


class ResetReason(Enum):
    """Why one exchange ended early."""

    CANCELLED = "cancelled"  # whoever asked has left
    REFUSED = "refused"  # nothing was done: the request may be tried again, whatever its method
    PROTOCOL = "protocol"  # the peer broke the protocol
    TRUNCATED = "truncated"  # the connection ended within the message
    INTERNAL = "internal"  # the peer, or we, failed
    CALM = "calm"  # too much of something: ENHANCE_YOUR_CALM


class Fault(Enum):
    """What is wrong with a peer's bytes; the values are labels of metrics."""

    LINE_END = "line-end"
    FOLDED_LINE = "folded-line"
    CONTROL_CHARACTER = "control-character"
    REQUEST_LINE = "request-line"
    STATUS_LINE = "status-line"
    METHOD = "method"
    TARGET = "target"
    AUTHORITY = "authority"
    VERSION = "version"
    OLD_VERSION = "old-version"
    FIELD_NAME = "field-name"
    FIELD_VALUE = "field-value"
    UNDERSCORE = "underscore"
    CONTENT_LENGTH = "content-length"
    TRANSFER_ENCODING = "transfer-encoding"
    TWO_FRAMINGS = "two-framings"
    HEAD_TOO_LARGE = "head-too-large"
    TOO_MANY_LINES = "too-many-lines"
    TARGET_TOO_LONG = "target-too-long"
    CHUNK = "chunk"
    TRAILER = "trailer"
    UNEXPECTED = "unexpected"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"
    RESET_FLOOD = "reset-flood"
    CONTROL_FLOOD = "control-flood"
    OUTPUT_FLOOD = "output-flood"
    PROTOCOL = "protocol"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """The head of a request.

    `path` is the target with its query, as written; empty for a plain CONNECT, whose target is `authority`. `ends` says that
    neither body nor trailers follow; `End` comes all the same, and may be left out when sending. `upgrade` is the protocol that the client asks to change
    to, `websocket` or empty: it stands for HTTP/1.1's Upgrade and for HTTP/2's extended CONNECT (RFC 8441) alike, and
    the method is then GET.
    """

    stream: int
    method: bytes
    scheme: bytes
    authority: bytes
    path: bytes
    headers: Headers
    ends: bool = False
    upgrade: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """The head of a final response (200 to 599), or 101 to a request with `upgrade`; `ends` as in RequestHead."""

    stream: int
    status: int
    headers: Headers
    ends: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Informational:
    """A response before the final one: 100, 102 to 199."""

    stream: int
    status: int
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Some bytes of a body or tunnel, not empty; where they are cut means nothing.

    `size` is what `consumed` must be told once they were passed on.
    """

    stream: int
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trailers:
    """Fields after the body; `End` follows."""

    stream: int
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The message, or this direction of the tunnel, is complete."""

    stream: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """The exchange ended early, both ways. What came before is not a complete message."""

    stream: int
    reason: ResetReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Writable:
    """The peer granted room: on one stream, or with stream 0 on any."""

    stream: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GoAway:
    """The peer takes no new streams; the ones above `last_stream` were not, and will not be, looked at."""

    last_stream: int
    clean: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The peer's bytes were refused.

    `status` is what an HTTP/1.1 client was answered, or would have been. `stream` is 0 where the whole connection is
    refused; then `Closed` follows.
    """

    stream: int
    status: int
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Nothing more will be read: send what `output` still gives, then close. `clean`: not within a message."""

    clean: bool


MessageEvent: TypeAlias = RequestHead | ResponseHead | Informational | Data | Trailers | End | Reset
"""What can be sent as well as received."""

Event: TypeAlias = MessageEvent | Writable | GoAway | Refused | Closed


class Refusal(Exception):  # noqa: N818  (a verdict on the peer, not an error of ours)
    """The peer's bytes must not be interpreted. `status` is the answer to an HTTP/1.1 client."""

    def __init__(self, fault: Fault, status: int = 400) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.status = status


class MisuseError(Exception):
    """We tried to send what may not be sent now, or must never be: a bug of the caller, or a hostile value stopped."""
