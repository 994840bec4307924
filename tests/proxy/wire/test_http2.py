"""HTTP/2 connections as traces, against each other and against hostile frames; whole and byte by byte."""

import random
import struct
from itertools import pairwise
from typing import TypeVar

import pytest
from h2.errors import ErrorCodes
from hpack import Encoder
from hyperframe.frame import GoAwayFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from meshc_proxy.wire.events import (
    Closed,
    Data,
    End,
    Event,
    Fault,
    GoAway,
    Headers,
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
from meshc_proxy.wire.frames import PREFACE, FrameCutter, Kind
from meshc_proxy.wire.http2_sides import Http2Client, Http2Server
from meshc_proxy.wire.limits import HeadLimits, Http2Limits

T = TypeVar("T")


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


SETTINGS = frame(Kind.SETTINGS)
HELLO = PREFACE + SETTINGS
FIELDS = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")]


def headers(fields: list[tuple[bytes, bytes]], stream: int = 1, *, ends: bool = True) -> bytes:
    """A HEADERS frame that leaves no trace in the HPACK table."""
    encoder = Encoder()
    encoder.header_table_size = 0
    block = encoder.encode([(name, value, True) for name, value in fields], huffman=False)
    return frame(Kind.HEADERS, 0x4 | int(ends), stream, block)


def server(limits: Http2Limits | None = None) -> Http2Server:
    return Http2Server(scheme=b"http", now=0.0, limits=limits)


def only(events: tuple[Event, ...] | list[Event], kind: type[T]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]


def request(
    client: Http2Client, method: bytes = b"GET", *, ends: bool = True, fields: Headers = (), upgrade: bytes = b""
) -> RequestHead:
    return RequestHead(
        stream=client.next_stream,
        method=method,
        scheme=b"http",
        authority=b"a",
        path=b"/",
        headers=fields,
        ends=ends,
        upgrade=upgrade,
    )


def connected(limits: Http2Limits | None = None) -> tuple[Http2Client, Http2Server]:
    client, one = Http2Client(now=0.0, limits=limits), server(limits)
    for _ in range(2):
        one.receive(client.output(), 0.0)
        client.receive(one.output(), 0.0)
    return client, one


def codes(output: bytes) -> list[int]:
    """The error codes of the GOAWAY frames in some output."""
    cutter = FrameCutter(expects_preface=False, limits=Http2Limits())
    cut = list(cutter.cut(SETTINGS + output))
    return [struct.unpack(">I", one.payload[4:8])[0] for one in cut if one.kind == Kind.GOAWAY]


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


def test_cookies_are_joined() -> None:
    events = server().receive(HELLO + headers([*FIELDS, (b"cookie", b"a=b"), (b"cookie", b"c=d")]), 0.0)
    (head,) = only(events, RequestHead)
    assert head.headers == ((b"cookie", b"a=b; c=d"),)


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
    ("lower-case method", [(b":method", b"get"), *FIELDS[1:]]),
    ("method with blank", [(b":method", b"GET /x"), *FIELDS[1:]]),
    ("user in authority", [*FIELDS[:2], (b":authority", b"u@a"), FIELDS[3]]),
    ("path in authority", [*FIELDS[:2], (b":authority", b"a/b"), FIELDS[3]]),
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


def rapid_resets(count: int) -> bytes:
    rst = struct.pack(">I", ErrorCodes.CANCEL)
    return b"".join(headers(FIELDS, 2 * i + 1) + frame(Kind.RST_STREAM, 0, 2 * i + 1, rst) for i in range(count))


FLOODS = [
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


@pytest.mark.parametrize(("name", "data", "fault"), FLOODS, ids=[row[0] for row in FLOODS])
def test_floods_are_cut(name: str, data: bytes, fault: Fault) -> None:
    one = server(Http2Limits(streams=300))
    if name == "goaway":
        one.receive(HELLO + headers(FIELDS, ends=False), 0.0)
        events = one.receive(data, 0.0)
    else:
        events = one.receive(HELLO + data, 0.0)
    assert Refused(stream=0, status=400, fault=fault) in events
    assert events[-1] == Closed(clean=False)
    assert codes(one.output()) == [ErrorCodes.ENHANCE_YOUR_CALM]
    assert one.receive(headers(FIELDS, 999), 0.0) == ()
    assert one.output() == b""


def test_continuation_without_bytes_is_cut() -> None:
    one = server()
    events = one.receive(HELLO + frame(Kind.HEADERS, 0, 1, b"\x82") + frame(Kind.CONTINUATION, 0, 1) * 100, 0.0)
    assert events[-1] == Closed(clean=False)


def test_an_hpack_bomb_is_cut() -> None:
    """One large entry of the table, named again and again: few bytes, many headers."""
    encoder = Encoder()
    block = encoder.encode([*FIELDS, (b"x-bomb", b"a" * 3900)]) + b"\xbe" * 5000
    one = server()
    events = one.receive(HELLO + frame(Kind.HEADERS, 0x5, 1, block), 0.0)
    assert only(events, RequestHead) == []
    assert one.done


def test_budgets_refill_with_time() -> None:
    one = server()
    one.receive(HELLO, 0.0)
    for second in range(1, 60):
        assert only(one.receive(frame(Kind.PING, 0, 0, b"12345678") * 19, float(second)), Refused) == []
        one.output()
    assert not one.done


def test_window_updates_for_what_we_send_are_no_flood() -> None:
    one = server(Http2Limits(control_frames=5))
    one.receive(HELLO + headers(FIELDS), 0.0)
    one.send(ResponseHead(stream=1, status=200, headers=()))
    for _ in range(300):
        one.send(Data(stream=1, data=b"x" * 10))
        one.receive(
            frame(Kind.WINDOW_UPDATE, 0, 1, b"\0\0\0\x0a") * 3 + frame(Kind.WINDOW_UPDATE, 0, 0, b"\0\0\0\x0a"), 0.0
        )
    assert not one.done


def test_a_peer_that_reads_nothing_is_cut() -> None:
    one = server(Http2Limits(output_bytes=1000, control_frames=10**6))
    one.receive(HELLO, 0.0)
    ping = frame(Kind.PING, 0, 0, b"12345678")
    one.receive(ping * 30, 0.0)
    assert not one.want_read
    events = one.receive(ping * 60, 0.0)
    assert Refused(stream=0, status=400, fault=Fault.OUTPUT_FLOOD) in events


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


@pytest.mark.parametrize("data", BREACHES, ids=[str(index) for index in range(len(BREACHES))])
def test_breaches_of_the_protocol_end_the_connection(data: bytes) -> None:
    one = server()
    events = one.receive(data, 0.0)
    assert only(events, Refused)
    assert events[-1] == Closed(clean=False)
    assert len(codes(one.output())) == 1


def test_idleness_begins_when_the_last_stream_has_ended() -> None:
    client, one = connected()
    one.receive(client.send(request(client)), 5.0)
    assert one.deadline(7000.0) is None
    one.send(ResponseHead(stream=1, status=200, headers=(), ends=True))
    assert one.deadline(7001.0) == 3599.0
    assert one.expire(11000.0) == (Closed(clean=True),)
    assert codes(one.output()) == [ErrorCodes.NO_ERROR]


def test_a_peer_cannot_make_our_table_of_headers_grow() -> None:
    one = server()
    one.receive(PREFACE + frame(Kind.SETTINGS, 0, 0, struct.pack(">HI", 1, 2**31)) + headers(FIELDS), 0.0)
    client = Http2Client(now=0.0)
    for index in range(500):
        stream = 2 * index + 1
        one.receive(headers(FIELDS, stream) if index else b"", 0.0)
        fields = ((b"x-many", b"%d" % index * 50),)
        one.send(ResponseHead(stream=stream, status=200, headers=fields, ends=True))
    assert one._h2.encoder.header_table._current_size <= 4096
    assert not client.done


def test_bytes_beyond_ascii_in_a_path_are_escaped() -> None:
    (head,) = only(server().receive(HELLO + headers([*FIELDS[:3], (b":path", b"/caf\xc3\xa9")]), 0.0), RequestHead)
    assert head.path == b"/caf%C3%A9"


def test_pushes_are_refused() -> None:
    client = Http2Client(now=0.0)
    client.send(request(client))
    events = client.receive(SETTINGS + frame(Kind.PUSH_PROMISE, 4, 1, b"\0\0\0\x02\x82"), 0.0)
    assert events[-1] == Closed(clean=False)


@pytest.mark.parametrize(
    "fields",
    [
        [(b":status", b"101")],
        [(b":status", b"20")],
        [(b":status", b"999")],
        [(b":status", b"abc")],
        [(b":status", b"200"), (b"x", b"y ")],
        [(b":status", b"200"), (b"connection", b"x")],
    ],
)
def test_malformed_responses_do_not_pass(fields: list[tuple[bytes, bytes]]) -> None:
    client = Http2Client(now=0.0)
    client.send(request(client))
    events = client.receive(SETTINGS + headers(fields), 0.0)
    assert only(events, ResponseHead) == []
    assert Reset(stream=1, reason=ResetReason.PROTOCOL) in events


@pytest.mark.parametrize("fields", [((b"x", b"a\r\nb"),), ((b"X", b"a"),), ((b":path", b"/"),), ((b"x", b" a"),)])
def test_what_is_no_header_is_not_sent(fields: Headers) -> None:
    client = Http2Client(now=0.0)
    with pytest.raises(MisuseError):
        client.send(request(client, fields=fields))


TRAFFIC = (
    HELLO
    + headers(FIELDS, 1, ends=False)
    + frame(Kind.DATA, 8, 1, b"\x02hello\0\0")
    + frame(Kind.DATA, 1, 1)
    + headers([*FIELDS, (b"x_y", b"z")], 3)
    + headers(FIELDS, 5)
    + frame(Kind.RST_STREAM, 0, 5, struct.pack(">I", 8))
)


def play(data: bytes, cuts: list[int]) -> tuple[list[Event], bytes]:
    one = server()
    events: list[Event] = []
    output = b""
    places = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(places):
        events += one.receive(data[start:end], 0.0)
        output += one.output()
    return events, output


def test_every_cut_means_the_same() -> None:
    whole = play(TRAFFIC, [])
    assert all(play(TRAFFIC, [cut]) == whole for cut in range(len(TRAFFIC)))
    assert play(TRAFFIC, list(range(len(TRAFFIC)))) == whole
    assert whole[0][-1] == Reset(stream=5, reason=ResetReason.CANCELLED)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, len(TRAFFIC)), garbage=st.binary(max_size=20), cut=st.integers(0, 400))
def test_no_bytes_make_either_side_fail(place: int, garbage: bytes, cut: int) -> None:
    spoiled = TRAFFIC[:place] + garbage + TRAFFIC[place + len(garbage) :]
    assert play(spoiled, [min(cut, len(spoiled))]) == play(spoiled, [])
    client = Http2Client(now=0.0)
    client.send(request(client))
    client.receive(SETTINGS + spoiled[len(HELLO) :], 0.0)


@settings(max_examples=60, deadline=None)
@given(
    frames=st.lists(
        st.tuples(st.integers(0, 11), st.integers(0, 255), st.integers(0, 6), st.binary(max_size=12)), max_size=6
    )
)
def test_no_frames_make_either_side_fail(frames: list[tuple[int, int, int, bytes]]) -> None:
    data = b"".join(frame(*one) for one in frames)
    play(HELLO + headers(FIELDS, 1, ends=False) + data, [])
    client = Http2Client(now=0.0)
    client.send(request(client))
    client.receive(SETTINGS + data, 0.0)


@pytest.mark.parametrize("window", [1000, 5000, 20000, 65535])
def test_many_streams_at_once_lose_nothing(window: int) -> None:
    """Bodies go up in blocks as large as there is room for, and credit comes back late and in any order."""
    seed = random.Random(window)
    client, one = connected(Http2Limits(stream_window=window, connection_window=70000))
    left = {}
    for _ in range(5):
        head = request(client, b"POST", ends=False)
        one.receive(client.send(head), 0.0)
        left[head.stream] = seed.randrange(30000)
    wanted = dict(left)
    got = dict.fromkeys(left, 0)
    owed: list[tuple[int, int]] = []
    ended: set[int] = set()
    for _ in range(20000):
        if len(ended) == len(wanted):
            break
        stream = seed.choice(sorted(wanted))
        size = min(client.room(stream), left.get(stream, 0), seed.randint(1, 9000))
        sent = b""
        if size:
            sent = client.send(Data(stream=stream, data=b"x" * size))
            left[stream] -= size
        elif left.get(stream) == 0:
            sent = client.send(End(stream=stream))
            del left[stream]
        for event in one.receive(sent, 0.0):
            if isinstance(event, Data):
                got[event.stream] += event.size
                owed.append((event.stream, event.size))
            elif isinstance(event, End):
                ended.add(event.stream)
        if owed and seed.random() < 0.7:
            client.receive(one.consumed(*owed.pop(seed.randrange(len(owed)))), 0.0)
        client.receive(one.output(), 0.0)
        one.receive(client.output(), 0.0)
    assert got == wanted


def test_limits_are_those_given() -> None:
    one = server(Http2Limits(head=HeadLimits(header_lines=1)))
    assert only(one.receive(HELLO + headers([*FIELDS, (b"x", b"y"), (b"x", b"y")]), 0.0), Refused)[0].status == 431
