"""Configurations and certificates that change while requests run, draining, and running out of descriptors."""

import asyncio
import resource
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import h2.events
import pytest

from envoy_lab import compile_mesh
from h2_wire import H2Wire
from meshc.engine.authority import Authority, Credentials
from meshc.engine.client import Client
from meshc.engine.exchange import Answered, Http1Request, Http2Request, Tls
from meshc.site import Address
from meshc_proxy.io.secrets import SecretsError
from meshc_proxy.io.setup import prepare
from meshc_proxy.io.sidecar import ListenError
from proxy_lab import Lab, open_descriptors

pytestmark = pytest.mark.slow

SHOP = """namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http }
access cart { allow web to GET|POST /any/** }
rate-limit cart { 3/h burst 3 to GET /any/rare }
"""
CLOSED = SHOP.replace("/any/**", "/other/**")
GET = Http1Request(method=b"GET", path=b"/any/x", host=b"cart.shop")
GET2 = Http2Request(method=b"GET", path=b"/any/x", authority=b"cart.shop")


async def reload(lab: Lab, service: str, program: str = SHOP) -> None:
    """Have a sidecar run the policy of another program, at the same place."""
    sidecar = lab.sidecar(service)
    meant = {(one.name, port.number): port for one in compile_mesh(program).workloads for port in one.ports}
    mesh = sidecar.setup.mesh
    workloads = tuple(
        replace(
            one,
            ports=tuple(
                replace(port, access=meant[one.name, port.number].access, limits=meant[one.name, port.number].limits)
                for port in one.ports
            ),
        )
        for one in mesh.workloads
    )
    await sidecar.reload(prepare(replace(mesh, workloads=workloads), sidecar.setup.site, sidecar.setup))


async def load(lab: Lab, over: asyncio.Event) -> tuple[int, list[object]]:
    """Calls through both sidecars, over connections that are kept, until told to stop: how many, and the failures."""
    count, failed = 0, []
    async with Client(timeout_s=5.0) as client:

        async def ask(message: Http1Request | Http2Request) -> None:
            nonlocal count
            while not over.is_set():
                outcome = await client.send(message, lab.outbound("web"))
                count += 1
                if not isinstance(outcome, Answered) or outcome.status != 200:
                    failed.append(outcome)

        await asyncio.gather(ask(GET), ask(GET), ask(GET2), ask(GET2))
    return count, failed


async def under_load(lab: Lab, act: Callable[[], Awaitable[None]]) -> None:
    """Do something while calls run, none of which may fail."""
    over = asyncio.Event()
    running = asyncio.create_task(load(lab, over))
    try:
        await asyncio.sleep(0.2)
        await act()
        await asyncio.sleep(0.2)
    finally:
        over.set()
    count, failed = await running
    assert not failed, failed[:3]
    assert count > 20


def test_a_hundred_reloads_fail_no_request_and_leave_nothing(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        async def act() -> None:
            for _ in range(50):
                await reload(lab, "cart")
                await reload(lab, "web")
                await asyncio.sleep(0.01)

        await under_load(lab, act)
        await lab.settle()
        before, tasks = open_descriptors(), len(asyncio.all_tasks())
        await under_load(lab, act)
        await lab.settle()
        await asyncio.sleep(0.3)
        assert open_descriptors() <= before + 4
        assert len(asyncio.all_tasks()) <= tasks + 12

    run(SHOP, scenario)


def test_requests_under_way_keep_the_policy_that_they_began_with(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        may = asyncio.Event()

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
                await may.wait()
                writer.write(b"lf")

        await lab.serve("cart", application)
        async with await lab.open(lab.inbound("cart", "web")) as wire:
            await wire.send(b"GET /any/x HTTP/1.1\r\nHost: a\r\n\r\n")
            await wire.until(b"ha")
            await reload(lab, "cart", CLOSED)
            assert (await lab.get(lab.inbound("cart", "web"), "/any/x")).status == 403
            may.set()
            assert await wire.until(b"lf") == b"lf"
            # The connection is old, its next request is not.
            await wire.send(b"GET /any/x HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 403 ")

    run(SHOP, scenario)


def test_limits_go_on_counting(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        told = []
        for _ in range(6):
            told.append((await lab.get(lab.inbound("cart", "web"), "/any/rare")).status)
            await reload(lab, "cart")
        assert told == [200, 200, 200, 429, 429, 429]

    run(SHOP, scenario)


def rotate(lab: Lab, service: str, own: Authority, trusted: bytes) -> None:
    """New certificates in a sidecar's directory."""
    workload = lab.workload(service)
    instance = lab.scene.placed.placement.instances[workload.namespace, service][0]
    directory = Path(instance.tls_directory)
    issued = own.issue_workload(workload.identity, directory / "new", "cert")
    shutil.move(issued.key, directory / "key.pem")
    shutil.move(issued.chain, directory / "cert.pem")
    (directory / f"{lab.mesh.trust_domain}.pem").write_bytes(trusted)


def test_certificates_and_authorities_rotate_under_load(run: Callable[..., None]) -> None:
    """Both are trusted, then all have new certificates, then the old authority goes: no request fails, old callers are refused."""

    async def scenario(lab: Lab) -> None:
        old = lab.scene.placed.authorities[lab.mesh.trust_domain]
        new = Authority.create(lab.mesh.trust_domain)
        both = old.bundle + new.bundle
        trust = lab.directory / "both.pem"
        trust.write_bytes(both)

        async def step(own: Authority, trusted: bytes) -> None:
            for service in ("cart", "web"):
                rotate(lab, service, own, trusted)
                await reload(lab, service)

        async def act() -> None:
            for own, trusted in ((old, both), (new, both), (new, new.bundle)):
                await step(own, trusted)
                await asyncio.sleep(0.2)

        def caller(own: Credentials) -> Tls:
            return Tls(trust=trust, credentials=own)

        stale = lab.credentials("web")
        fresh = new.issue_workload(lab.workload("web").identity, lab.directory / "fresh", "web")
        await under_load(lab, act)
        peer = lab.inbound("cart", None)
        assert not isinstance(await lab.send(GET, lab.at(peer, caller(stale))), Answered)
        assert isinstance(await lab.send(GET, lab.at(peer, caller(fresh))), Answered)

    run(SHOP, scenario)


def test_what_cannot_be_run_changes_nothing(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        sidecar = lab.sidecar("cart")
        setup = sidecar.setup
        taken = await asyncio.start_server(lambda _, writer: writer.close(), "127.9.9.9", 999)
        listen = (
            *setup.site.inbound[0].listen,
            Address(host="127.9.9.8", port=999),
            Address(host="127.9.9.9", port=999),
        )
        site = replace(setup.site, inbound=(replace(setup.site.inbound[0], listen=listen),))
        with pytest.raises(ListenError, match=r"cannot listen on 127\.9\.9\.9:999: "):
            await sidecar.reload(prepare(setup.mesh, site, setup))
        taken.close()
        assert sidecar.setup is setup
        assert Address(host="127.9.9.8", port=999) not in sidecar.addresses
        (Path(setup.site.tls_directory) / "cert.pem").write_text("nothing", encoding="utf-8")
        with pytest.raises(SecretsError):
            prepare(setup.mesh, setup.site, setup)
        assert (await lab.get(lab.inbound("cart", "web"), "/any/x")).status == 200

    run(SHOP, scenario)


def test_draining_finishes_what_has_begun(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        may = asyncio.Event()

        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if b"idle" in await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
            await may.wait()
            writer.write(b"lf")

        await lab.serve("cart", application)
        peer = lab.inbound("cart", "web")
        one, idle = await lab.open(peer), await lab.open(peer)
        streams = await lab.open(peer, "h2")
        async with one, idle, H2Wire(streams.reader, streams.writer) as client:
            await one.send(b"GET /any/x HTTP/1.1\r\nHost: a\r\n\r\n")
            await one.until(b"ha")
            stream = await client.request("/any/y")
            await client.event(h2.events.DataReceived, stream)
            await idle.send(b"GET /any/idle HTTP/1.1\r\nHost: a\r\n\r\n")
            await idle.until(b"\r\n\r\n")
            draining = asyncio.create_task(lab.sidecar("cart").drain(5.0))
            assert await idle.rest() == (b"", True)
            await client.event(h2.events.ConnectionTerminated)
            assert not draining.done()
            may.set()
            assert await one.rest() == (b"lf", True)
            assert await client.answer(stream) == (200, b"half")
            async with asyncio.timeout(3.0):
                await draining
        assert not isinstance(await lab.send(GET, peer), Answered)

    run(SHOP, scenario)


def test_draining_ends_what_takes_too_long(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        async def application(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
            await reader.read(1)

        await lab.serve("cart", application)
        async with await lab.open(lab.inbound("cart", "web")) as wire:
            await wire.send(b"GET /any/x HTTP/1.1\r\nHost: a\r\n\r\n")
            await wire.until(b"ha")
            async with asyncio.timeout(3.0):
                await lab.sidecar("cart").drain(0.5)
            assert (await wire.rest())[0] == b""

    run(SHOP, scenario)


def test_without_descriptors_nothing_is_accepted_and_later_it_is(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        peer = lab.inbound("cart", "web")
        assert (await lab.get(peer, "/any/x")).status == 200
        wires = [await lab.open(peer) for _ in range(3)]
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        # Clients and proxies are one process: room for a few of the clients, and for none of what they connect to.
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_descriptors() + 4, hard))
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        waiting = [
            asyncio.create_task(lab.talk(lab.at(peer, lab.outbound("web").security), b"", 0.5)) for _ in range(8)
        ]
        await asyncio.sleep(0.3)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        await asyncio.gather(*waiting, return_exceptions=True)
        for wire in wires:
            await wire.send(b"GET /any/x HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            wire.close()
        # The listener rests for a second after it has run out.
        await asyncio.sleep(1.2)
        assert (await lab.get(peer, "/any/x")).status == 200

    run(SHOP, scenario)
