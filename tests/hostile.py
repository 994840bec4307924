"""What hostile peers send: requests of HTTP/1.1 that are none, floods of HTTP/2, breaches of its protocol."""

import struct

from h2.errors import ErrorCodes

from http2_traces import FIELDS, HELLO, SETTINGS, frame, headers
from meshc_proxy.wire.events import Fault
from meshc_proxy.wire.frames import PREFACE, Kind

BASE = b"Host: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(fields: bytes = b"", line: bytes = b"GET / HTTP/1.1", host: bytes = BASE) -> bytes:
    return line + b"\r\n" + host + fields + b"\r\n"


HOSTILE: list[tuple[str, bytes, int, Fault]] = [
    ("01 bare lf", b"GET / HTTP/1.1\nHost: a\n\n", 400, Fault.LINE_END),
    ("01 one bare lf", b"GET / HTTP/1.1\r\nHost: a\nx: y\r\n\r\n", 400, Fault.LINE_END),
    ("02 folded line", get(b"x: a\r\n b\r\n"), 400, Fault.FOLDED_LINE),
    ("02 folded by tab", get(b"x: a\r\n\tb\r\n"), 400, Fault.FOLDED_LINE),
    ("02 folded host", get(b" b\r\n"), 400, Fault.FOLDED_LINE),
    ("03 bare cr", get(b"x: a\rb\r\n"), 400, Fault.LINE_END),
    ("03 cr cr lf", get(b"x: a\r\r\n"), 400, Fault.LINE_END),
    ("04 nul", get(b"x: a\0b\r\n"), 400, Fault.CONTROL_CHARACTER),
    ("04 escape", get(b"x: a\x1bb\r\n"), 400, Fault.CONTROL_CHARACTER),
    ("04 delete", get(b"x: a\x7fb\r\n"), 400, Fault.CONTROL_CHARACTER),
    ("05 cl with te", get(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400, Fault.TWO_FRAMINGS),
    ("05 te with cl", get(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400, Fault.TWO_FRAMINGS),
    ("06 cl +5", get(b"Content-Length: +5\r\n"), 400, Fault.CONTENT_LENGTH),
    ("06 cl -5", get(b"Content-Length: -5\r\n"), 400, Fault.CONTENT_LENGTH),
    ("07 cl 0_5", get(b"Content-Length: 0_5\r\n"), 400, Fault.CONTENT_LENGTH),
    ("07 cl empty", get(b"Content-Length:\r\n"), 400, Fault.CONTENT_LENGTH),
    ("07 cl 19 digits", get(b"Content-Length: " + b"9" * 19 + b"\r\n"), 400, Fault.CONTENT_LENGTH),
    ("07 cl arabic digit", get(b"Content-Length: \xd9\xa5\r\n"), 400, Fault.CONTENT_LENGTH),
    ("08 cl twice", get(b"Content-Length: 5\r\nContent-Length: 5\r\n"), 400, Fault.CONTENT_LENGTH),
    ("08 cl list", get(b"Content-Length: 5, 5\r\n"), 400, Fault.CONTENT_LENGTH),
    ("09 cl differs", get(b"Content-Length: 5\r\nContent-Length: 6\r\n"), 400, Fault.CONTENT_LENGTH),
    ("10 te xchunked", get(b"Transfer-Encoding: xchunked\r\n"), 501, Fault.TRANSFER_ENCODING),
    ("11 te chunked, identity", get(b"Transfer-Encoding: chunked, identity\r\n"), 501, Fault.TRANSFER_ENCODING),
    ("12 te gzip, chunked", get(b"Transfer-Encoding: gzip, chunked\r\n"), 501, Fault.TRANSFER_ENCODING),
    ("12 te empty", get(b"Transfer-Encoding:\r\n"), 501, Fault.TRANSFER_ENCODING),
    ("13 te twice", get(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400, Fault.TRANSFER_ENCODING),
    ("14 te vt", get(b"Transfer-Encoding: \x0bchunked\r\n"), 400, Fault.CONTROL_CHARACTER),
    ("15 te on 1.0", get(b"Transfer-Encoding: chunked\r\n", b"POST / HTTP/1.0"), 400, Fault.TRANSFER_ENCODING),
    ("15 http/1.0", get(line=b"GET / HTTP/1.0"), 426, Fault.OLD_VERSION),
    ("16 space before colon", get(b"x : a\r\n"), 400, Fault.FIELD_NAME),
    ("16 tab before colon", get(b"x\t: a\r\n"), 400, Fault.FIELD_NAME),
    ("16 te space", get(b"Transfer-Encoding : chunked\r\n"), 400, Fault.FIELD_NAME),
    ("17 empty name", get(b": a\r\n"), 400, Fault.FIELD_NAME),
    ("17 no colon", get(b"abc\r\n"), 400, Fault.FIELD_NAME),
    ("18 no host", get(host=b""), 400, Fault.AUTHORITY),
    ("18 empty host", get(host=b"Host:\r\n"), 400, Fault.AUTHORITY),
    ("19 two hosts", get(b"Host: b\r\n"), 400, Fault.AUTHORITY),
    ("19 two equal hosts", get(b"Host: a\r\n"), 400, Fault.AUTHORITY),
    ("20 host with path", get(host=b"Host: a/b@c d\r\n"), 400, Fault.AUTHORITY),
    ("20 host with user", get(host=b"Host: u@a\r\n"), 400, Fault.AUTHORITY),
    ("20 host with list", get(host=b"Host: a,b\r\n"), 400, Fault.AUTHORITY),
    ("20 host with port 0", get(host=b"Host: a:0\r\n"), 400, Fault.AUTHORITY),
    ("20 host with port 70000", get(host=b"Host: a:70000\r\n"), 400, Fault.AUTHORITY),
    ("21 http/1.2", get(line=b"GET / HTTP/1.2"), 505, Fault.VERSION),
    ("22 http/9.9", get(line=b"GET / HTTP/9.9"), 505, Fault.VERSION),
    ("22 http/1.10", get(line=b"GET / HTTP/1.10"), 400, Fault.REQUEST_LINE),
    ("22 http/0.9", b"GET /\r\n\r\n", 400, Fault.REQUEST_LINE),
    ("22 lower-case name", get(line=b"GET / http/1.1"), 400, Fault.REQUEST_LINE),
    ("23 raw 0xff", get(line=b"GET /\xff HTTP/1.1"), 400, Fault.TARGET),
    ("23 nul in target", get(line=b"GET /\0 HTTP/1.1"), 400, Fault.TARGET),
    ("23 escaped nul", get(line=b"GET /a%00b HTTP/1.1"), 400, Fault.TARGET),
    ("24 fragment", get(line=b"GET /a#b HTTP/1.1"), 400, Fault.TARGET),
    ("24 no slash", get(line=b"GET a HTTP/1.1"), 400, Fault.TARGET),
    ("24 star for GET", get(line=b"GET * HTTP/1.1"), 400, Fault.TARGET),
    ("25 absolute, other host", get(line=b"GET http://b/ HTTP/1.1"), 400, Fault.AUTHORITY),
    ("25 absolute, user", get(line=b"GET http://a@a/ HTTP/1.1"), 400, Fault.AUTHORITY),
    ("25 absolute, no host", get(line=b"GET http:///x HTTP/1.1"), 400, Fault.AUTHORITY),
    ("25 absolute, ftp", get(line=b"GET ftp://a/ HTTP/1.1"), 400, Fault.TARGET),
    ("26 two leading crlf", b"\r\n\r\n" + get(), 400, Fault.REQUEST_LINE),
    ("26 leading lf", b"\n" + get(), 400, Fault.LINE_END),
    ("27 chunk 0x5", CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", 400, Fault.CHUNK),
    ("27 chunk +5", CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n", 400, Fault.CHUNK),
    ("27 chunk -5", CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", 400, Fault.CHUNK),
    ("27 chunk with space", CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n", 400, Fault.CHUNK),
    ("27 chunk empty", CHUNKED + b"\r\nhello\r\n0\r\n\r\n", 400, Fault.CHUNK),
    ("28 chunk line by lf", CHUNKED + b"5\nhello\r\n0\r\n\r\n", 400, Fault.LINE_END),
    ("29 lf in extension", CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n", 400, Fault.LINE_END),
    ("29 cr in extension", CHUNKED + b"5;a\rb\r\nhello\r\n0\r\n\r\n", 400, Fault.LINE_END),
    ("29 nul in extension", CHUNKED + b"5;a\0\r\nhello\r\n0\r\n\r\n", 400, Fault.CHUNK),
    ("29 long extension", CHUNKED + b"5;" + b"a" * 300 + b"\r\nhello\r\n0\r\n\r\n", 400, Fault.CHUNK),
    ("30 no crlf after data", CHUNKED + b"5\r\nhello0\r\n\r\n", 400, Fault.CHUNK),
    ("30 lf after data", CHUNKED + b"5\r\nhello\n0\r\n\r\n", 400, Fault.CHUNK),
    ("31 17 hex digits", CHUNKED + b"0" * 16 + b"5\r\nhello\r\n0\r\n\r\n", 400, Fault.CHUNK),
    ("32 te as trailer", CHUNKED + b"0\r\nbad name: x\r\n\r\n", 400, Fault.FIELD_NAME),
    ("32 folded trailer", CHUNKED + b"0\r\nx: y\r\n z\r\n\r\n", 400, Fault.FOLDED_LINE),
    ("32 too many trailers", CHUNKED + b"0\r\n" + b"x: y\r\n" * 102 + b"\r\n", 431, Fault.TOO_MANY_LINES),
    ("33 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, Fault.METHOD),
    ("lower-case method", get(line=b"get / HTTP/1.1"), 400, Fault.METHOD),
    ("unknown method", get(line=b"FETCH / HTTP/1.1"), 400, Fault.METHOD),
    ("empty method", get(line=b" / HTTP/1.1"), 400, Fault.METHOD),
    ("two spaces", get(line=b"GET  / HTTP/1.1"), 400, Fault.REQUEST_LINE),
    ("tab in line", get(line=b"GET\t/ HTTP/1.1"), 400, Fault.REQUEST_LINE),
    ("underscore", get(b"x_block: yes\r\n"), 400, Fault.UNDERSCORE),
    ("connect without port", get(line=b"CONNECT a HTTP/1.1"), 400, Fault.AUTHORITY),
    ("connect to elsewhere", get(line=b"CONNECT b:443 HTTP/1.1"), 400, Fault.AUTHORITY),
    ("connect with body", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 1\r\n\r\nx", 400, Fault.TWO_FRAMINGS),
    ("long target", get(line=b"GET /" + b"a" * 9000 + b" HTTP/1.1"), 414, Fault.TARGET_TOO_LONG),
    ("endless target", b"GET /" + b"a" * (1 << 20), 414, Fault.TARGET_TOO_LONG),
    ("large header", get(b"x: " + b"a" * 62000 + b"\r\n"), 431, Fault.HEAD_TOO_LARGE),
    ("endless header", b"GET / HTTP/1.1\r\nx: " + b"a" * 62000, 431, Fault.HEAD_TOO_LARGE),
    ("many headers", get(b"x: y\r\n" * 101), 431, Fault.TOO_MANY_LINES),
    ("tls hello", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, Fault.REQUEST_LINE),
]
"""Names, payloads, the status that answers them, and what is wrong."""


def rapid_resets(count: int) -> bytes:
    rst = struct.pack(">I", ErrorCodes.CANCEL)
    return b"".join(headers(FIELDS, 2 * i + 1) + frame(Kind.RST_STREAM, 0, 2 * i + 1, rst) for i in range(count))


FLOODS: list[tuple[str, bytes, Fault]] = [
    ("rapid reset", rapid_resets(101), Fault.RESET_FLOOD),
    ("made to reset", b"".join(headers([*FIELDS, (b"x_y", b"z")], 2 * i + 1) for i in range(102)), Fault.RESET_FLOOD),
    ("settings", SETTINGS * 201, Fault.CONTROL_FLOOD),
    ("ping", frame(Kind.PING, 0, 0, b"12345678") * 201, Fault.CONTROL_FLOOD),
    ("empty data", headers(FIELDS, 1, ends=False) + frame(Kind.DATA, 0, 1) * 201, Fault.CONTROL_FLOOD),
    ("priority", frame(Kind.PRIORITY, 0, 3, b"\0\0\0\0\x10") * 201, Fault.CONTROL_FLOOD),
    ("small window updates", frame(Kind.WINDOW_UPDATE, 0, 0, b"\0\0\0\x01") * 201, Fault.CONTROL_FLOOD),
    ("unknown frames", frame(99, 0, 0, b"x") * 201, Fault.CONTROL_FLOOD),
    ("goaway", frame(Kind.GOAWAY, 0, 0, b"\x7f\xff\xff\xff\0\0\0\0") * 201, Fault.CONTROL_FLOOD),
    (
        "continuation",
        frame(Kind.HEADERS, 0, 1, b"\x82") + frame(Kind.CONTINUATION, 0, 1, b"\x82" * 16000) * 5,
        Fault.HEAD_TOO_LARGE,
    ),
]
"""What follows a client's preface and settings, and the fault; `goaway` needs a stream that is open."""

BREACHES = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    PREFACE + frame(Kind.PING, 0, 0, b"12345678"),
    PREFACE + frame(Kind.SETTINGS, 1),
    HELLO + frame(Kind.DATA, 0, 1, b"x"),
    HELLO + frame(Kind.SETTINGS, 0, 0, b"x" * 17000),
    HELLO + frame(Kind.WINDOW_UPDATE, 0, 0, b"\0\0\0\0"),
    HELLO + frame(Kind.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
    HELLO + frame(Kind.CONTINUATION, 4, 1, b"\x82"),
    HELLO + frame(Kind.PUSH_PROMISE, 4, 1, b"\0\0\0\x02\x82"),
    HELLO + frame(Kind.HEADERS, 5, 2, b"\x82"),
    HELLO + frame(Kind.HEADERS, 0, 1, b"\x82") + frame(Kind.GOAWAY, 0, 0, bytes(8)),
    HELLO + frame(Kind.GOAWAY, 0, 1, bytes(8)),
    HELLO + frame(Kind.GOAWAY, 0, 0, bytes(4)),
    HELLO + frame(Kind.HEADERS, 5, 1, b"\xff\xff\xff\xff\xff"),
]
