"""`meshc proxy` as a process: signals under load, a port that is taken, and no descriptors left."""

import asyncio
import os
import re
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from meshc.targets import find_target
from meshc.yaml_printer import print_yaml
from proxy_lab import Lab, Wire

pytestmark = pytest.mark.slow

SHOP = """namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http }
access cart { allow web }
"""
GET = b"GET / HTTP/1.1\r\nHost: cart.shop\r\n\r\n"
ADMIN = "127.9.0.1"


async def _spawn(lab: Lab, *more: str) -> asyncio.subprocess.Process:
    """The cart's proxy, on its way up."""
    placed = lab.scene.placed
    place = find_target("envoy").place
    assert place is not None
    documents = place(placed.mesh, placed.placement).emission.documents
    document = next(one for one in documents if "cart" in one.path)
    file = lab.directory / "cart.yaml"
    file.write_text("".join(print_yaml(one) for one in document.resources), encoding="utf-8")
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "meshc", "proxy", "--config", str(file), "--admin", f"{ADMIN}:15000", *more),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def proxied(lab: Lab, *more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process in the place of the cart's proxy, ready."""
    await lab.sidecar("cart").stop()
    process = await _spawn(lab, *more)
    try:
        async with asyncio.timeout(15):
            while True:
                try:
                    (await asyncio.open_connection(ADMIN, 15000))[1].close()
                    break
                except OSError:
                    assert process.returncode is None, await told(process)
                    await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def told(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    return (await process.stderr.read()).decode()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An application whose answers take a fifth of a second."""
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
        await asyncio.sleep(0.2)
        writer.write(b"0\r\n\r\n")


async def once(wire: Wire) -> bytes:
    """A whole answer of `drip`'s."""
    await wire.send(GET)
    return await wire.until(b"0\r\n\r\n")


def test_it_ends_with_what_it_has_begun(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.serve("cart", drip)
        async with proxied(lab, "--drain", "5") as process:
            peer = lab.inbound("cart", "web")
            wrong: list[str] = []
            whole = [0]

            async def ask_until_closed() -> None:
                async with await lab.open(peer) as wire:
                    while True:
                        try:
                            answer = await once(wire)
                        except EOFError as error:
                            # Between two answers it may close; within one it must not.
                            if error.args != (b"",):
                                wrong.append(str(error))
                            return
                        whole[0] += 1
                        if not answer.startswith(b"HTTP/1.1 200"):
                            wrong.append(str(answer))
                        if b"connection: close" in answer.lower():
                            return

            async with asyncio.TaskGroup() as group:
                for _ in range(8):
                    group.create_task(ask_until_closed())
                    await asyncio.sleep(0.03)
                await asyncio.sleep(0.3)
                process.send_signal(signal.SIGTERM)
            assert not wrong
            assert whole[0] >= 16
            assert await asyncio.wait_for(process.wait(), 5) == 0
            assert "draining" in await told(process)

    run(SHOP, scenario)


def test_a_second_signal_ends_at_once(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        async def never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await reader.read()
            await reader.read()

        await lab.serve("cart", never)
        async with proxied(lab, "--drain", "30") as process, await lab.open(lab.inbound("cart", "web")) as wire:
            await wire.send(GET)
            await asyncio.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            assert process.returncode is None
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 5) == 0
            assert time.monotonic() - began < 2
            assert await wire.rest() == (b"", True)

    run(SHOP, scenario)


def test_a_port_that_is_taken(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        process = await _spawn(lab)
        assert await asyncio.wait_for(process.wait(), 20) == 1
        complaint = await told(process)
        assert re.search(r"cannot listen on 127\.[0-9.]+:15\d\d\d: .*address already in use", complaint)
        assert "Traceback" not in complaint
        assert (await lab.get(lab.inbound("cart", "web"))).status == 200

    run(SHOP, scenario)


def _descriptors(process: asyncio.subprocess.Process) -> int:
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


def _cpu_s(process: asyncio.subprocess.Process) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_no_descriptors_left(run: Callable[..., None]) -> None:
    """It neither ends nor spins, serves whom it has, and takes new ones again once it can."""

    async def scenario(lab: Lab) -> None:
        async with proxied(lab) as process, await lab.open(lab.inbound("cart", "web")) as known:
            assert (await asked(known)).startswith(b"HTTP/1.1 200")
            used = _descriptors(process)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used + 8, used + 8))
            peer = lab.inbound("cart", "web")
            crowd = [await asyncio.open_connection(peer.address, peer.port) for _ in range(40)]
            await asyncio.sleep(0.3)
            before = _cpu_s(process)
            assert (await asked(known)).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(1.0)
            assert _cpu_s(process) - before < 0.4
            assert process.returncode is None
            for _, writer in crowd:
                writer.transport.abort()
            async with asyncio.timeout(8):
                assert (await lab.get(peer)).status == 200

    run(SHOP, scenario)


async def asked(wire: Wire) -> bytes:
    await wire.send(GET)
    head = await wire.until(b"\r\n\r\n")
    await wire.until(b"}")
    wire.seen = b""
    return head
