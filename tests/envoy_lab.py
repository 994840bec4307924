"""A whole mesh of real Envoys that run what the Envoy target emits, for tests: `run_program` inside an isolated network.

A workload without endpoints runs once. One with endpoints runs once for each of them, at addresses of its own: a sidecar at
10.0.0.`n` has its application at 10.0.1.`n` and its outbound at 10.0.2.`n`. The first numbers are those of workloads
without endpoints, in the order of the mesh, so endpoints take higher ones. An endpoint at 10.0.4.`n` is bare: the stub
itself listens there, in plaintext and without a sidecar, so that a caller's sidecar meets it directly.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path, PurePosixPath

from meshc import ir
from meshc.addresses import peer_addresses
from meshc.diagnostics import Diagnostic
from meshc.engine.authority import Authority, Credentials, Names
from meshc.engine.client import Client
from meshc.engine.exchange import (
    Answered,
    Broken,
    Http1Request,
    Http2Request,
    HttpMessage,
    Line,
    Outcome,
    Peer,
    Plaintext,
    RawHttp1Request,
    Refused,
    StreamReset,
    TimedOut,
    Tls,
    grpc_call,
)
from meshc.engine.http_server import Headers
from meshc.engine.processes import Fleet, Sidecar, find_envoy
from meshc.engine.stubs import Protocol, Stub
from meshc.frontend import analyze
from meshc.parse import parse
from meshc.resolve import Module
from meshc.source import SourceFile
from meshc_envoy import FIRST_INBOUND_PORT, EmitOptions, SocketAddress, inbound_ports, tcp_listener_ports
from meshc_envoy.emit import Sidecar as Placed
from meshc_envoy.emit import emit_sidecars

BARE = "10.0.4."
"""What the addresses of endpoints without a sidecar begin with."""

_LOCALHOST = {"localhost": "127.0.0.1"}
_SCENARIO_S = 60
"""A scenario that takes longer hangs."""


def compile_mesh(text: str) -> ir.Mesh:
    """The mesh of a program that must have no errors."""
    parsed = parse(SourceFile("test.mesh", text))
    modules = {"test.mesh": Module(file=parsed.file, imports={})}
    analysis = analyze(modules, (), {}, environment=None, today=date(2026, 1, 1), earlier=parsed.diagnostics)
    assert analysis.mesh is not None, [shown(one) for one in analysis.diagnostics]
    return analysis.mesh


def shown(diagnostic: Diagnostic) -> str:
    return f"{diagnostic.span}: {diagnostic.severity.value}[{diagnostic.name}]: {diagnostic.message}"


def status(outcome: Outcome) -> int | None:
    return outcome.status if isinstance(outcome, Answered) else None


def seen_path(outcome: Outcome) -> str:
    assert isinstance(outcome, Answered), outcome
    return str(json.loads(outcome.body)["path"])


def seen_headers(outcome: Outcome) -> dict[str, str]:
    assert isinstance(outcome, Answered), outcome
    return {str(name): str(value) for name, value in json.loads(outcome.body)["headers"]}


def served_by(outcome: Outcome) -> str | None:
    return outcome.served_by if isinstance(outcome, Answered) else None


def grpc_status(outcome: Outcome) -> int | None:
    return outcome.grpc_status if isinstance(outcome, Answered) else None


def is_closed(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused | TimedOut)


def is_cut(outcome: Outcome) -> bool:
    """Whether the answer broke off, before or after it began."""
    return isinstance(outcome, Refused | Broken | StreamReset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One running copy of a workload: `address` is where others reach it, `number` the last part of its addresses."""

    workload: ir.Workload
    address: str
    number: int
    endpoint: ir.Endpoint | None

    @property
    def name(self) -> str:
        """What its stubs call themselves, and its sidecar's log files."""
        name = f"{self.workload.namespace}.{self.workload.name}"
        return name if self.endpoint is None else self.address

    @property
    def is_bare(self) -> bool:
        return self.address.startswith(BARE)


@dataclass(kw_only=True)
class Lab:
    """A running mesh; what has endpoints in the program is known by their addresses, everything else by its name."""

    mesh: ir.Mesh
    client: Client
    directory: Path
    authorities: Mapping[str, Authority]
    fleet: Fleet
    instances: tuple[Instance, ...]
    sidecars: dict[str, Sidecar] = field(default_factory=dict)
    stubs: dict[tuple[str, str, int], Stub] = field(default_factory=dict)
    """The stubs of each service port, of several instances that of the first."""
    by_address: dict[tuple[str, int], Stub] = field(default_factory=dict)
    """The stubs of each endpoint's address and service port."""
    externals: dict[str, Stub] = field(default_factory=dict)
    starts: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    @property
    def authority(self) -> Authority:
        return self.authorities[self.mesh.trust_domain]

    def instance(self, name: str) -> Instance:
        """The instance at an address, or the first of a workload."""
        return next(one for one in self.instances if name in (one.address, one.workload.name))

    def stub(self, address: str, port: int = 80) -> Stub:
        return self.by_address[address, port]

    async def stop(self, address: str) -> None:
        """End the instance at once: nothing listens there any more."""
        instance = self.instance(address)
        if instance.is_bare:
            for (where, _), stub in self.by_address.items():
                if where == address:
                    await stub.stop()
            return
        process = self.fleet.processes[self.sidecars[address].name]
        process.kill()
        await process.wait()

    async def start(self, address: str) -> None:
        """Run a stopped instance again."""
        instance = self.instance(address)
        if instance.is_bare:
            await _start_bare(self, instance)
            return
        known = self.sidecars[address]
        self.sidecars[address] = replace(known, name=f"{instance.name}.{next(self.starts)}")
        await self.fleet.start([self.sidecars[address]])

    def credentials(self, identity: str) -> Credentials:
        domain = identity.removeprefix("spiffe://").split("/")[0]
        name = identity.replace("/", "_").replace(":", "_")
        return self.authorities[domain].issue(Names(uris=(identity,)), self.directory / "callers", name)

    def inbound(
        self,
        service: str,
        port: int,
        *,
        caller: str | Credentials | None,
        source: str = "10.1.2.3",
        server_name: str | None = None,
    ) -> Peer:
        """A service's sidecar as seen by a caller: a workload's name, an identity, credentials, or None for plaintext."""
        instance = self.instance(service)
        policy = next(one for one in instance.workload.ports if one.number == port)
        number = inbound_ports(instance.workload, policy)[0]
        if caller is None:
            return Peer(address=instance.address, port=number, source=source, security=Plaintext())
        if isinstance(caller, str):
            identity = caller if caller.startswith("spiffe:") else self.instance(caller).workload.identity
            caller = self.credentials(identity)
        trust = self.directory / "trust.pem"
        trust.write_bytes(self.authority.bundle)
        tls = Tls(trust=trust, credentials=caller, server_name=server_name)
        return Peer(address=instance.address, port=number, source=source, security=tls)

    def outbound(self, service: str, port: int = 15001, *, source: str | None = None) -> Peer:
        """The outbound listener of a workload's first instance, or of the one at an address."""
        number = self.instance(service).number
        return Peer(address=f"10.0.2.{number}", port=port, security=Plaintext(), source=source)

    def tcp_port(self, destination: str) -> int:
        return tcp_listener_ports(self.mesh)[destination]

    async def get(
        self,
        peer: Peer,
        path: str,
        *,
        host: str = "orders",
        headers: Headers = (),
        method: str = "GET",
        body: bytes = b"",
    ) -> Outcome:
        request = Http1Request(
            method=method.encode(), path=path.encode(), host=host.encode(), headers=headers, body=body
        )
        return await self.client.send(request, peer, on_fresh_connection=True)

    async def get2(
        self, peer: Peer, path: str, *, host: str = "orders", headers: Headers = (), method: str = "GET"
    ) -> Outcome:
        request = Http2Request(method=method.encode(), path=path.encode(), authority=host.encode(), headers=headers)
        return await self.client.send(request, peer, on_fresh_connection=True)

    async def call(self, peer: Peer, path: str, *, host: str = "orders", headers: Headers = ()) -> Outcome:
        """A unary gRPC call."""
        request = grpc_call(path.encode(), host.encode(), headers)
        return await self.client.send(request, peer, on_fresh_connection=True)

    async def tally(
        self, peer: Peer, count: int, path: str = "/", *, host: str = "orders", headers: Headers = (), at_once: int = 4
    ) -> Counter[str]:
        """How often each stub answered with success, or `-<status>` came instead; `at_once` requests are under way."""
        request = Http1Request(method=b"GET", path=path.encode(), host=host.encode(), headers=headers)
        found: Counter[str] = Counter()
        left = iter(range(count))

        async def work() -> None:
            for _ in left:
                outcome = await self.client.send(request, peer)
                found[(served_by(outcome) if status(outcome) == 200 else None) or f"-{status(outcome)}"] += 1

        await asyncio.gather(*(work() for _ in range(at_once)))
        return found

    async def raw(self, peer: Peer, payload: bytes) -> Outcome:
        return await self.client.send(RawHttp1Request(payload=payload), peer)

    async def send(self, message: HttpMessage | Line, peer: Peer) -> Outcome:
        return await self.client.send(message, peer, on_fresh_connection=True)


Scenario = Callable[[Lab], Awaitable[None]]
RunLab = Callable[..., None]
"""What the fixture `run_lab` gives: `(program, scenario, externals={"host": Protocol}, forged={"host": Names})`."""


async def run_program(
    program: str,
    scenario: Scenario,
    directory: Path,
    externals: Mapping[str, Protocol],
    forged: Mapping[str, Names],
) -> None:
    mesh = _placed(compile_mesh(program))
    authorities = {domain: Authority.create(domain) for domain in mesh.trust_domains}
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(timeout_s=3.0))
        fleet = await stack.enter_async_context(Fleet(find_envoy(), directory / "logs"))
        lab = Lab(
            mesh=mesh,
            client=client,
            directory=directory,
            authorities=authorities,
            fleet=fleet,
            instances=tuple(_instances(mesh)),
        )
        replaced = await _start_externals(lab, stack, externals, forged)
        _write(lab, replaced)
        for instance in lab.instances:
            for port in instance.workload.ports:
                await _add_stub(lab, stack, instance, port)
        await fleet.start(list(lab.sidecars.values()))
        async with asyncio.timeout(_SCENARIO_S):
            await scenario(lab)
        fleet.check()


def _placed(mesh: ir.Mesh) -> ir.Mesh:
    """Workloads that say nothing of where they are get an endpoint; those found by DNS must be on `localhost`."""
    workloads = []
    for index, workload in enumerate(mesh.workloads, start=1):
        if not workload.endpoints and workload.discovery is ir.Discovery.KUBERNETES:
            endpoint = ir.Endpoint(host=f"10.0.0.{index}", port=FIRST_INBOUND_PORT, span=workload.span)
            workload = replace(workload, endpoints=(endpoint,), discovery=ir.Discovery.STATIC)  # noqa: PLW2901
        workloads.append(workload)
    return replace(mesh, workloads=tuple(workloads))


def _instances(mesh: ir.Mesh) -> Iterator[Instance]:
    for index, workload in enumerate(mesh.workloads, start=1):
        if workload.dns_name is not None:
            yield Instance(workload=workload, address=_LOCALHOST[workload.dns_name], number=index, endpoint=None)
        for endpoint in workload.endpoints:
            own = endpoint.span != workload.span
            address = _LOCALHOST.get(endpoint.host, endpoint.host)
            number = index if address in _LOCALHOST.values() else int(address.rpartition(".")[2])
            yield Instance(workload=workload, address=address, number=number, endpoint=endpoint if own else None)


async def _start_externals(
    lab: Lab, stack: AsyncExitStack, externals: Mapping[str, Protocol], forged: Mapping[str, Names]
) -> dict[str, SocketAddress]:
    outside = Authority.create("outside")
    (lab.directory / "outside.pem").write_bytes(outside.bundle)
    replaced = {}
    for number, (host, protocol) in enumerate(externals.items(), start=1):
        credentials = None
        if protocol in (Protocol.HTTPS, Protocol.TLS):
            names = forged.get(host, Names(dns=(host.replace("*.", "any."),)))
            credentials = outside.issue(names, lab.directory / "externals", f"external{number}")
        stub = await stack.enter_async_context(Stub(host, protocol, credentials=credentials))
        port = await stub.start(f"10.0.3.{number}", 8000 + number)
        lab.externals[host] = stub
        replaced[host] = SocketAddress(host=f"10.0.3.{number}", port=port)
    return replaced


async def _add_stub(lab: Lab, stack: AsyncExitStack, instance: Instance, port: ir.PortPolicy) -> None:
    workload = instance.workload
    protocol = Protocol(port.protocol.value)
    credentials = None
    if protocol is Protocol.TLS:
        credentials = lab.authority.issue(Names(dns=(workload.name,)), lab.directory / "apps", workload.name)
    stub = await stack.enter_async_context(Stub(instance.name, protocol, credentials=credentials))
    lab.stubs.setdefault((workload.namespace, workload.name, port.number), stub)
    lab.by_address[instance.address, port.number] = stub
    if instance.is_bare:
        await stub.start(instance.address, _bare_port(instance, port))
    else:
        await stub.start(f"10.0.1.{instance.number}", port.target)


async def _start_bare(lab: Lab, instance: Instance) -> None:
    for port in instance.workload.ports:
        await lab.by_address[instance.address, port.number].start(instance.address, _bare_port(instance, port))


def _bare_port(instance: Instance, port: ir.PortPolicy) -> int:
    """Where callers expect the sidecar to serve the port."""
    return next(number for endpoint, number in peer_addresses(instance.workload, port) if endpoint == instance.endpoint)


def _write(lab: Lab, replaced: Mapping[str, SocketAddress]) -> None:
    """Certificates and bootstraps of every instance that has a sidecar."""
    running = [one for one in lab.instances if not one.is_bare]
    placed = [_place(lab, one, replaced) for one in running]
    emission = emit_sidecars(lab.mesh, placed)
    assert emission.documents, [shown(one) for one in emission.diagnostics]
    written = {document.path: document.resources[0] for document in emission.documents}
    for instance, sidecar in zip(running, placed, strict=True):
        path = lab.directory / f"{sidecar.path}.json"
        path.write_text(json.dumps(written[sidecar.path]), encoding="utf-8")
        lab.sidecars[instance.address] = Sidecar(name=instance.name, bootstrap=path)


def _place(lab: Lab, instance: Instance, replaced: Mapping[str, SocketAddress]) -> Placed:
    workload, number = instance.workload, instance.number
    directory = lab.directory / "tls" / f"{workload.namespace}.{workload.name}"
    credentials = lab.authority.issue_workload(workload.identity, directory, "sidecar")
    credentials.chain.rename(directory / "cert.pem")
    credentials.key.rename(directory / "key.pem")
    for domain, authority in lab.authorities.items():
        (directory / f"{domain}.pem").write_bytes(authority.bundle)
    key = (workload.namespace, workload.name)
    options = EmitOptions(
        listen_addresses={key: (instance.address,)},
        application_addresses={key: f"10.0.1.{number}"},
        outbound_addresses={key: f"10.0.2.{number}"},
        admin=None,
        tls_directory=PurePosixPath(directory),
        external_addresses=replaced,
        ca_file=PurePosixPath(lab.directory / "outside.pem"),
    )
    zone = None if instance.endpoint is None else instance.endpoint.zone
    return Placed(path=instance.name, workload=workload, options=options, zone=zone)
