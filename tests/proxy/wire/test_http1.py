"""HTTP/1.1 towards clients as traces: bytes in, events out, and back."""

import pytest

from http1_traces import GET, WEBSOCKET, asked, head, ok, server
from meshc_proxy.wire.events import (
    Closed,
    Data,
    End,
    Fault,
    Informational,
    MisuseError,
    Refused,
    RequestHead,
    Reset,
    ResetReason,
    Trailers,
)
from meshc_proxy.wire.http1_client import Http1Client


def test_a_request_and_its_response() -> None:
    one = server()
    expected = RequestHead(
        stream=1, method=b"GET", scheme=b"http", authority=b"a.b:80", path=b"/x?y", headers=(), ends=True
    )
    assert one.receive(GET, 0.0) == (expected, End(stream=1))
    assert one.send(ok(headers=((b"content-length", b"2"),))) == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
    assert one.send(Data(stream=1, data=b"hi")) == b"hi"
    assert one.send(End(stream=1)) == b""
    assert one.resume(0.0) == ()
    assert not one.done


def test_pipelined_requests_come_one_after_the_other() -> None:
    one = server()
    assert len(one.receive(GET + GET, 0.0)) == 2
    assert one.resume(0.0) == ()
    one.send(ok(ends=True))
    one.send(End(stream=1))
    second = one.resume(0.0)
    assert [event.stream for event in second if isinstance(event, RequestHead | End)] == [2, 2]


def test_reading_pauses_while_too_much_is_held() -> None:
    one = server()
    one.receive(GET, 0.0)
    assert one.want_read
    one.receive(GET * 3000, 0.0)
    assert not one.want_read


def test_expect_is_forwarded_and_not_answered() -> None:
    one = server()
    events = one.receive(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", 0.0)
    (request,) = events
    assert isinstance(request, RequestHead)
    assert request.headers == ((b"expect", b"100-continue"), (b"content-length", b"2"))
    assert one.output() == b""
    assert one.send(Informational(stream=1, status=100, headers=())) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert one.receive(b"hi", 0.0) == (Data(stream=1, data=b"hi"), End(stream=1))


def test_an_answer_before_the_body_closes() -> None:
    one = server()
    one.receive(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", 0.0)
    assert b"connection: close" in one.send(ok(status=403, ends=True))
    one.send(End(stream=1))
    assert one.done
    assert one.receive(b"hiGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0.0) == ()


@pytest.mark.parametrize(
    ("request_line", "status", "expected"),
    [
        (b"HEAD", 200, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        (b"GET", 304, b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
        (b"GET", 204, b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
def test_responses_without_a_body(request_line: bytes, status: int, expected: bytes) -> None:
    one = server()
    one.receive(request_line + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 0.0)
    sent = one.send(ok(status=status, ends=True, headers=((b"content-length", b"5"),))) + one.send(End(stream=1))
    assert sent == expected
    client = asked(head(request_line))
    assert client.receive(sent, 0.0)[-1] == End(stream=1)
    assert client.reusable


def test_chunks_and_trailers_both_ways() -> None:
    client = Http1Client(now=0.0)
    sent = client.send(head(b"POST", ends=False, headers=((b"te", b"trailers"),)))
    sent += client.send(Data(stream=1, data=b"hello")) + client.send(Trailers(stream=1, headers=((b"sum", b"1"),)))
    sent += client.send(End(stream=1))
    one = server()
    events = one.receive(sent, 0.0)
    assert events[1:] == (Data(stream=1, data=b"hello"), Trailers(stream=1, headers=((b"sum", b"1"),)), End(stream=1))
    answer = one.send(ok()) + one.send(Data(stream=1, data=b"bye"))
    answer += one.send(Trailers(stream=1, headers=((b"grpc-status", b"0"), (b"content-length", b"9")))) + one.send(
        End(stream=1)
    )
    assert client.receive(answer, 0.0) == (
        ok(headers=()),
        Data(stream=1, data=b"bye"),
        Trailers(stream=1, headers=((b"grpc-status", b"0"),)),
        End(stream=1),
    )


def test_trailers_are_dropped_for_a_client_that_takes_none() -> None:
    one = server()
    one.receive(GET, 0.0)
    one.send(ok())
    one.send(Trailers(stream=1, headers=((b"a", b"b"),)))
    assert one.send(End(stream=1)) == b"0\r\n\r\n"


def test_forbidden_trailers_are_dropped() -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\nX-Forwarded-For: b\r\nx: y\r\n\r\n"
    assert server().receive(chunked, 0.0)[1:] == (Trailers(stream=1, headers=((b"x", b"y"),)), End(stream=1))


def test_a_websocket_is_a_tunnel_that_half_closes() -> None:
    one = server()
    (request,) = one.receive(WEBSOCKET + b"early", 0.0)
    assert isinstance(request, RequestHead)
    assert request.upgrade == b"websocket"
    assert request.headers == ((b"sec-websocket-key", b"k"),)
    client = Http1Client(now=0.0)
    assert b"connection: upgrade\r\nupgrade: websocket\r\n" in client.send(request)
    agreed = ok(status=101, headers=((b"sec-websocket-accept", b"p"),))
    answer = one.send(agreed)
    assert answer == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"sec-websocket-accept: p\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    )
    assert client.receive(answer + b"hi", 0.0) == (agreed, Data(stream=1, data=b"hi"))
    assert one.resume(0.0) == (Data(stream=1, data=b"early"),)
    assert client.send(Data(stream=1, data=b"up")) == b"up"
    assert one.send(Data(stream=1, data=b"down")) == b"down"
    assert one.receive_eof(0.0) == (End(stream=1),)
    assert not one.done
    assert one.send(Data(stream=1, data=b"more")) == b"more"
    one.send(End(stream=1))
    assert one.done
    client.send(End(stream=1))
    assert client.receive_eof(0.0) == (End(stream=1), Closed(clean=True))


def test_what_waits_for_a_tunnel_is_bounded() -> None:
    one = server()
    one.receive(WEBSOCKET, 0.0)
    assert one.want_read
    one.receive(b"x" * 65536, 0.0)
    assert not one.want_read
    one.send(ok(status=101))
    assert one.resume(0.0) == (Data(stream=1, data=b"x" * 65536),)
    assert one.want_read


def test_a_refused_websocket_leaves_an_ordinary_connection() -> None:
    one = server()
    one.receive(WEBSOCKET, 0.0)
    one.send(ok(status=403, ends=True))
    one.send(End(stream=1))
    assert one.resume(0.0) == (End(stream=1),)
    assert isinstance(one.receive(GET, 0.0)[0], RequestHead)


@pytest.mark.parametrize(
    "fields",
    [
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n",
        b"Upgrade: websocket\r\n",
        b"Upgrade: foo\r\nConnection: upgrade\r\n",
    ],
)
def test_other_upgrades_are_dropped(fields: bytes) -> None:
    one = server()
    (request, end) = one.receive(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n", 0.0)
    assert isinstance(request, RequestHead)
    assert (request.upgrade, request.headers, end) == (b"", (), End(stream=1))
    with pytest.raises(MisuseError):
        one.send(ok(status=101))


def test_connect_is_a_tunnel_only_when_granted() -> None:
    one = server()
    (request,) = one.receive(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nhello", 0.0)
    assert isinstance(request, RequestHead)
    assert (request.authority, request.path, request.ends) == (b"a:443", b"", False)
    one.send(ok(ends=False))
    assert one.resume(0.0) == (Data(stream=1, data=b"hello"),)


def test_a_half_closed_request_is_cancelled() -> None:
    one = server()
    one.receive(GET, 0.0)
    assert one.receive_eof(0.0) == (Reset(stream=1, reason=ResetReason.CANCELLED), Closed(clean=False))
    assert one.send(ok()) == b""


def test_the_end_between_requests_is_clean_and_within_a_head_is_not() -> None:
    assert server().receive_eof(0.0) == (Closed(clean=True),)
    one = server()
    one.receive(b"GET", 0.0)
    assert one.receive_eof(0.0) == (Closed(clean=False),)


def test_a_slow_head_is_answered_408() -> None:
    one = server()
    one.receive(b"GET", 5.0)
    assert one.expire(9.9) == ()
    assert one.deadline(9.0) == 1.0
    assert Refused(stream=1, status=408, fault=Fault.TIMEOUT) in one.expire(10.0)
    assert one.output().startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed_silently_and_a_busy_one_not() -> None:
    one = server()
    one.receive(GET, 0.0)
    assert one.deadline(99.0) is None
    one.send(ok(ends=True))
    one.send(End(stream=1))
    one.resume(100.0)
    assert one.deadline(100.0) == 3600.0
    one.receive(b"GET", 200.0)
    assert one.deadline(200.0) == 10.0
    assert one.expire(205.0) == ()


def test_draining_closes_after_the_current_exchange() -> None:
    one = server()
    one.receive(GET + GET, 0.0)
    one.drain()
    assert b"connection: close" in one.send(ok(ends=True))
    one.send(End(stream=1))
    assert one.resume(0.0) == (Closed(clean=True),)


@pytest.mark.parametrize(
    "headers",
    [
        ((b"x", b"a\r\nb: c"),),
        ((b"x\r\ny", b"a"),),
        ((b"x", b"a\nb"),),
        ((b"x", b"a\0"),),
        ((b"x y", b"a"),),
        ((b"X", b"a"),),
    ],
)
def test_what_would_split_a_message_is_not_sent(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    one = server()
    one.receive(GET, 0.0)
    with pytest.raises(MisuseError):
        one.send(ok(headers=headers))
    with pytest.raises(MisuseError):
        Http1Client(now=0.0).send(head(headers=headers))


def test_a_target_that_would_split_a_request_is_not_sent() -> None:
    for path, authority in ((b"/ HTTP/1.1\r\nx: y", b"a"), (b"/", b"a\r\nx: y"), (b"/a b", b"a"), (b"", b"a")):
        with pytest.raises(MisuseError):
            Http1Client(now=0.0).send(
                RequestHead(
                    stream=1, method=b"GET", scheme=b"http", authority=authority, path=path, headers=(), ends=True
                )
            )
