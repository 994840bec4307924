"""The first bytes of a connection: what is spoken, and where a TLS client wants to go."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshc_proxy.wire.frames import PREFACE
from meshc_proxy.wire.grammar import METHODS
from meshc_proxy.wire.hello import Hello, HelloError, read_hello
from meshc_proxy.wire.sniff import Spoken, sniff

FIRSTS = [
    (b"\x16\x03\x01\x02\x00", Spoken.TLS),
    (b"\x16\x02", Spoken.OPAQUE),
    (PREFACE + b"\0\0\0\4", Spoken.HTTP2),
    (b"GET / HTTP/1.1", Spoken.HTTP1),
    (b"PRI * HTTP/1.1", Spoken.HTTP1),
    (b"PROPFIND / HTTP/1.1", Spoken.HTTP1),
    (b"MKACTIVITY / HTTP/1.1", Spoken.HTTP1),
    (b"SSH-2.0-x\r\n", Spoken.OPAQUE),
    (b"get / HTTP/1.1", Spoken.OPAQUE),
    (b"GETS / HTTP/1.1", Spoken.OPAQUE),
    (b"\0", Spoken.OPAQUE),
    (b"\r\nGET / HTTP/1.1", Spoken.OPAQUE),
]


@pytest.mark.parametrize(("first", "spoken"), FIRSTS)
def test_what_is_spoken_does_not_depend_on_the_cut(first: bytes, spoken: Spoken) -> None:
    assert sniff(first) is spoken
    verdicts = [sniff(first[:size]) for size in range(len(first) + 1)]
    known = [verdict for verdict in verdicts if verdict is not None]
    assert set(known) == {spoken}
    assert verdicts[len(verdicts) - len(known) :] == known


@given(first=st.binary(min_size=24, max_size=40))
def test_24_bytes_are_enough(first: bytes) -> None:
    assert sniff(first) is not None


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_is_http(method: bytes) -> None:
    assert sniff(method + b" /") is Spoken.HTTP1


def client_hello(name: str | None = "Orders.shop", protocols: tuple[str, ...] = ("h2",)) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(list(protocols))
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def test_a_real_hello() -> None:
    assert read_hello(client_hello()) == Hello(server_name="orders.shop", protocols=(b"h2",))
    assert read_hello(client_hello(None, ())) == Hello(server_name=None, protocols=())


def test_a_hello_may_come_in_pieces() -> None:
    data = client_hello()
    assert all(read_hello(data[:size]) is None for size in range(len(data)))
    assert read_hello(data + b"more") == read_hello(data)
    body = data[5:]
    records = b"".join(b"\x16\x03\x01\x00\x07" + body[at : at + 7] for at in range(0, len(body) // 7 * 7, 7))
    rest = body[len(body) // 7 * 7 :]
    records += b"\x16\x03\x01" + len(rest).to_bytes(2) + rest if rest else b""
    assert read_hello(records) == read_hello(data)


def hello(extensions: bytes, tail: bytes = b"") -> bytes:
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\2\x13\x01" + b"\1\0" + len(extensions).to_bytes(2) + extensions + tail
    message = b"\1" + len(body).to_bytes(3) + body
    return b"\x16\x03\x01" + len(message).to_bytes(2) + message


def extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2) + len(content).to_bytes(2) + content


def names(*listed: tuple[int, bytes]) -> bytes:
    content = b"".join(bytes([kind]) + len(name).to_bytes(2) + name for kind, name in listed)
    return extension(0, len(content).to_bytes(2) + content)


def test_a_name_is_lower_cased_and_its_final_dot_goes() -> None:
    assert read_hello(hello(names((0, b"A.B.")))) == Hello(server_name="a.b", protocols=())


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x01\x00",
        b"\x16\x02\x01\x00\x05hello",
        b"\x16\x03\x01\x00\x05\x02\0\0\1\0",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
        hello(names((0, b"a"), (0, b"b"))),
        hello(names((0, b"a")) + names((0, b"b"))),
        hello(names((1, b"a"))),
        hello(names((0, b""))),
        hello(names((0, b"a\0.b"))),
        hello(names((0, b"a b"))),
        hello(names((0, b"a/b"))),
        hello(extension(0, b"\0")),
        hello(extension(0, b"\0\5\0\0\2a")),
        hello(extension(16, b"\0\3\2h")),
        hello(names((0, b"a")), b"tail"),
    ],
    ids=str,
)
def test_what_is_no_sound_hello_is_refused(data: bytes) -> None:
    with pytest.raises(HelloError):
        read_hello(data)


@given(place=st.integers(0, 600), garbage=st.binary(min_size=1, max_size=4))
def test_no_bytes_make_it_fail_otherwise(place: int, garbage: bytes) -> None:
    data = hello(names((0, b"orders.shop")) + extension(16, b"\0\3\2h2"))
    try:
        read_hello(data[:place] + garbage + data[place + len(garbage) :])
    except HelloError:
        return
