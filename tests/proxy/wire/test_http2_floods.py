"""HTTP/2 against hostile peers: floods, bombs, breaches of the protocol, responses that may not pass."""

import struct

import pytest
from h2.errors import ErrorCodes
from hpack import Encoder

from hostile import BREACHES, FLOODS
from http2_traces import FIELDS, HELLO, SETTINGS, codes, connected, frame, headers, only, request, server
from meshc_proxy.wire.events import (
    Closed,
    Data,
    Fault,
    Headers,
    MisuseError,
    Refused,
    RequestHead,
    Reset,
    ResetReason,
    ResponseHead,
)
from meshc_proxy.wire.frames import PREFACE, Kind
from meshc_proxy.wire.http2_sides import Http2Client
from meshc_proxy.wire.limits import Http2Limits


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
