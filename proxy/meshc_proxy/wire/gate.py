"""The strict gate before the HTTP/1.1 parser: heads of messages, read one way only.

Takes the lines of one head, each without its CRLF; promises a head that no two implementations read differently, or raises
`Refusal`. It never mends: what a peer behind us might read otherwise is refused.
Sources: RFC 9112 sections 2 to 7; the statuses are those of Envoy 1.40 where the RFC leaves a choice.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from meshc_proxy.wire.events import Fault, Headers, Refusal
from meshc_proxy.wire.grammar import (
    METHODS,
    check_authority,
    check_field,
    check_method,
    check_no_underscores,
    check_path,
)
from meshc_proxy.wire.limits import HeadLimits

_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_VERSION: Final = re.compile(rb"HTTP/[0-9]\.[0-9]")
_ABSOLUTE: Final = re.compile(rb"https?://(?P<authority>[^/?#]*)(?P<path>.*)", re.DOTALL | re.IGNORECASE)
_STATUS: Final = re.compile(rb"[1-5][0-9]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How a message's body is delimited: by chunks, by a length, or (a response with neither) by the connection's end."""

    chunked: bool = False
    length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedRequest:
    """A request's head that passed; `fields` are all of them but Host, names in lower case, in order."""

    method: bytes
    authority: bytes
    path: bytes
    fields: Headers
    framing: Framing


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedResponse:
    """A response's head that passed."""

    status: int
    fields: Headers
    framing: Framing


def read_request(lines: Sequence[bytes], limits: HeadLimits) -> GatedRequest:
    """The head of a request, from its lines without the empty one that ends it."""
    method, target, version = _request_line(lines[0], limits)
    fields = _fields(lines[1:])
    check_no_underscores(fields)
    framing = _framing(fields)
    _check_version(version, framing)
    host = _host(fields)
    authority, path = _target(method, target, host)
    others = tuple((name, value) for name, value in fields if name != b"host")
    return GatedRequest(method=method, authority=authority, path=path, fields=others, framing=framing)


def read_response(lines: Sequence[bytes]) -> GatedResponse:
    """The head of a response; HTTP/1.0 is taken from servers, as from Envoy's upstreams."""
    parts = lines[0].split(b" ", 2)
    if len(parts) < 2 or parts[0] not in {b"HTTP/1.1", b"HTTP/1.0"} or not _STATUS.fullmatch(parts[1]):
        raise Refusal(Fault.STATUS_LINE, 502)
    if len(parts) == 3:
        _check_text(parts[2])
    status = int(parts[1])
    fields = _fields(lines[1:])
    framing = _framing(fields)
    bodiless = status < 200 or status == 204
    if framing.chunked and (parts[0] == b"HTTP/1.0" or bodiless):
        # RFC 9112 6.1: "a server MUST NOT send a Transfer-Encoding header field in any response with a status code
        # of 1xx or 204"; whoever believes it reads the next response elsewhere than we do.
        raise Refusal(Fault.TRANSFER_ENCODING, 502)
    if framing.length and bodiless:
        raise Refusal(Fault.CONTENT_LENGTH, 502)
    return GatedResponse(status=status, fields=fields, framing=framing)


def read_trailers(lines: Sequence[bytes]) -> Headers:
    """The fields after the last chunk."""
    return _fields(lines)


def _request_line(line: bytes, limits: HeadLimits) -> tuple[bytes, bytes, bytes]:
    parts = line.split(b" ")
    if len(parts) != 3 or not parts[1]:
        raise Refusal(Fault.REQUEST_LINE)
    method, target, version = parts
    check_method(method)
    if method not in METHODS:
        raise Refusal(Fault.METHOD)
    if len(target) > limits.target_bytes:
        raise Refusal(Fault.TARGET_TOO_LONG, 414)
    if not _VERSION.fullmatch(version):
        raise Refusal(Fault.REQUEST_LINE)
    return method, target, version


def _fields(lines: Sequence[bytes]) -> Headers:
    return tuple(_field(line) for line in lines)


def _field(line: bytes) -> tuple[bytes, bytes]:
    if line.startswith((b" ", b"\t")):
        raise Refusal(Fault.FOLDED_LINE)
    name, colon, value = line.partition(b":")
    if not colon:
        raise Refusal(Fault.FIELD_NAME)
    value = value.strip(b" \t")
    check_field(name, value)
    return name.lower(), value


def _check_text(text: bytes) -> None:
    check_field(b"reason", text.strip(b" \t"))


def _framing(fields: Headers) -> Framing:
    """The one framing of a message. Two of them, or one said twice, is how requests are smuggled."""
    encodings = [value for name, value in fields if name == b"transfer-encoding"]
    lengths = [value for name, value in fields if name == b"content-length"]
    if encodings and lengths:
        raise Refusal(Fault.TWO_FRAMINGS)
    if len(encodings) > 1:
        raise Refusal(Fault.TRANSFER_ENCODING)
    if encodings and encodings[0].lower() != b"chunked":
        raise Refusal(Fault.TRANSFER_ENCODING, 501)
    if len(lengths) > 1 or (lengths and not _LENGTH.fullmatch(lengths[0])):
        raise Refusal(Fault.CONTENT_LENGTH)
    return Framing(chunked=bool(encodings), length=int(lengths[0]) if lengths else None)


def _check_version(version: bytes, framing: Framing) -> None:
    if version == b"HTTP/1.0":
        raise Refusal(Fault.TRANSFER_ENCODING) if framing.chunked else Refusal(Fault.OLD_VERSION, 426)
    if version != b"HTTP/1.1":
        raise Refusal(Fault.VERSION, 505)


def _host(fields: Headers) -> bytes:
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) != 1:
        raise Refusal(Fault.AUTHORITY)
    check_authority(hosts[0])
    return hosts[0]


def _target(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """Authority and path. CONNECT has an authority only; an absolute target must agree with Host."""
    if method == b"CONNECT":
        check_authority(target)
        if b":" not in target.rpartition(b"]")[2] or target.lower() != host.lower():
            raise Refusal(Fault.AUTHORITY)
        return target, b""
    if (absolute := _ABSOLUTE.fullmatch(target)) is None:
        check_path(method, target)
        return host, target
    authority, path = absolute["authority"], absolute["path"]
    if authority.lower() != host.lower():
        raise Refusal(Fault.AUTHORITY)
    path = path if path.startswith(b"/") else b"/" + path
    check_path(method, path)
    return authority, path
