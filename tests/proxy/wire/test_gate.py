"""The hostile requests of HTTP/1.1: each is refused with its status, and nothing of it goes on."""

import pytest

from hostile import CHUNKED, HOSTILE, get
from meshc_proxy.wire.events import Data, End, Event, Fault, Refused, RequestHead, Reset
from meshc_proxy.wire.http1_server import Http1Server
from meshc_proxy.wire.limits import HeadLimits, Http1Limits


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
