"""Places that key sets come from and that answer anything but a set: each is a problem that is told, and none ends the fetching."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from meshc_proxy.io.key_sets import LARGEST_SET, KeysError, fetch_keys
from meshc_proxy.policy.tokens import KeySet
from meshc_proxy.wire.tls import Tls

OK = b"HTTP/1.1 200 OK\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWERS = {
    "nothing": b"",
    "no http": b"XYZ\r\n\r\n",
    "a line without end": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000,
    "a chunk that is none": CHUNKED + b"zz\r\n",
    "half a chunk": CHUNKED + b"10\r\nab",
    "less than it says": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab",
    "too many lines": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    "too deep": OK + b"[" * 100_000,
    "a key too deep": OK + b'{"keys":[{"kty":' + b"[" * 5000 + b"]" * 5000 + b"}]}",
    "a key that is a number": OK + b'{"keys":[1]}',
    "a name that is a list": OK + b'{"keys":[{"kty":"RSA","kid":[1],"n":"AQAB","e":"AQAB"}]}',
    "a point off its curve": OK + b'{"keys":[{"kty":"EC","crv":"P-256","x":"%b","y":"%b"}]}' % (b"A" * 43, b"B" * 43),
    "no text": OK + b"\xff\xfe",
    "too large": OK + b" " * (LARGEST_SET + 1),
    "elsewhere": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "not found": b'HTTP/1.1 404 Not Found\r\nContent-Length: 11\r\n\r\n{"keys":[]}',
}


def secure(host: str) -> Tls:
    raise AssertionError(host)


async def fetched(
    handle: Callable[[asyncio.StreamWriter], Awaitable[None]], *, within_s: float = 5.0
) -> tuple[KeySet, bytes]:
    """The set that a server gives, and what it was asked."""
    asked = b""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        try:
            asked = await reader.readuntil(b"\r\n\r\n")
            await handle(writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        return await fetch_keys(f"http://127.0.0.1:{port}/keys?v=1", secure, within_s=within_s), asked
    finally:
        server.close()


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_set_is_told(name: str) -> None:
    async def handle(writer: asyncio.StreamWriter) -> None:
        writer.write(ANSWERS[name])
        await writer.drain()

    with pytest.raises(KeysError):
        asyncio.run(fetched(handle))


def test_an_answer_that_drips_is_given_up() -> None:
    async def handle(writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    began = time.monotonic()
    with pytest.raises(KeysError, match="no answer in time"):
        asyncio.run(fetched(handle, within_s=0.2))
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "http://", "http://[::", "http://a:99999/", "http://a b/", "http://127.0.0.1:1/é", "x"],
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(KeysError):
        asyncio.run(fetch_keys(url, secure))


def test_a_set_is_taken() -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    key = {**jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True), "kid": "one"}
    content = json.dumps({"keys": [key]}).encode()

    async def handle(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))
        await writer.drain()

    keys, asked = asyncio.run(fetched(handle))
    assert list(keys.named) == ["one"]
    assert asked.startswith(b"GET /keys?v=1 HTTP/1.1\r\nhost: 127.0.0.1:")
