"""Between HTTP/2's field lists with pseudo-headers and the version-neutral heads of `events`.

Incoming heads are held to the same grammar as HTTP/1.1's, since they may go on as HTTP/1.1; outgoing ones to it as well.
Sources: RFC 9113 section 8.3, RFC 8441.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from hpack.struct import Header

from meshc_proxy.wire import bridge
from meshc_proxy.wire.events import Fault, Headers, Informational, MisuseError, Refusal, RequestHead, ResponseHead
from meshc_proxy.wire.grammar import check_authority, check_fields, check_method, check_no_underscores, check_path
from meshc_proxy.wire.limits import HeadLimits

Fields: TypeAlias = Iterable[tuple[bytes, bytes]]
_WEBSOCKET: Final = b"websocket"
_SCHEMES: Final = frozenset({b"http", b"https"})


def field_pairs(headers: Sequence[Header]) -> list[tuple[bytes, bytes]]:
    """What h2 gives: bytes, as it was told no encoding."""
    return [(name, value) for name, value in headers if isinstance(name, bytes) and isinstance(value, bytes)]


def read_request(stream: int, fields: Fields, scheme: bytes, limits: HeadLimits, *, ends: bool) -> RequestHead:
    """A request's head. Raises Refusal: its status is what an HTTP/1.1 client would be answered."""
    pseudo, headers = _split(fields)
    method = pseudo.get(b":method", b"")
    check_method(method)
    protocol = pseudo.get(b":protocol", b"")
    if protocol not in {b"", _WEBSOCKET}:
        raise Refusal(Fault.METHOD, 501)
    authority = _authority(pseudo, headers)
    plain_connect = method == b"CONNECT" and not protocol
    path = b"" if plain_connect else _escape(pseudo.get(b":path", b""))
    _check_target(b"GET" if protocol else method, path, limits, plain_connect=plain_connect)
    if not plain_connect and pseudo.get(b":scheme", b"") not in _SCHEMES:
        raise Refusal(Fault.TARGET)
    check_no_underscores(headers)
    _check_headers(headers, limits)
    _check_length(headers, ends=ends)
    return RequestHead(
        stream=stream,
        method=b"GET" if protocol else method,
        scheme=scheme,
        authority=authority,
        path=path,
        headers=bridge.end_to_end(bridge.without(headers, b"host")),
        ends=ends,
        upgrade=protocol,
    )


def read_response(
    stream: int, fields: Fields, request: RequestHead, limits: HeadLimits, *, ends: bool
) -> ResponseHead | Informational:
    """A response's head; 2xx to an extended CONNECT is 101. Raises Refusal."""
    pseudo, headers = _split(fields)
    digits = pseudo.get(b":status", b"")
    if len(digits) != 3 or not digits.isdigit() or not 100 <= int(digits) < 600 or digits == b"101":
        raise Refusal(Fault.STATUS_LINE, 502)
    _check_headers(headers, limits)
    status = int(digits)
    _check_length(headers, ends=ends and request.method != b"HEAD" and status not in {204, 304})
    headers = bridge.end_to_end(headers)
    if status < 200:
        return Informational(stream=stream, status=status, headers=headers)
    if request.upgrade and status < 300:
        status = 101
    return ResponseHead(stream=stream, status=status, headers=headers, ends=ends)


def read_trailers(fields: Fields, limits: HeadLimits) -> Headers:
    """Trailer fields that may be passed on. Raises Refusal."""
    pseudo, headers = _split(fields)
    if pseudo:
        raise Refusal(Fault.TRAILER)
    _check_headers(headers, limits)
    return bridge.trailers(headers)


def write_request(head: RequestHead) -> list[tuple[bytes, bytes]]:
    """The field list of a request. Raises MisuseError for what would not be one."""
    method = b"CONNECT" if head.upgrade else head.method
    try:
        check_method(method)
        check_authority(head.authority)
        if method != b"CONNECT" or head.upgrade:
            check_path(head.method, head.path)
    except Refusal as refusal:
        raise MisuseError(refusal.fault.value) from refusal
    fields = [(b":method", method), (b":authority", head.authority)]
    if method != b"CONNECT" or head.upgrade:
        fields += [(b":scheme", head.scheme), (b":path", head.path)]
    if head.upgrade:
        fields.append((b":protocol", head.upgrade))
    headers = bridge.without(head.headers, b"sec-websocket-key") if head.upgrade else head.headers
    return fields + list(write_headers(headers))


def write_response(head: ResponseHead | Informational) -> list[tuple[bytes, bytes]]:
    """The field list of a response; 101 is 200. Raises MisuseError for what would not be one."""
    status = 200 if head.status == 101 else head.status
    headers = bridge.without(head.headers, b"sec-websocket-accept") if head.status == 101 else head.headers
    return [(b":status", b"%d" % status), *write_headers(headers)]


def write_headers(headers: Headers) -> Headers:
    """Fields as HTTP/2 takes them. Raises MisuseError for one that is none."""
    try:
        check_fields(headers)
    except Refusal as refusal:
        raise MisuseError(f"a header that is none: {refusal.fault.value}") from refusal
    return bridge.without(bridge.end_to_end(headers), b"host")


def _split(fields: Fields) -> tuple[dict[bytes, bytes], Headers]:
    """Pseudo-headers and headers; h2 has seen to it that the former come first, and once."""
    pairs = [(bytes(name), bytes(value)) for name, value in fields]
    pseudo = {name: value for name, value in pairs if name.startswith(b":")}
    return pseudo, tuple(field for field in pairs if not field[0].startswith(b":"))


def _authority(pseudo: dict[bytes, bytes], headers: Headers) -> bytes:
    named = [value for name, value in headers if name == b"host"]
    authority = pseudo.get(b":authority", named[0] if named else b"")
    if len(named) > 1 or (named and named[0].lower() != authority.lower()):
        raise Refusal(Fault.AUTHORITY)
    check_authority(authority)
    return authority


def _escape(path: bytes) -> bytes:
    """Bytes beyond ASCII as escapes, as Envoy has them over HTTP/2; over HTTP/1.1 they are refused."""
    return path if path.isascii() else b"".join(b"%c" % byte if byte < 0x80 else b"%%%02X" % byte for byte in path)


def _check_target(method: bytes, path: bytes, limits: HeadLimits, *, plain_connect: bool) -> None:
    if plain_connect:
        return
    if len(path) > limits.target_bytes:
        raise Refusal(Fault.TARGET_TOO_LONG, 414)
    check_path(method, path)


def _check_headers(headers: Headers, limits: HeadLimits) -> None:
    if len(headers) > limits.header_lines:
        raise Refusal(Fault.TOO_MANY_LINES, 431)
    check_fields(headers)


def _check_length(headers: Headers, *, ends: bool) -> None:
    """One length at most, and none that promises a body that will not come: HTTP/1.1 behind us would wait for it."""
    lengths = [value for name, value in headers if name == b"content-length"]
    if len(lengths) > 1 or (lengths and not lengths[0].isdigit()) or (ends and lengths and int(lengths[0])):
        raise Refusal(Fault.CONTENT_LENGTH)
