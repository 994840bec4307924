"""Laws of HTTP/1.1: where bytes are cut means nothing, no bytes make either side fail, and what one side sends the other receives."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http1_traces import GET, WEBSOCKET, asked, head, merged, ok, server
from meshc_proxy.wire.events import (
    Data,
    End,
    Event,
)
from meshc_proxy.wire.http1_client import Http1Client

STREAMS = [
    GET + GET,
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nt: u\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world" + GET,
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    WEBSOCKET + b"bytes",
]


def play(data: bytes, cuts: list[int]) -> tuple[list[Event], bytes]:
    """Everything that a server sees of a stream cut at these places, each request answered as soon as it is complete."""
    one = server()
    events: list[Event] = []
    sent = b""
    places = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(places):
        pending = list(one.receive(data[start:end], 0.0))
        while pending:
            events += pending
            for event in pending:
                if isinstance(event, End):
                    sent += one.send(ok(event.stream, ends=True)) + one.send(End(stream=event.stream))
            pending = list(one.resume(0.0))
        sent += one.output()
    return merged(events), sent


@pytest.mark.parametrize("data", STREAMS)
def test_every_cut_in_two_means_the_same(data: bytes) -> None:
    whole = play(data, [])
    assert all(play(data, [cut]) == whole for cut in range(len(data)))
    assert play(data, list(range(len(data)))) == whole


@settings(max_examples=100, deadline=None)
@given(
    data=st.sampled_from(STREAMS),
    cuts=st.lists(st.integers(0, 150), max_size=12),
    garbage=st.binary(max_size=4),
    place=st.integers(0, 120),
)
def test_cuts_mean_nothing_even_with_garbage_in_between(
    data: bytes, cuts: list[int], garbage: bytes, place: int
) -> None:
    spoiled = data[:place] + garbage + data[place:]
    assert play(spoiled, [cut for cut in cuts if cut < len(spoiled)]) == play(spoiled, [])


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200))
def test_no_bytes_make_either_side_fail(data: bytes) -> None:
    server().receive(data, 0.0)
    asked(head()).receive(data, 0.0)
    asked(head()).receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data, 0.0)


FIELDS = st.lists(
    st.tuples(
        st.from_regex(rb"x-[a-z]{1,8}", fullmatch=True), st.from_regex(rb"([!-~]([ -~]{0,8}[!-~])?)?", fullmatch=True)
    ),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(fields=FIELDS, body=st.lists(st.binary(min_size=1, max_size=20), max_size=4), known=st.booleans())
def test_what_a_client_sends_a_server_receives(
    fields: list[tuple[bytes, bytes]], body: list[bytes], *, known: bool
) -> None:
    headers = tuple(fields) + (((b"content-length", b"%d" % len(b"".join(body))),) if known else ())
    request = head(b"POST", ends=known and not body, headers=headers)
    client, one = Http1Client(now=0.0), server()
    sent = (
        client.send(request)
        + b"".join(client.send(Data(stream=1, data=part)) for part in body)
        + client.send(End(stream=1))
    )
    assert merged(list(one.receive(sent, 0.0))) == merged(
        [request, *(Data(stream=1, data=part) for part in body), End(stream=1)]
    )
    answer = ok(headers=headers, ends=known and not body)
    sent = one.send(answer) + b"".join(one.send(Data(stream=1, data=part)) for part in body) + one.send(End(stream=1))
    assert merged(list(client.receive(sent, 0.0))) == merged(
        [answer, *(Data(stream=1, data=part) for part in body), End(stream=1)]
    )
