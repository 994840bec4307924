"""Between the heads of HTTP/1.1 and HTTP/2: what is about one connection goes, what is about the message stays.

Both codecs make and read the version-neutral heads of `events` with these functions, so that bridging is nothing but
sending what was received. Sources: RFC 9110 section 7.6.1, RFC 9113 section 8.2.2, RFC 8441, gRPC over HTTP/2.
"""

import base64
import hashlib
from typing import Final

from meshc_proxy.wire.events import Headers

_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)
_PROTECTED: Final = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"cookie",
        b"expect",
        b"host",
        b"origin",
        b"traceparent",
        b"x-request-id",
    }
)
_PROTECTED_PREFIXES: Final = (b"x-forwarded-", b"x-envoy-", b"l5d-", b"grpc-", b"sec-", b"x-jwt-")
_NOT_IN_TRAILERS: Final = _HOP_BY_HOP | {
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expect",
    b"host",
    b"max-forwards",
    b"range",
    b"set-cookie",
    b"trailer",
}
_GRPC: Final = b"application/grpc"
_WEBSOCKET_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def tokens(headers: Headers, name: bytes) -> frozenset[bytes]:
    """The comma-separated words of all fields of a name, in lower case."""
    words = (word.strip(b" \t").lower() for key, value in headers if key == name for word in value.split(b","))
    return frozenset(word for word in words if word)


def end_to_end(headers: Headers) -> Headers:
    """The fields that go on to the next hop, in order; of TE only `trailers`.

    What `Connection` names goes too, except fields that carry identity or meaning: a client must not be able to have
    `authorization` or `x-forwarded-client-cert` taken away between the one who checks it and the one who relies on it.
    """
    named = frozenset(name for name in tokens(headers, b"connection") if not _is_protected(name))
    kept = tuple((name, value) for name, value in headers if name not in _HOP_BY_HOP and name not in named)
    if b"trailers" in tokens(headers, b"te"):
        return (*kept, (b"te", b"trailers"))
    return kept


def trailers(headers: Headers) -> Headers:
    """The trailer fields that may be passed on: none that frames, routes, authenticates or describes the message.

    Nor one with `_`, which heads may not have either: some applications make it the header that was taken out.
    """
    return tuple((name, value) for name, value in headers if _may_trail(name))


def join_cookies(headers: Headers) -> Headers:
    """One `cookie` field at the place of the first, parts joined by `; ` (RFC 9113 section 8.2.3)."""
    parts = [value for name, value in headers if name == b"cookie"]
    if len(parts) < 2:
        return headers
    joined: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        if name != b"cookie":
            joined.append((name, value))
        elif parts:
            joined.append((name, b"; ".join(parts)))
            parts = []
    return tuple(joined)


def wanted_upgrade(method: bytes, headers: Headers) -> bytes:
    """The protocol that an HTTP/1.1 request changes to: `websocket` or none.

    Any other, `h2c` before all, is dropped as RFC 9110 section 7.8 allows: it would make the rest of the connection
    something that no rule has seen.
    """
    if method != b"GET" or b"upgrade" not in tokens(headers, b"connection"):
        return b""
    return b"websocket" if tokens(headers, b"upgrade") == {b"websocket"} else b""


def websocket_accept(key: bytes) -> bytes:
    """The `sec-websocket-accept` that proves a WebSocket to an HTTP/1.1 client (RFC 6455 section 4.2.2).

    HTTP/2 has neither key nor proof: whoever bridges from it makes a key, and checks or drops the proof.
    """
    return base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID, usedforsecurity=False).digest())


def without(headers: Headers, *names: bytes) -> Headers:
    """All fields but those."""
    return tuple(field for field in headers if field[0] not in names)


def value_of(headers: Headers, name: bytes) -> bytes | None:
    """The first field of a name."""
    return next((value for key, value in headers if key == name), None)


def is_grpc(headers: Headers) -> bool:
    """Whether the content type is gRPC's: its outcome comes in trailers, or in the head of an answer without body."""
    kind = value_of(headers, b"content-type") or b""
    return kind == _GRPC or kind.startswith((_GRPC + b"+", _GRPC + b";"))


def _is_protected(name: bytes) -> bool:
    return name in _PROTECTED or name.startswith(_PROTECTED_PREFIXES)


def _may_trail(name: bytes) -> bool:
    return name not in _NOT_IN_TRAILERS and b"_" not in name and not _is_identity(name)


def _is_identity(name: bytes) -> bool:
    return name.startswith((b"x-forwarded-", b"x-envoy-", b"l5d-"))
