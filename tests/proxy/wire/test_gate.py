"""The hostile requests of HTTP/1.1: each is refused with its status, and nothing of it goes on."""

import pytest

from meshc_proxy.wire.events import Data, End, Event, Fault, Refused, RequestHead, Reset
from meshc_proxy.wire.http1_server import Http1Server
from meshc_proxy.wire.limits import HeadLimits, Http1Limits

BASE = b"Host: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(fields: bytes = b"", line: bytes = b"GET / HTTP/1.1", host: bytes = BASE) -> bytes:
    return line + b"\r\n" + host + fields + b"\r\n"


HOSTILE = [
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


def run(data: bytes, step: int | None = None) -> tuple[list[Event], bytes]:
    server = Http1Server(scheme=b"http", now=0.0)
    events: list[Event] = []
    sent = b""
    step = step or len(data)
    for start in range(0, len(data), step):
        events += server.receive(data[start : start + step], 0.0)
        sent += server.output()
    return events, sent


@pytest.mark.parametrize(("name", "data", "status", "fault"), HOSTILE, ids=[row[0] for row in HOSTILE])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "bytewise"])
def test_hostile_requests_are_answered_and_the_connection_closed(
    name: str, data: bytes, status: int, fault: Fault, *, whole: bool
) -> None:
    events, sent = run(data, None if whole else 1 if len(data) <= 20000 else 97)
    assert Refused(stream=1, status=status, fault=fault) in events
    assert sent.startswith(b"HTTP/1.1 %d " % status)
    assert sent.partition(b"\r\n\r\n")[0].endswith(b"\r\nconnection: close")
    assert sent.count(b"HTTP/1.1") == 1
    heads = [event for event in events if isinstance(event, RequestHead)]
    assert len(heads) == (1 if data.startswith(CHUNKED) else 0)
    assert End(stream=1) not in events
    assert (heads == []) != any(isinstance(event, Reset) for event in events)


def test_only_the_valid_prefix_of_a_body_goes_on() -> None:
    events, _ = run(CHUNKED + b"5\r\nhello\r\n0x5\r\nworld\r\n0\r\n\r\n")
    assert [event.data for event in events if isinstance(event, Data)] == [b"hello"]


HONEST = [
    get(),
    b"\r\n" + get(),
    get(line=b"GET http://A/ HTTP/1.1"),
    get(line=b"OPTIONS * HTTP/1.1"),
    get(line=b"GET /a%2fb?x=#".rstrip(b"#") + b"%00 HTTP/1.1"),
    get(host=b"Host: [::1]:8080\r\n"),
    get(host=b"Host: orders.shop.\r\n"),
    get(b"x: caf\xc3\xa9\t!\r\nEmpty:\r\n"),
    get(b"Content-Length: 0\r\n"),
    get(b"Transfer-Encoding: Chunked\r\n") + b'0005;a="b"\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n',
    get(b"x: y\r\n" * 99),
]


@pytest.mark.parametrize("data", HONEST, ids=[str(index) for index in range(len(HONEST))])
def test_honest_requests_pass(data: bytes) -> None:
    events, sent = run(data)
    assert isinstance(events[0], RequestHead)
    assert events[-1] == End(stream=1)
    assert sent == b""


def test_limits_are_those_given() -> None:
    limits = Http1Limits(head=HeadLimits(head_bytes=64, header_lines=2, target_bytes=3))
    for data, status in (
        (get(line=b"GET /abc HTTP/1.1"), 414),
        (get(b"a: b\r\nc: d\r\n"), 431),
        (get(b"a:" + b"b" * 64), 431),
    ):
        (event, *_) = Http1Server(scheme=b"http", now=0.0, limits=limits).receive(data, 0.0)
        assert isinstance(event, Refused)
        assert event.status == status


@pytest.mark.parametrize(
    "data", [row[1] for row in HOSTILE if row[0] in {"05 cl with te", "08 cl list", "20 host with path"}]
)
def test_a_request_behind_an_honest_one_is_judged_when_its_turn_comes(data: bytes) -> None:
    server = Http1Server(scheme=b"http", now=0.0)
    events = server.receive(get() + data, 0.0)
    assert events[1:] == (End(stream=1),)
    assert server.output() == b""
