"""A whole mesh of reference proxies, or of real Envoys that run the same program, with the applications that a test wants.

Each application is a stub until `Lab.serve` or `Lab.reply` puts another in its place. Everything runs in a network of its own.
"""

import asyncio
import gc
import resource
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from envoy_lab import compile_mesh
from forked import run_forked
from meshc import ir
from meshc.engine.authority import Credentials, Names
from meshc.engine.client import Client
from meshc.engine.connections import ClosedBeforeAnswerError, Connector
from meshc.engine.exchange import Answered, Http1Request, HttpMessage, Line, Outcome, Peer, Plaintext, Tls
from meshc.engine.http_server import Headers
from meshc.engine.network import Network
from meshc.engine.placement import PlacedMesh
from meshc.engine.processes import find_envoy
from meshc.engine.proxies import ProxySidecars
from meshc.engine.scene import Scene
from meshc.engine.sidecars import EnvoySidecars, Sidecars
from meshc.engine.stubs import Protocol, Stub
from meshc.targets import find_target
from meshc_proxy.io.records import Record
from meshc_proxy.io.sidecar import Sidecar

ENGINES = ("proxy", "envoy")
_SCENARIO_S = 60

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""A raw application: one connection."""


class Wire:
    """A client's connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.seen = b""

    async def send(self, data: bytes) -> None:
        """Write, unless the other end has gone: that shows in what is read."""
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def until(self, ending: bytes, timeout_s: float = 3.0) -> bytes:
        """Everything up to and with `ending`; what follows stays. Raises TimeoutError and EOFError, which say what came."""
        try:
            async with asyncio.timeout(timeout_s):
                while ending not in self.seen:
                    block = await self.reader.read(65536)
                    if not block:
                        raise EOFError(self.seen)
                    self.seen += block
        except TimeoutError as error:
            raise TimeoutError(self.seen) from error
        before, _, self.seen = self.seen.partition(ending)
        return before + ending

    async def rest(self, timeout_s: float = 3.0) -> tuple[bytes, bool]:
        """Everything until the other end closes, or nothing more comes for a while; and whether it closed."""
        found, self.seen = self.seen, b""
        try:
            async with asyncio.timeout(timeout_s):
                while block := await self.reader.read(65536):
                    found += block
        except TimeoutError:
            return found, False
        except OSError:
            return found, True
        return found, True

    def half_close(self) -> None:
        self.writer.write_eof()

    def close(self) -> None:
        """End at once."""
        self.writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


@dataclass(kw_only=True)
class Lab:
    """A running mesh; a service is known by its name.

    `records` are what the reference proxies told, `refused` why they refused what was no request.
    """

    engine: str
    mesh: ir.Mesh
    scene: Scene
    client: Client
    directory: Path
    records: list[Record]
    refused: list[str]
    stubs: dict[str, Stub] = field(default_factory=dict)
    servers: dict[str, asyncio.Server] = field(default_factory=dict)
    connector: Connector = field(default_factory=Connector)
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    # ---- what there is ----------------------------------------------------------------------------------------------

    def workload(self, service: str) -> ir.Workload:
        return next(one for one in self.mesh.workloads if one.name == service)

    def sidecar(self, service: str) -> Sidecar:
        """A service's reference proxy."""
        sidecars = self.scene.sidecars
        assert isinstance(sidecars, ProxySidecars)
        return next(one for one in sidecars.running if one.setup.workload.name == service)

    def told(self, direction: str) -> list[Record]:
        """The records of one direction."""
        return [one for one in self.records if one.direction == direction]

    async def record(self, direction: str, count: int = 1, timeout_s: float = 3.0) -> Record:
        """The last of `count` records of a direction, once they are there. Raises TimeoutError."""
        await until(lambda: len(self.told(direction)) >= count, timeout_s)
        return self.told(direction)[count - 1]

    async def settle(self, timeout_s: float = 3.0) -> None:
        """Wait until no proxy carries a request any more. Raises TimeoutError."""
        sidecars = self.scene.sidecars
        assert isinstance(sidecars, ProxySidecars)
        await until(lambda: not any(one.requests for one in sidecars.running), timeout_s)

    # ---- applications -----------------------------------------------------------------------------------------------

    def _application(self, service: str) -> tuple[str, int]:
        workload = self.workload(service)
        placed = next(one for one in self.scene.placed.mesh.workloads if one.name == service)
        instance = self.scene.placed.placement.instances[workload.namespace, service][0]
        return instance.application, placed.ports[0].target

    async def start_stub(self, service: str) -> Stub:
        """A stub in the place of a service's application, on its first port."""
        workload = self.workload(service)
        protocol = Protocol(workload.ports[0].protocol.value)
        credentials: Credentials | None = None
        if protocol is Protocol.TLS:
            names = Names(dns=(service,))
            credentials = self.scene.placed.web.issue(names, self.directory / "apps" / service, "stub")
        stub = Stub(f"{workload.namespace}.{service}", protocol, credentials=credentials)
        await stub.start(*self._application(service))
        self.stubs[service] = stub
        return stub

    async def serve(self, service: str, handle: Handle) -> None:
        """Another application in the place of a service's stub."""
        await self.silence(service)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                with suppress(OSError, EOFError):
                    await handle(reader, writer)
            except asyncio.CancelledError:
                pass
            finally:
                writer.transport.abort()

        self.servers[service] = await asyncio.start_server(connected, *self._application(service))

    async def silence(self, service: str) -> None:
        """Nothing listens in the place of a service's application any more."""
        if service in self.stubs:
            await self.stubs.pop(service).stop()
        if service in self.servers:
            self.servers.pop(service).close()

    # ---- callers ----------------------------------------------------------------------------------------------------

    def credentials(self, caller: str) -> Credentials:
        """Those of a service, or of any identity of a trust domain of the mesh."""
        identity = caller if caller.startswith("spiffe:") else self.workload(caller).identity
        domain = identity.removeprefix("spiffe://").split("/")[0]
        name = identity.replace("/", "_").replace(":", "_")
        return self.scene.placed.authorities[domain].issue(Names(uris=(identity,)), self.directory / "callers", name)

    def inbound(self, service: str, caller: str | Credentials | None, *, source: str = "10.1.2.3") -> Peer:
        """A service's sidecar, as a caller sees it: a service, an identity, credentials, or None for plaintext."""
        workload = self.workload(service)
        instance = self.scene.placed.placement.instances[workload.namespace, service][0]
        number = self.scene.sidecars.inbound[workload.namespace, service, workload.ports[0].number]
        security: Plaintext | Tls = Plaintext()
        if caller is not None:
            own = self.credentials(caller) if isinstance(caller, str) else caller
            security = Tls(trust=self.scene.placed.bundle, credentials=own)
        return Peer(address=instance.listen[0], port=number, security=security, source=source)

    def outbound(self, caller: str, to: str | None = None) -> Peer:
        """A service's sidecar, as its own application sees it; towards `to` where that is a service of bytes."""
        workload = self.workload(caller)
        instance = self.scene.placed.placement.instances[workload.namespace, caller][0]
        one = self.workload(to or caller)
        number = self.scene.sidecars.outbound[one.namespace, one.name, one.ports[0].number]
        return Peer(address=instance.outbound, port=15001 if to is None else number, security=Plaintext())

    def at(self, peer: Peer, security: Plaintext | Tls) -> Peer:
        """The same address, spoken to otherwise."""
        return replace(peer, security=security)

    @staticmethod
    def reset(writer: asyncio.StreamWriter) -> None:
        """End a connection of an application's by RST."""
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def open(self, peer: Peer, *alpn: str) -> Wire:
        """A connection; over TLS it offers the protocols `alpn`. Raises ClosedBeforeAnswerError."""
        streams = await self.connector.connect(peer, alpn)
        return Wire(streams.reader, streams.writer)

    async def talk(self, peer: Peer, payload: bytes, timeout_s: float = 1.0) -> tuple[bytes, bool]:
        """What comes back for bytes, and whether the other end closed, within a while."""
        try:
            wire = await self.open(peer)
        except ClosedBeforeAnswerError:
            return b"", True
        async with wire:
            await wire.send(payload)
            return await wire.rest(timeout_s)

    async def send(self, message: HttpMessage | Line, peer: Peer) -> Outcome:
        return await self.client.send(message, peer, on_fresh_connection=True)

    async def get(
        self,
        peer: Peer,
        path: str = "/",
        *,
        method: str = "GET",
        host: str = "cart.shop",
        headers: Headers = (),
        body: bytes = b"",
    ) -> Answered:
        """A request of HTTP/1.1 that must be answered."""
        request = Http1Request(
            method=method.encode(), path=path.encode(), host=host.encode(), headers=headers, body=body
        )
        outcome = await self.send(request, peer)
        assert isinstance(outcome, Answered), outcome
        return outcome


Scenario = Callable[[Lab], Awaitable[None]]


def _sidecars(engine: str, records: list[Record], refused: list[str]) -> Callable[[PlacedMesh, Path], Sidecars]:
    def make(placed: PlacedMesh, directory: Path) -> Sidecars:
        if engine == "proxy":
            return ProxySidecars(placed, sink=records.append, count=refused.append)
        return EnvoySidecars(placed, find_target("envoy"), find_envoy(), directory)

    return make


async def run_lab(program: str, scenario: Scenario, directory: Path, engine: str = "proxy") -> None:
    """Run a scenario, and see that the proxies leave nothing behind."""
    mesh = compile_mesh(program)
    records: list[Record] = []
    refused: list[str] = []
    own = [(one.namespace, one.name) for one in mesh.workloads]
    async with Client(timeout_s=5.0) as client:
        scene = Scene(mesh, _sidecars(engine, records, refused), directory, has_ipv6=False, own=own)
        async with scene:
            lab = Lab(
                engine=engine,
                mesh=mesh,
                scene=scene,
                client=client,
                directory=directory,
                records=records,
                refused=refused,
            )
            try:
                for workload in mesh.workloads:
                    await lab.start_stub(workload.name)
                async with asyncio.timeout(_SCENARIO_S):
                    await scenario(lab)
                scene.sidecars.check()
            finally:
                for service in mesh.workloads:
                    await lab.silence(service.name)
    if engine == "proxy":
        await _left_clean()


async def until(holds: Callable[[], bool], timeout_s: float) -> None:
    """Look until it holds. Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    while not holds():
        if loop.time() > end:
            raise TimeoutError
        await asyncio.sleep(0.01)


async def _left_clean() -> None:
    """No task of the proxies', and no socket."""
    for _ in range(20):
        await asyncio.sleep(0.01)
        left = [one for one in asyncio.all_tasks() if one is not asyncio.current_task() and "meshc_proxy" in repr(one)]
        if not left:
            break
    assert not left, left


def resident_bytes() -> int:
    """How much memory this process has."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * resource.getpagesize()


def open_descriptors() -> int:
    """How many files and sockets this process has open."""
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def run_isolated(scenario: Callable[[], Awaitable[None]], report: Path) -> None:
    """Run in a child process with a network of its own; what it raises fails the test, traceback and all."""

    def work(_: Network) -> None:
        _shrink_buffers()
        asyncio.run(_awaited(scenario))

    run_forked(work, report)


def _shrink_buffers() -> None:
    """Let the kernel hold little of each connection, where it may be told: then what a proxy holds can be seen."""
    for name in ("rmem", "wmem"):
        with suppress(OSError):
            Path(f"/proc/sys/net/ipv4/tcp_{name}").write_text("4096 65536 65536", encoding="utf-8")


def held_bytes() -> int:
    """What the kernel may hold of a way with three connections, and two proxies with it."""
    most = [int(Path(f"/proc/sys/net/ipv4/tcp_{name}").read_text().split()[2]) for name in ("rmem", "wmem")]
    return 3 * 2 * sum(most) + 4 * 1024 * 1024


async def _awaited(scenario: Callable[[], Awaitable[None]]) -> None:
    await scenario()


def fields(outcome: Answered) -> Mapping[str, str]:
    """The headers of an answer, by name; the last of each."""
    return {name.decode(): value.decode("latin-1") for name, value in outcome.headers}
