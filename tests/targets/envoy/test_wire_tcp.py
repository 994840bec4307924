"""Settings of tcp ports: how many connections, how long in silence, how long to connect, and to which endpoints."""

import asyncio
import socket
import time
from collections import Counter
from typing import Final

import pytest

from envoy_lab import Lab, RunLab
from envoy_wire import PLAIN, eventually, full_queue
from meshc.engine.connections import Connector, Streams
from meshc.engine.exchange import Greeted, Line, Peer
from meshc.engine.stubs import BANNER

pytestmark = pytest.mark.slow

STREAMS: Final = (
    PLAIN
    + """
service cart in shop
service ledger in plain { port 5432 tcp endpoint "10.0.4.20:15010" }
service quiet in inside { port 5432 tcp endpoint "10.0.0.30:15010" }
service loud in inside { port 5432 tcp endpoint "10.0.0.31:15010" }
service deaf in plain { port 5432 tcp endpoint "10.0.4.21:15010" }
service pair in plain { port 5432 tcp endpoint "10.0.4.22:15010" endpoint "10.0.4.23:15010" }
traffic ledger { circuit-breaker { connections 2 } }
traffic quiet { idle-timeout 400ms }
traffic deaf { connect-timeout 300ms }
traffic pair { outlier-detection { consecutive-5xx 2 interval 100ms ejection 2s max-ejected 50% } }
"""
)


def leads_to(lab: Lab, destination: str) -> Peer:
    return lab.outbound("cart", lab.tcp_port(f"{destination}:5432"))


async def greeted(lab: Lab, destination: str) -> Streams:
    """An open connection to a stub, which has said who it is and echoed a byte."""
    streams = await Connector().connect(leads_to(lab, destination), ())
    streams.writer.write(b"x")
    assert (await streams.reader.readline()).startswith(BANNER)
    assert await streams.reader.readexactly(1) == b"x"
    return streams


def test_connections(run_lab: RunLab) -> None:
    """What is over the bound is closed at once; a place that gets free is taken again."""

    async def scenario(lab: Lab) -> None:
        first, second = await greeted(lab, "plain/ledger"), await greeted(lab, "plain/ledger")
        assert not isinstance(await lab.send(Line(), leads_to(lab, "plain/ledger")), Greeted)
        first.writer.close()

        async def has_room() -> bool:
            return isinstance(await lab.send(Line(), leads_to(lab, "plain/ledger")), Greeted)

        await eventually(has_room)
        second.writer.write(b"still here")
        assert await second.reader.readexactly(10) == b"still here"

    run_lab(STREAMS, scenario)


def test_silence(run_lab: RunLab) -> None:
    """Silence ends a connection where the program says so, and not where bytes keep coming or nothing is said."""

    async def scenario(lab: Lab) -> None:
        quiet, busy, free = [await greeted(lab, f"inside/{name}") for name in ("quiet", "quiet", "loud")]
        for _ in range(5):
            await asyncio.sleep(0.2)
            busy.writer.write(b"x")
            assert await busy.reader.readexactly(1) == b"x"
        assert await quiet.reader.read() == b""
        free.writer.write(b"x")
        assert await free.reader.readexactly(1) == b"x"

    run_lab(STREAMS, scenario)


def test_endpoints_that_fail(run_lab: RunLab) -> None:
    """A silent endpoint is given up in time; one that refuses is put aside."""

    async def scenario(lab: Lab) -> None:
        await lab.stop("10.0.4.21")
        with socket.socket() as listener, full_queue(listener, ("10.0.4.21", 15010)):
            begun = time.monotonic()
            assert not isinstance(await lab.send(Line(), leads_to(lab, "plain/deaf")), Greeted)
            assert 0.25 <= time.monotonic() - begun < 2.5

        await lab.stop("10.0.4.22")

        async def is_aside() -> bool:
            outcomes = [await lab.send(Line(), leads_to(lab, "plain/pair")) for _ in range(8)]
            found = Counter(one.served_by if isinstance(one, Greeted) else None for one in outcomes)
            return found == {"10.0.4.23": 8}

        await eventually(is_aside)

    run_lab(STREAMS, scenario)
