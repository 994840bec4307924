"""Reloads, rotations and drains under load: nobody fails who need not, and what is revoked is refused at once."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import h2.events
import pytest

from envoy_lab import compile_mesh
from h2_wire import H2Wire, status_of
from meshc.engine.authority import Authority
from meshc.engine.exchange import Answered, Http1Request
from meshc.ir import Mesh
from meshc.site import Address
from meshc_proxy.io.secrets import SecretsError
from meshc_proxy.io.setup import Setup, prepare
from meshc_proxy.io.sidecar import ListenError, Sidecar
from proxy_lab import Lab, Wire, open_descriptors

pytestmark = pytest.mark.slow

SHOP = """mesh shop { trust-domain "shop.example" }
namespace shop
service web in shop { port 80 http }
service cart in shop { port 80 http }
service feed in shop { port 80 http2 }
service slow in shop { port 80 http }
access cart { allow web }
access feed { allow web }
access slow { allow web }
"""
DENIED = SHOP.replace("access cart { allow web }", "access cart { allow web to GET /only }")
GET = b"GET / HTTP/1.1\r\nHost: cart.shop\r\n\r\n"
RELOADS = 100


# ---- what reloads ------------------------------------------------------------------------------------------------------


def remade(lab: Lab, service: str, mesh: Mesh | None = None) -> Setup:
    """What a service's proxy runs, made anew from its files."""
    old = lab.sidecar(service).setup
    return prepare(mesh or old.mesh, old.site, old)


def with_access(lab: Lab, service: str, program: str) -> Mesh:
    """The lab's mesh, with a service's access rules as another program has them."""
    wanted = next(one for one in compile_mesh(program).workloads if one.name == service)
    mesh = lab.sidecar(service).setup.mesh
    workloads = tuple(
        replace(one, ports=tuple(replace(port, access=wanted.ports[0].access) for port in one.ports))
        if one.name == service
        else one
        for one in mesh.workloads
    )
    return replace(mesh, workloads=workloads)


def files_of(lab: Lab, service: str) -> Path:
    return Path(lab.sidecar(service).setup.site.tls_directory)


def rotate(lab: Lab, service: str, authority: Authority) -> None:
    """Another certificate of the service, in its place."""
    own = files_of(lab, service)
    authority.issue_workload(lab.workload(service).identity, own, "cert").key.replace(own / "key.pem")


# ---- load --------------------------------------------------------------------------------------------------------------


async def ask(wire: Wire, request: bytes = GET) -> tuple[int, bytes]:
    """A request and its whole answer, on a connection that stays open: status and head."""
    await wire.send(request)
    return await finished(wire)


async def finished(wire: Wire) -> tuple[int, bytes]:
    head = await wire.until(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: (\d+)", head)
    if found is None:
        await wire.until(b"0\r\n\r\n")
        return int(head.split()[1]), head
    length = int(found[1])
    while len(wire.seen) < length:
        block = await wire.reader.read(65536)
        assert block, "cut within a body"
        wire.seen += block
    wire.seen = wire.seen[length:]
    return int(head.split()[1]), head


@dataclass(kw_only=True)
class Load:
    """Callers that never rest, until they are told; what went wrong, and how many requests did not."""

    lab: Lab
    caller: str = "web"
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    wrong: list[str] = field(default_factory=list)
    answered: int = 0
    streams: int = 0

    async def over_http1(self, host: str) -> None:
        request = GET.replace(b"cart.shop", host.encode())
        async with await self.lab.open(self.lab.outbound(self.caller)) as wire:
            while not self.stopping.is_set():
                status, head = await ask(wire, request)
                if status != 200:
                    self.wrong.append(f"{host}: {head!r}")
                self.answered += 1

    async def over_http2(self, host: str) -> None:
        async with await self.lab.open(self.lab.outbound(self.caller)) as raw, H2Wire(raw.reader, raw.writer) as wire:
            while not self.stopping.is_set():
                streams = [await wire.request("/", authority=host) for _ in range(3)]
                for stream in streams:
                    status, _ = await wire.answer(stream)
                    if status != 200:
                        self.wrong.append(f"{host}: {status}")
                    self.answered += 1
                wire.events.clear()

    async def slowly(self) -> None:
        """Streams of fifty parts, for as long as the load lasts."""
        async with await self.lab.open(self.lab.outbound(self.caller)) as wire:
            while not self.stopping.is_set():
                await wire.send(GET.replace(b"cart.shop", b"slow.shop"))
                if not (await wire.until(b"0\r\n\r\n", 10)).startswith(b"HTTP/1.1 200"):
                    self.wrong.append("a slow stream")
                self.streams += 1


@asynccontextmanager
async def loaded(lab: Lab, *, http2: bool = True) -> AsyncIterator[Load]:
    """A lab under load, all of which must end well."""
    load = Load(lab=lab)
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(load.over_http1("cart.shop"))
            group.create_task(load.slowly())
        group.create_task(load.over_http1("feed.shop"))
        for host in ("cart.shop", "feed.shop") if http2 else ():
            group.create_task(load.over_http2(host))
        await asyncio.sleep(0.1)
        yield load
        load.stopping.set()
    assert not load.wrong, load.wrong[:5]


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An application that answers in fifty parts, over half a second and more."""
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(50):
            writer.write(b"4\r\npart\r\n")
            await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")


# ---- reloads -----------------------------------------------------------------------------------------------------------


def test_reloads_under_load_fail_nobody(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.serve("slow", drip)
        for host in ("cart.shop", "feed.shop"):
            assert (await lab.get(lab.outbound("web"), host=host)).status == 200
        await lab.settle()
        before = len(asyncio.all_tasks()), open_descriptors()
        async with loaded(lab) as load:
            for turn in range(RELOADS):
                service = ("web", "cart", "feed", "slow")[turn % 4]
                await lab.sidecar(service).reload(remade(lab, service))
                await asyncio.sleep(0.01)
        assert load.answered > RELOADS
        assert load.streams >= 4
        await lab.settle()
        await asyncio.sleep(0.3)
        after = len(asyncio.all_tasks()), open_descriptors()
        # What is kept for the next request: a connection or two for each caller of each service, at both ends.
        assert after[0] - before[0] < 50
        assert after[1] - before[1] < 50
        assert {one.flags for one in lab.records} == {"-"}

    run(SHOP, scenario)


def test_what_is_under_way_keeps_its_policy(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        peer = lab.inbound("cart", "web")
        post = b"POST / HTTP/1.1\r\nHost: cart.shop\r\nContent-Length: 8\r\n\r\nhalf"
        async with await lab.open(peer) as begun, await lab.open(peer) as idle:
            assert (await ask(idle))[0] == 200
            await begun.send(post)
            await asyncio.sleep(0.1)
            await lab.sidecar("cart").reload(remade(lab, "cart", with_access(lab, "cart", DENIED)))
            assert (await ask(idle))[0] == 403
            await begun.send(b"half")
            assert (await finished(begun))[0] == 200
            assert (await ask(begun))[0] == 403
            assert (await ask(begun, GET.replace(b"/ ", b"/only ")))[0] == 200

    run(SHOP, scenario)


def test_certificates_are_rotated_under_load(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.serve("slow", drip)
        authority = lab.scene.placed.authorities["shop.example"]
        async with loaded(lab) as load:
            for service in ("web", "cart", "feed", "slow") * 2:
                rotate(lab, service, authority)
                await lab.sidecar(service).reload(remade(lab, service))
                await asyncio.sleep(0.05)
        assert load.answered > 20
        assert {one.flags for one in lab.records} == {"-"}

    run(SHOP, scenario)


def test_an_authority_that_is_removed_is_refused_at_once(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        old, new = lab.scene.placed.authorities["shop.example"], Authority.create("shop.example")
        peer = lab.inbound("cart", "web")
        post = b"POST / HTTP/1.1\r\nHost: cart.shop\r\nContent-Length: 8\r\n\r\nhalf"
        bundle = files_of(lab, "cart") / "shop.example.pem"
        bundle.write_bytes(old.bundle + new.bundle)
        await lab.sidecar("cart").reload(remade(lab, "cart"))
        assert (await lab.get(peer)).status == 200
        async with await lab.open(peer) as idle, await lab.open(peer) as begun, await lab.open(peer, "h2") as raw:
            assert (await ask(idle))[0] == 200
            await begun.send(post)
            async with H2Wire(raw.reader, raw.writer) as wire:
                assert (await wire.answer(await wire.request("/")))[0] == 200
                bundle.write_bytes(new.bundle)
                await lab.sidecar("cart").reload(remade(lab, "cart"))
                refused = await lab.send(Http1Request(method=b"GET", path=b"/", host=b"cart.shop"), peer)
                assert not isinstance(refused, Answered)
                assert lab.refused[-1] == "untrusted"
                # Whom the removed authority had vouched for: idle ones end, what has begun finishes, and nothing follows.
                assert await idle.rest() == (b"", True)
                await begun.send(b"half")
                status, head = await finished(begun)
                assert (status, b"connection: close" in head.lower()) == (200, True)
                assert await begun.rest() == (b"", True)
                await wire.event(h2.events.ConnectionTerminated)
                await wire.until(lambda: wire.closed)

    run(SHOP, scenario)


def test_a_reload_that_fails_changes_nothing(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        sidecar = lab.sidecar("cart")
        good, addresses = sidecar.setup, set(sidecar.addresses)
        with socket.create_server(("127.9.9.9", 4000)):
            site = replace(
                good.site, outbound=(Address(host="127.9.9.9", port=3999), Address(host="127.9.9.9", port=4000))
            )
            denied = replace(prepare(with_access(lab, "cart", DENIED), good.site, good), site=site)
            with pytest.raises(ListenError, match=r"127\.9\.9\.9:4000"):
                await sidecar.reload(denied)
            with pytest.raises(ListenError):
                await Sidecar(denied, sink=lab.records.append).start()
        assert sidecar.setup is good
        assert set(sidecar.addresses) == addresses
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.9.9.9", 3999)
        (files_of(lab, "cart") / "key.pem").rename(files_of(lab, "cart") / "away.pem")
        with pytest.raises(SecretsError, match="No such file"):
            remade(lab, "cart")
        assert (await lab.get(lab.inbound("cart", "web"))).status == 200

    run(SHOP, scenario)


def test_addresses_that_come_and_go(run: Callable[..., None]) -> None:
    """A reload listens where it must, and no longer where it need not; what came in there before is served to its end."""

    async def scenario(lab: Lab) -> None:
        sidecar = lab.sidecar("web")
        good = sidecar.setup
        other = Address(host="127.9.9.9", port=3999)
        old = lab.outbound("web")
        async with await lab.open(old) as kept:
            assert (await ask(kept))[0] == 200
            await sidecar.reload(replace(remade(lab, "web"), site=replace(good.site, outbound=(other,))))
            assert (await ask(kept))[0] == 200
            async with await lab.open(replace(old, address=other.host, port=other.port)) as wire:
                assert (await ask(wire))[0] == 200
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(old.address, old.port)

    run(SHOP, scenario)


# ---- the end -----------------------------------------------------------------------------------------------------------


def test_a_drain_announces_finishes_and_ends(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.serve("slow", drip)
        await lab.serve("cart", drip)
        peer = lab.inbound("cart", "web")
        async with await lab.open(peer) as idle, await lab.open(peer) as busy, await lab.open(peer, "h2") as raw:
            await idle.send(GET)
            await idle.until(b"0\r\n\r\n")
            await busy.send(GET)
            await busy.until(b"\r\n\r\n")
            async with H2Wire(raw.reader, raw.writer) as wire:
                stream = await wire.request("/")
                await wire.event(h2.events.DataReceived, stream)
                draining = asyncio.create_task(lab.sidecar("cart").drain(5))
                assert await idle.rest() == (b"", True)
                assert (await busy.until(b"0\r\n\r\n")).count(b"part") > 10
                assert await busy.rest() == (b"", True)
                await wire.event(h2.events.StreamEnded, stream)
                await wire.until(lambda: wire.closed)
                last = [one.last_stream_id for one in wire.those(h2.events.ConnectionTerminated)]
                assert last == [2**31 - 1, stream]
                assert status_of(wire.those(h2.events.ResponseReceived, stream)[0]) == 200
            await asyncio.wait_for(draining, 3)
            assert not lab.sidecar("cart").active
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(peer.address, peer.port)

    run(SHOP, scenario)


def test_a_drain_says_so_in_answers_and_cuts_what_outlasts_it(run: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        told = asyncio.Event()

        async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await told.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
            await reader.read()

        await lab.serve("cart", late)
        async with await lab.open(lab.inbound("cart", "web")) as wire:
            await wire.send(GET)
            await asyncio.sleep(0.1)
            began = asyncio.get_running_loop().time()
            draining = asyncio.create_task(lab.sidecar("cart").drain(1.0))
            await asyncio.sleep(0.05)
            told.set()
            assert b"connection: close" in (await wire.until(b"\r\n\r\n")).lower()
            found, closed = await wire.rest()
            assert closed
            assert b"0\r\n\r\n" not in found
            await draining
            assert 0.9 < asyncio.get_running_loop().time() - began < 2.5
        assert not lab.sidecar("cart").active

    run(SHOP, scenario)
