"""Hostile requests and floods, sent to a running sidecar and to a real Envoy: nothing of them reaches the application."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hostile import BREACHES, FLOODS, HOSTILE
from http2_traces import FIELDS, HELLO, codes, headers
from meshc.engine.connections import ClosedBeforeAnswerError
from meshc.engine.exchange import Peer
from proxy_lab import Lab

pytestmark = pytest.mark.slow

SHOP = """mesh shop { mtls strict }
namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http }
service plain in shop { port 80 http }
access cart { allow anyone }
access plain { allow anyone }
authenticate plain { mtls off }
"""
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

Told = dict[str, tuple[int | None, bool]]


async def send_all(peer: Peer, lab: Lab) -> Told:
    """The status that each hostile request got, and whether its connection was closed."""
    slots = asyncio.Semaphore(12)

    async def send(name: str, data: bytes) -> tuple[str, tuple[int | None, bool]]:
        async with slots:
            came, closed = await lab.talk(peer, data + SMUGGLED, timeout_s=2.0)
        first = came.partition(b"\r\n")[0].split(b" ")
        return name, (int(first[1]) if came.startswith(b"HTTP/1.1 ") else None, closed)

    return dict(await asyncio.gather(*(send(name, data) for name, data, _, _ in HOSTILE)))


@pytest.mark.parametrize("service", ["cart", "plain"])
def test_hostile_requests_end_at_the_sidecar(run: Callable[..., None], service: str) -> None:
    async def scenario(lab: Lab) -> None:
        told = await send_all(lab.inbound(service, "web" if service == "cart" else None), lab)
        # TLS and HTTP/2 are known by their first bytes; neither is spoken on.
        expected = {name: (status, True) for name, _, status, _ in HOSTILE}
        assert told == expected | {"tls hello": (None, True), "33 preface": (None, True)}
        assert lab.stubs[service].requests == []
        assert (await lab.get(lab.inbound("cart", "web"))).status == 200

    run(SHOP, scenario)


TAKEN_BY_ENVOY = frozenset(
    {
        *("01 bare lf", "01 one bare lf", "02 folded line", "02 folded by tab", "03 bare cr", "03 cr cr lf"),
        *(
            "18 empty host",
            "20 host with port 0",
            "20 host with port 70000",
            "25 absolute, other host",
            "25 absolute, user",
        ),
        *("26 two leading crlf", "26 leading lf", "27 chunk with space", "29 nul in extension", "29 long extension"),
        *("30 lf after data", "31 17 hex digits", "32 folded trailer", "32 too many trailers"),
        *("two spaces", "tab in line", "long target"),
    }
)
"""What Envoy 1.40 takes for a request, and the reference proxy does not."""

WAITED_FOR = "07 cl 19 digits"
"""Envoy waits for so large a body."""

WORDED_OTHERWISE = {
    "13 te twice": 501,
    "15 te on 1.0": 426,
    "21 http/1.2": 426,
    "22 http/9.9": 426,
    "22 http/0.9": 426,
    "33 preface": None,
    "endless target": 431,
}
"""What both refuse, Envoy with another status; the preface begins HTTP/2."""


def test_envoy_takes_or_refuses_what_is_known(run: Callable[..., None], tmp_path: Path) -> None:
    file = tmp_path / "told.json"

    async def scenario(lab: Lab) -> None:
        file.write_text(json.dumps(await send_all(lab.inbound("cart", "web"), lab)), encoding="utf-8")

    run(SHOP, scenario, "envoy")
    told = {name: status for name, (status, _) in json.loads(file.read_text(encoding="utf-8")).items()}
    assert {name for name, status in told.items() if status == 200} == TAKEN_BY_ENVOY
    ours = {name: status for name, _, status, _ in HOSTILE} | WORDED_OTHERWISE | {WAITED_FOR: None}
    assert all(told[name] == status for name, status in ours.items() if name not in TAKEN_BY_ENVOY), told


async def flood(lab: Lab, peer: Peer, data: bytes) -> tuple[bytes, bool]:
    try:
        wire = await lab.open(peer, "h2")
    except ClosedBeforeAnswerError:
        return b"", True
    async with wire:
        await wire.send(data)
        return await wire.rest(2.0)


@pytest.mark.parametrize("service", ["cart", "plain"])
def test_floods_are_cut_and_others_are_served(run: Callable[..., None], service: str) -> None:
    async def scenario(lab: Lab) -> None:
        peer = lab.inbound(service, "web" if service == "cart" else None)
        for name, data, _ in FLOODS:
            opened = headers(FIELDS, ends=False) if name == "goaway" else b""
            came, closed = await flood(lab, peer, HELLO + opened + data)
            assert closed, name
            assert 11 in codes(came), (name, codes(came))  # ENHANCE_YOUR_CALM
            assert (await lab.get(lab.inbound("cart", "web"))).status == 200
        assert lab.sidecar(service).requests == 0

    run(SHOP, scenario)


def test_breaches_of_http2_end_their_connection(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        for index, data in enumerate(BREACHES[1:]):
            _, closed = await flood(lab, lab.inbound("cart", "web"), data)
            assert closed, index
        assert lab.stubs["cart"].requests == []
        assert lab.sidecar("cart").requests == 0

    run(SHOP, scenario)
