"""Orders to the admin endpoint that its owner did not give: whatever a browser shows may post to loopback."""

import asyncio

import pytest

from meshc.site import Address
from meshc_proxy.io.admin import Admin, Page, text_reply
from meshc_proxy.policy.replies import Reply

HEAD = b"POST /drain HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("lines", "status", "orders"),
    [(b"", b"200", 1), (b"Origin: https://evil.example\r\n", b"403", 0), (b"Origin: null\r\n", b"403", 0)],
)
def test_orders_from_browsers_are_refused(lines: bytes, status: bytes, orders: int) -> None:
    given: list[None] = []

    def drain() -> Reply:
        given.append(None)
        return text_reply(200, "draining\n")

    async def scenario() -> bytes:
        admin = Admin({b"/drain": Page(answer=drain, method=b"POST")})
        free = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = free.sockets[0].getsockname()[1]
        free.close()
        await free.wait_closed()
        await admin.start(Address(host="127.0.0.1", port=port))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + lines + b"\r\n")
        got = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3.0)
        writer.close()
        await admin.stop()
        return got

    assert asyncio.run(scenario()).split(b" ")[1] == status
    assert len(given) == orders
