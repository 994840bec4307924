"""Key sets from URLs: fetched by the proxy's own strict client, within a time and a size.

No redirect is followed, as Envoy follows none: a set is believed because of the place that the program names.
"""

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from meshc.site import Address
from meshc_proxy.io.channel import BrokenOffError
from meshc_proxy.io.exchange import Exchange, ExchangeEndedError
from meshc_proxy.io.pool import HTTP1, ConnectError, Endpoint, Pool
from meshc_proxy.io.secrets import SecretsError
from meshc_proxy.io.setup import Setup
from meshc_proxy.policy.tokens import KeySet
from meshc_proxy.wire.events import Data, End, MisuseError, RequestHead, Reset, ResponseHead
from meshc_proxy.wire.tls import Tls

REFRESH_S: Final = 300.0
"""How long a key set from a URL is used before it is asked for again, in seconds. Source: Envoy's default is 600."""

FETCH_S: Final = 5.0
"""How long a set may take, connection and all, in seconds."""

LARGEST_SET: Final = 1024 * 1024
"""In bytes."""

_PORTS: Final = {"http": 80, "https": 443}
_OK: Final = 200

Secure = Callable[[str], Tls]
"""Makes the TLS of a connection to a host, whose name is verified."""


class KeysError(Exception):
    """A key set that could not be had; the text says why."""


async def refresh(setup: Setup) -> list[str]:
    """Fetch the key sets that come from URLs; what could not be had, in words. Old ones stay."""

    def secure(host: str) -> Tls:
        return setup.secrets.call_out(host, (HTTP1,), None)

    problems = []
    for number, jwt in setup.remote_sets():
        try:
            setup.keys[number][jwt.name] = await fetch_keys(jwt.jwks, secure)
        except KeysError as error:
            problems.append(f"the keys of `{jwt.name}` cannot be had from {jwt.jwks}: {error}")
    return problems


async def fetch_keys(url: str, secure: Secure, *, within_s: float = FETCH_S) -> KeySet:
    """The set at a URL. Raises KeysError, whatever is there."""
    try:
        endpoint, head = _asked(url, secure)
        async with asyncio.timeout(within_s):
            return KeySet.read((await _fetch(endpoint, head)).decode("utf-8"))
    except TimeoutError:
        raise KeysError("no answer in time") from None
    except ExchangeEndedError:
        raise KeysError("the answer broke off") from None
    except (ConnectError, BrokenOffError, MisuseError, SecretsError, ValueError) as error:
        raise KeysError(str(error)) from error


def _asked(url: str, secure: Secure) -> tuple[Endpoint, RequestHead]:
    """Whom to ask, and what. Raises ValueError for what is no URL."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or parts.hostname is None:
        raise ValueError("not a URL of http or https")
    host = parts.hostname
    written = f"[{host}]" if ":" in host else host
    endpoint = Endpoint(
        address=Address(host=host, port=parts.port or _PORTS[parts.scheme]),
        protocols=(HTTP1,),
        secure=(lambda: secure(host)) if parts.scheme == "https" else None,
    )
    head = RequestHead(
        stream=1,
        method=b"GET",
        scheme=parts.scheme.encode("ascii"),
        authority=(written if parts.port is None else f"{written}:{parts.port}").encode("ascii"),
        path=((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode("ascii"),
        headers=((b"accept", b"application/json"),),
        ends=True,
    )
    return endpoint, head


async def _fetch(endpoint: Endpoint, head: RequestHead) -> bytes:
    pool = Pool(endpoint)
    try:
        exchange, driver = await pool.begin(head)
        try:
            return await _content(exchange)
        finally:
            driver.forget(exchange)
    finally:
        await pool.abort()


async def _content(exchange: Exchange) -> bytes:
    content = b""
    while not isinstance(event := await exchange.receive(), End):
        match event:
            case ResponseHead(status=status) if status != _OK:
                raise ValueError(f"the answer is {status}")
            case Data():
                content += event.data
                exchange.passed_on(event)
            case Reset():
                raise ExchangeEndedError
            case _:
                pass
        if len(content) > LARGEST_SET:
            raise ValueError("the answer is too large")
    return content
