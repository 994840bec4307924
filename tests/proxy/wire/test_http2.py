"""HTTP/2 connections as traces: exchanges, credit, shutdown, and requests that may not pass."""

import struct

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame

from http2_traces import FIELDS, HELLO, codes, connected, frame, headers, only, request, server
from meshc_proxy.wire.events import (
    Closed,
    Data,
    End,
    Fault,
    GoAway,
    Informational,
    MisuseError,
    Refused,
    RequestHead,
    Reset,
    ResetReason,
    ResponseHead,
    Trailers,
    Writable,
)
from meshc_proxy.wire.frames import PREFACE, Kind
from meshc_proxy.wire.limits import Http2Limits


def test_a_request_and_its_response_with_trailers() -> None:
    client, one = connected()
    asked = request(client, b"POST", ends=False, fields=((b"te", b"trailers"), (b"content-type", b"application/grpc")))
    sent = client.send(asked) + client.send(Data(stream=1, data=b"hello")) + client.send(End(stream=1))
    got = one.receive(sent, 0.0)
    assert got == (
        RequestHead(
            stream=1,
            method=b"POST",
            scheme=b"http",
            authority=b"a",
            path=b"/",
            headers=((b"content-type", b"application/grpc"), (b"te", b"trailers")),
        ),
        Data(stream=1, data=b"hello"),
        End(stream=1),
    )
    answer = ResponseHead(stream=1, status=200, headers=((b"x", b"y"),))
    sent = (
        one.send(Informational(stream=1, status=103, headers=()))
        + one.send(answer)
        + one.send(Data(stream=1, data=b"bye"))
    )
    sent += one.send(Trailers(stream=1, headers=((b"grpc-status", b"0"),))) + one.send(End(stream=1))
    assert client.receive(sent, 0.0) == (
        Informational(stream=1, status=103, headers=()),
        answer,
        Data(stream=1, data=b"bye"),
        Trailers(stream=1, headers=((b"grpc-status", b"0"),)),
        End(stream=1),
    )


def test_trailers_only() -> None:
    client, one = connected()
    one.receive(client.send(request(client)), 0.0)
    answer = ResponseHead(stream=1, status=200, headers=((b"grpc-status", b"7"),), ends=True)
    assert client.receive(one.send(answer) + one.send(End(stream=1)), 0.0) == (answer, End(stream=1))


def test_each_line_of_cookies_is_judged_by_itself() -> None:
    events = server().receive(HELLO + headers([*FIELDS, (b"cookie", b"a=b"), (b"cookie", b"c=d")]), 0.0)
    (head,) = only(events, RequestHead)
    assert head.headers == ((b"cookie", b"a=b"), (b"cookie", b"c=d"))


def test_credit_is_returned_only_for_what_was_consumed() -> None:
    limits = Http2Limits(stream_window=65535, connection_window=65535)
    client, one = connected(limits)
    one.receive(client.send(request(client, b"POST", ends=False)), 0.0)
    sent = 0
    while room := client.room(1):
        block = min(room, 10000)
        one.receive(client.send(Data(stream=1, data=b"x" * block)), 0.0)
        sent += block
    assert sent == 65535
    assert client.receive(one.output(), 0.0) == ()
    assert client.room(1) == 0
    granted = client.receive(one.consumed(1, 40000), 0.0)
    assert Writable(stream=1) in granted
    assert client.room(1) == 40000
    client.receive(one.consumed(1, 10**9), 0.0)
    assert 40000 <= client.room(1) <= 65535
    with pytest.raises(MisuseError):
        client.send(Data(stream=1, data=b"x" * 70000))


def test_credit_for_data_of_a_stream_that_was_reset_comes_back_to_the_connection() -> None:
    limits = Http2Limits(stream_window=65535, connection_window=65535)
    client, one = connected(limits)
    for _ in range(4):
        head = request(client, b"POST", ends=False)
        one.receive(client.send(head), 0.0)
        for _ in range(3):
            one.receive(client.send(Data(stream=head.stream, data=b"x" * 20000)), 0.0)
        client.receive(one.send(Reset(stream=head.stream, reason=ResetReason.CANCELLED)), 0.0)
        late = client.send(Data(stream=head.stream, data=b"x"))
        assert late == b""
    assert not one.done


def test_one_blocked_stream_leaves_room_for_its_siblings() -> None:
    client, one = connected()
    for _ in range(2):
        one.receive(client.send(request(client, b"POST", ends=False)), 0.0)
    while room := client.room(1):
        one.receive(client.send(Data(stream=1, data=b"x" * min(room, 16384))), 0.0)
    assert client.room(1) == 0
    assert client.room(3) > 0


def test_streams_beyond_the_limit_are_refused_alone() -> None:
    one = server(Http2Limits(streams=2))
    events = one.receive(HELLO + b"".join(headers(FIELDS, stream) for stream in (1, 3, 5)), 0.0)
    assert [head.stream for head in only(events, RequestHead)] == [1, 3]
    assert not one.done
    assert frame(Kind.RST_STREAM, 0, 5, struct.pack(">I", ErrorCodes.REFUSED_STREAM)) in one.output()


def test_goaway_lets_old_streams_finish_and_gives_newer_ones_back() -> None:
    client, one = connected()
    for _ in range(2):
        one.receive(client.send(request(client)), 0.0)
    going = GoAwayFrame(0)
    going.last_stream_id = 1
    assert client.receive(going.serialize(), 0.0) == (
        GoAway(last_stream=1, clean=True),
        Reset(stream=3, reason=ResetReason.REFUSED),
    )
    assert client.free_streams == 0
    with pytest.raises(MisuseError):
        client.send(request(client))
    answer = ResponseHead(stream=1, status=200, headers=(), ends=True)
    assert client.receive(one.send(answer), 0.0) == (answer, End(stream=1), Closed(clean=True))


def test_draining_takes_two_steps() -> None:
    client, one = connected()
    one.receive(client.send(request(client)), 0.0)
    assert client.receive(one.drain(), 0.0) == (GoAway(last_stream=2**31 - 1, clean=True),)
    assert isinstance(one.receive(headers(FIELDS, 3), 0.0)[0], RequestHead)
    assert frame(Kind.GOAWAY, 0, 0, struct.pack(">II", 3, 0)) in one.drain()
    assert only(one.receive(headers(FIELDS, 5), 0.0), RequestHead) == []
    assert not one.done
    for stream in (1, 3):
        one.send(ResponseHead(stream=stream, status=200, headers=(), ends=True))
    assert one.resume(0.0) == (Closed(clean=True),)


def test_a_websocket_by_extended_connect() -> None:
    client, one = connected()
    assert client.takes_upgrades
    asked = request(client, ends=False, upgrade=b"websocket")
    (head,) = one.receive(client.send(asked), 0.0)
    assert head == asked
    answer = ResponseHead(stream=1, status=101, headers=())
    assert client.receive(one.send(answer) + one.send(Data(stream=1, data=b"hi")), 0.0) == (
        answer,
        Data(stream=1, data=b"hi"),
    )
    assert one.receive(client.send(End(stream=1)), 0.0) == (End(stream=1),)
    assert client.receive(one.send(Data(stream=1, data=b"more")), 0.0) == (Data(stream=1, data=b"more"),)


def test_the_end_of_the_connection_resets_what_is_open() -> None:
    client, one = connected()
    one.receive(client.send(request(client, b"POST", ends=False)), 0.0)
    assert one.receive_eof(0.0) == (Reset(stream=1, reason=ResetReason.CANCELLED), Closed(clean=False))
    assert client.receive_eof(0.0) == (Reset(stream=1, reason=ResetReason.TRUNCATED), Closed(clean=False))
    assert client.send(End(stream=1)) == b""


def test_a_peer_that_never_sends_its_settings_is_cut() -> None:
    one = server()
    one.output()
    one.receive(PREFACE, 5.0)
    assert one.deadline(9.0) == 1.0
    assert one.expire(9.5) == ()
    assert Refused(stream=0, status=400, fault=Fault.TIMEOUT) in one.expire(10.0)
    assert codes(one.output()) == [ErrorCodes.ENHANCE_YOUR_CALM]


def test_an_unfinished_header_block_is_cut() -> None:
    one = server()
    one.receive(HELLO, 0.0)
    assert one.deadline(0.0) == 3600.0
    one.receive(frame(Kind.HEADERS, 0, 1, b"\x82"), 100.0)
    assert one.deadline(100.0) == 10.0
    assert Closed(clean=False) in one.expire(110.0)


MALFORMED: list[tuple[str, list[tuple[bytes, bytes]]]] = [
    ("upper-case name", [*FIELDS, (b"X", b"y")]),
    ("connection", [*FIELDS, (b"connection", b"close")]),
    ("transfer-encoding", [*FIELDS, (b"transfer-encoding", b"chunked")]),
    ("te", [*FIELDS, (b"te", b"gzip")]),
    ("crlf in a value", [*FIELDS, (b"x", b"a\r\nb: c")]),
    ("nul in a value", [*FIELDS, (b"x", b"a\0")]),
    ("space in a name", [*FIELDS, (b"x y", b"a")]),
    ("trailing blank", [*FIELDS, (b"x-block", b"yes ")]),
    ("underscore", [*FIELDS, (b"x_block", b"yes")]),
    ("host differs", [*FIELDS, (b"host", b"b")]),
    ("two hosts", [*FIELDS, (b"host", b"a"), (b"host", b"a")]),
    ("no path", FIELDS[:3]),
    ("empty path", [*FIELDS[:3], (b":path", b"")]),
    ("relative path", [*FIELDS[:3], (b":path", b"a")]),
    ("fragment", [*FIELDS[:3], (b":path", b"/a#b")]),
    ("path with crlf", [*FIELDS[:3], (b":path", b"/ HTTP/1.1\r\nx: y")]),
    ("path with blank", [*FIELDS[:3], (b":path", b"/a b")]),
    ("nul in the path", [*FIELDS[:3], (b":path", b"/a%00")]),
    ("two paths", [*FIELDS, (b":path", b"/b")]),
    ("pseudo after header", [*FIELDS[:3], (b"x", b"y"), FIELDS[3]]),
    ("unknown pseudo", [*FIELDS, (b":x", b"y")]),
    ("status in a request", [*FIELDS, (b":status", b"200")]),
    ("no method", FIELDS[1:]),
    ("method with blank", [(b":method", b"GET /x"), *FIELDS[1:]]),
    ("method of the preface", [(b":method", b"PRI"), *FIELDS[1:]]),
    ("user in authority", [*FIELDS[:2], (b":authority", b"u@a"), FIELDS[3]]),
    ("path in authority", [*FIELDS[:2], (b":authority", b"a/b"), FIELDS[3]]),
    ("empty label in authority", [*FIELDS[:2], (b":authority", b"a.."), FIELDS[3]]),
    ("no authority", [*FIELDS[:2], FIELDS[3]]),
    ("scheme", [FIELDS[0], (b":scheme", b"file"), *FIELDS[2:]]),
    ("protocol without connect", [*FIELDS, (b":protocol", b"websocket")]),
    ("protocol", [(b":method", b"CONNECT"), *FIELDS[1:], (b":protocol", b"connect-udp")]),
    ("connect with a path", [(b":method", b"CONNECT"), *FIELDS[1:]]),
    ("two lengths", [*FIELDS, (b"content-length", b"5"), (b"content-length", b"6")]),
    ("bad length", [*FIELDS, (b"content-length", b"+5")]),
    ("length without body", [*FIELDS, (b"content-length", b"5")]),
    ("long target", [*FIELDS[:3], (b":path", b"/" + b"a" * 9000)]),
    ("many headers", [*FIELDS, *((b"x", b"y"),) * 101]),
]


@pytest.mark.parametrize(("name", "fields"), MALFORMED, ids=[row[0] for row in MALFORMED])
def test_malformed_requests_do_not_pass(name: str, fields: list[tuple[bytes, bytes]]) -> None:
    one = server()
    events = one.receive(HELLO + headers(fields), 0.0)
    assert End(stream=1) not in events
    assert only(events, Refused)
    assert not only(events, RequestHead)


def test_a_stream_that_is_refused_leaves_the_others() -> None:
    one = server()
    events = one.receive(HELLO + headers(FIELDS, 1) + headers([*FIELDS, (b"x_y", b"z")], 3) + headers(FIELDS, 5), 0.0)
    assert [head.stream for head in only(events, RequestHead)] == [1, 5]
    assert Refused(stream=3, status=400, fault=Fault.UNDERSCORE) in events
    assert not one.done
