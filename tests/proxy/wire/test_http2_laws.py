"""Laws of HTTP/2: where bytes are cut means nothing, no frames make either side fail, many streams lose nothing."""

import random
import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http2_traces import FIELDS, HELLO, SETTINGS, connected, frame, headers, only, request, server
from meshc_proxy.wire.events import (
    Data,
    End,
    Event,
    Refused,
    Reset,
    ResetReason,
)
from meshc_proxy.wire.frames import Kind
from meshc_proxy.wire.http2_sides import Http2Client
from meshc_proxy.wire.limits import HeadLimits, Http2Limits

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
