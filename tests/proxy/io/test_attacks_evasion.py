"""Requests that say otherwise what a rule denies: whatever reaches the application is what was judged, and is not denied."""

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from hpack.hpack import encode_integer

from http2_traces import HELLO, frame
from proxy_lab import Lab

pytestmark = pytest.mark.slow

SHOP: Final = """mesh shop { mtls strict }
namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http }
access cart {
  deny anyone to /admin, /admin/**
  deny anyone to POST /read/**
  deny anyone when query "debug" == "1"
  deny anyone when host == "secret.shop"
  deny anyone when header "x-role" == "admin"
  allow anyone
}
"""
PATHS: Final = """/admin /admin/ //admin /./admin /x/../admin /%61dmin /admin%2f /admin%00 /admin?x /x/%2e%2e/admin /x/%2e./admin
/x/..%2fadmin /x\\..\\admin /\\admin /admin\\ /x/..;/admin /.;/admin /admin/. /admin/.. /admin/../admin /.. /../admin /%2e/admin
/.%61dmin ///x///..///admin//y /admin%5c /admin// /x/y/../../admin /%2E%2e/admin /a%dmin /admin/%2e%2e /admin/%2e%2e/x /%2fadmin
/x?/../admin /x#/../admin http://a/admin admin * /ok?debug=1 /ok?x&debug=1 /ok?debug=1&debug=0 /ok?&debug=1""".split()
HOSTS: Final = """secret.shop SECRET.shop secret.shop. secret.shop:80 secret.shop.:80 secret.shop: secret.shop.. secret.shop..:80
secret.shop:080 secret.shop:+80 secret.shop:99999 a@secret.shop secret.shop:80:80 [secret.shop] secret.shop:0 .secret.shop""".split()
LINES: Final = (
    *("x-role: admin", "x-role:admin", "X-ROLE: admin", "x-role: admin ", "x-role:\tadmin", "x-role : admin"),
    *("x-role: user\r\nx-role: admin", "x-role: admin\r\nx-role: user", "x_role: admin", "x-role:\r\nx-role: admin"),
    *(
        "connection: x-role\r\nx-role: admin",
        "x-a: b\r\n x-role: admin",
        "x-a: b\rx-role: admin",
        "x-a: b\nx-role: admin",
    ),
)
FORBIDDEN: Final = re.compile(
    rb"\A[A-Z]+ /admin(?:[/?; ]|$)|\APOST /read|\A\S+ \S+[?&]debug=1[& ]|^host: secret\.shop\.?\r|^x-role: admin\r",
    re.IGNORECASE | re.MULTILINE,
)
"""What the application must never see. Parameters of a path are a part of its segment: `/admin;x` is another path."""


def http1_requests() -> Iterator[bytes]:
    for path in PATHS:
        yield b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode()
    for host in HOSTS:
        yield b"GET /ok HTTP/1.1\r\nHost: %b\r\n\r\n" % host.encode()
        yield b"GET http://%b/ok HTTP/1.1\r\nHost: %b\r\n\r\n" % (host.encode(), host.encode())
    for line in LINES:
        yield b"GET /ok HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % line.encode()
    for method in (b"POST", b"post", b"POST\t", b"\r\nPOST", b" POST"):
        yield b"%b /read/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" % method
    for kind in (b"h2c", b"websocket", b"h2c, websocket", b"TLS/1.0"):
        yield b"GET /admin HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % kind
    denied = b"POST /admin HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    smuggled = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
    yield denied % len(smuggled) + smuggled
    yield b"GET /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled
    yield b"GET /ok HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled


def http2_requests() -> Iterator[list[tuple[bytes, bytes]]]:
    def fields(path: str = "/ok", host: str = "a", method: str = "GET") -> list[tuple[bytes, bytes]]:
        return [
            (b":method", method.encode()),
            (b":scheme", b"https"),
            (b":authority", host.encode()),
            (b":path", path.encode()),
        ]

    for path in (*PATHS, "/ok HTTP/1.1\r\nHost: a\r\n\r\nGET /admin", "/admin ", " /admin", ""):
        yield fields(path)
    for host in HOSTS:
        yield fields(host=host)
        yield [*fields(), (b"host", host.encode())]
    for method in ("POST", "GET /admin HTTP/1.1\r\nA:", "POST "):
        yield fields("/read/x", method=method)
    for name, value in (
        *((b"x-role", b"admin"), (b"X-Role", b"admin"), (b"x-role", b" admin"), (b"x-a", b"b\r\nx-role: admin")),
        *((b"x-a: b\r\nx-role", b"admin"), (b":path", b"/admin"), (b":method", b"POST"), (b"x-role", b"admin\0")),
    ):
        yield [*fields(), (name, value)]
    upgrade = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"https")]
    yield [*upgrade, (b":authority", b"a"), (b":path", b"/admin")]


def block(fields: list[tuple[bytes, bytes]]) -> bytes:
    """A header block as it is told, valid or not."""

    def text(content: bytes) -> bytes:
        return bytes(encode_integer(len(content), 7)) + content

    return b"".join(b"\x00" + text(name) + text(value) for name, value in fields)


def test_nothing_that_is_denied_reaches_the_application(run: Callable[..., None]) -> None:
    seen: list[bytes] = []

    async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

    async def scenario(lab: Lab) -> None:
        await lab.serve("cart", application)
        peer = lab.inbound("cart", "web")
        slots = asyncio.Semaphore(8)

        async def http1(data: bytes) -> None:
            async with slots:
                await lab.talk(peer, data, 0.3)

        async def http2(fields: list[tuple[bytes, bytes]]) -> None:
            async with slots, await lab.open(peer, "h2") as wire:
                # A tunnel is asked for without an end of the stream.
                flags = 0x4 if (b":protocol", b"websocket") in fields else 0x5
                await wire.send(HELLO + frame(1, flags, 1, block(fields)))
                await wire.rest(0.3)

        await asyncio.gather(*map(http1, http1_requests()), *map(http2, http2_requests()))
        assert [one for one in seen if FORBIDDEN.search(one)] == []
        assert len(seen) > 10  # what is not denied arrives

    run(SHOP, scenario)
