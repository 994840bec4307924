"""HTTP/1.1 towards upstreams as traces: responses that may pass, and those that may not."""

import pytest

from http1_traces import GET, asked, head, ok, server
from meshc_proxy.wire.events import (
    Closed,
    Data,
    End,
    Fault,
    Informational,
    Refused,
    Reset,
    ResetReason,
)
from meshc_proxy.wire.http1_client import Http1Client

HOSTILE_RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx : a\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 99 No\r\n\r\n",
    b"HTTP/1.1 600 No\r\n\r\n",
    b"HTTP/2.0 200 OK\r\n\r\n",
    b"HTTP/1.1 200 O\0K\r\n\r\n",
    b"ICY 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
]


@pytest.mark.parametrize("data", HOSTILE_RESPONSES)
def test_hostile_responses_are_refused(data: bytes) -> None:
    client = asked(head())
    events = client.receive(data, 0.0)
    assert any(isinstance(event, Refused) and event.status == 502 for event in events)
    assert events[-2:] == (Reset(stream=1, reason=ResetReason.PROTOCOL), Closed(clean=False))
    assert client.done


def test_an_upstream_may_not_change_to_another_protocol() -> None:
    client = Http1Client(now=0.0)
    client.send(head(ends=False, upgrade=b"websocket"))
    events = client.receive(b"HTTP/1.1 101 \r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", 0.0)
    assert Refused(stream=1, status=502, fault=Fault.UNEXPECTED) in events


def test_a_silent_client_is_closed_silently() -> None:
    one = server()
    assert one.expire(10.0) == (Closed(clean=True),)
    assert one.output() == b""


def test_a_response_that_nobody_asked_for_closes_the_connection() -> None:
    client = Http1Client(now=0.0)
    assert Refused(stream=1, status=502, fault=Fault.UNEXPECTED) in client.receive(b"HTTP/1.1 200 OK\r\n\r\n", 0.0)
    client = asked(head())
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    events = client.receive(whole + whole, 0.0)
    assert events[:2] == (ok(headers=((b"content-length", b"0"),), ends=True), End(stream=1))
    assert not client.reusable


def test_a_truncated_response_is_reset() -> None:
    client = asked(head())
    client.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", 0.0)
    assert client.receive_eof(0.0) == (Reset(stream=1, reason=ResetReason.TRUNCATED), Closed(clean=False))


def test_a_body_up_to_the_end_of_the_connection() -> None:
    client = asked(head())
    events = client.receive(b"HTTP/1.0 200 OK\r\n\r\nhello", 0.0)
    assert events == (ok(), Data(stream=1, data=b"hello"))
    assert client.receive_eof(0.0) == (End(stream=1), Closed(clean=True))


def test_informational_responses_do_not_end_the_exchange() -> None:
    client = asked(head())
    events = client.receive(b"HTTP/1.1 103 \r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 0.0)
    assert events[0] == Informational(stream=1, status=103, headers=((b"link", b"x"),))
    assert events[-1] == End(stream=1)
    assert client.reusable


def test_a_connection_is_reused_until_one_side_says_close() -> None:
    client = asked(head())
    client.receive(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 0.0)
    client.send(head(stream=2))
    client.send(End(stream=2))
    events = client.receive(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", 0.0)
    assert events[-1] == Closed(clean=True)
    assert not client.reusable


def test_a_reset_ends_the_connection_without_the_last_chunk() -> None:
    one = server()
    one.receive(GET, 0.0)
    one.send(ok())
    one.send(Data(stream=1, data=b"x"))
    assert one.send(Reset(stream=1, reason=ResetReason.INTERNAL)) == b""
    assert one.done
