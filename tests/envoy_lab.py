"""A whole mesh of real Envoys that run what the Envoy target emits, for tests: `run_program` inside an isolated network."""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path, PurePosixPath

from meshc import ir
from meshc.diagnostics import Diagnostic
from meshc.engine.authority import Authority, Credentials, Names
from meshc.engine.client import Client
from meshc.engine.exchange import (
    Answered,
    Http1Request,
    Http2Request,
    HttpMessage,
    Line,
    Outcome,
    Peer,
    Plaintext,
    RawHttp1Request,
    Refused,
    TimedOut,
    Tls,
)
from meshc.engine.http_server import Headers
from meshc.engine.processes import Fleet, Sidecar, find_envoy
from meshc.engine.stubs import Protocol, Stub
from meshc.frontend import analyze
from meshc.parse import parse
from meshc.resolve import Module
from meshc.source import SourceFile
from meshc_envoy import EmitOptions, SocketAddress, emit, inbound_ports, tcp_listener_ports

Key = tuple[str, str]


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


def is_closed(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused | TimedOut)


@dataclass(kw_only=True)
class Lab:
    """A running mesh. Workload `i` has its sidecar at 10.0.0.`i`, its application at 10.0.1.`i`, its outbound at 10.0.2.`i`."""

    mesh: ir.Mesh
    client: Client
    directory: Path
    authorities: Mapping[str, Authority]
    stubs: dict[tuple[str, str, int], Stub] = field(default_factory=dict)
    externals: dict[str, Stub] = field(default_factory=dict)

    @property
    def authority(self) -> Authority:
        return self.authorities[self.mesh.trust_domain]

    def workload(self, name: str) -> tuple[int, ir.Workload]:
        return next((i, one) for i, one in enumerate(self.mesh.workloads, start=1) if one.name == name)

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
        index, workload = self.workload(service)
        policy = next(one for one in workload.ports if one.number == port)
        number = inbound_ports(workload, policy)[0]
        if caller is None:
            return Peer(address=f"10.0.0.{index}", port=number, source=source, security=Plaintext())
        if isinstance(caller, str):
            identity = caller if caller.startswith("spiffe:") else self.workload(caller)[1].identity
            caller = self.credentials(identity)
        trust = self.directory / "trust.pem"
        trust.write_bytes(self.authority.bundle)
        tls = Tls(trust=trust, credentials=caller, server_name=server_name)
        return Peer(address=f"10.0.0.{index}", port=number, source=source, security=tls)

    def outbound(self, service: str, port: int = 15001) -> Peer:
        index, _ = self.workload(service)
        return Peer(address=f"10.0.2.{index}", port=port, security=Plaintext())

    def tcp_port(self, destination: str) -> int:
        return tcp_listener_ports(self.mesh)[destination]

    async def get(
        self, peer: Peer, path: str, *, host: str = "orders", headers: Headers = (), method: str = "GET"
    ) -> Outcome:
        request = Http1Request(method=method.encode(), path=path.encode(), host=host.encode(), headers=headers)
        return await self.client.send(request, peer, on_fresh_connection=True)

    async def get2(
        self, peer: Peer, path: str, *, host: str = "orders", headers: Headers = (), method: str = "GET"
    ) -> Outcome:
        request = Http2Request(method=method.encode(), path=path.encode(), authority=host.encode(), headers=headers)
        return await self.client.send(request, peer, on_fresh_connection=True)

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
        lab = Lab(mesh=mesh, client=client, directory=directory, authorities=authorities)
        replaced = await _start_externals(lab, stack, externals, forged)
        sidecars = _write(lab, replaced)
        for index, workload in enumerate(mesh.workloads, start=1):
            for port in workload.ports:
                await _start_stub(lab, stack, workload, port, f"10.0.1.{index}")
        fleet = await stack.enter_async_context(Fleet(find_envoy(), directory / "logs"))
        await fleet.start(sidecars)
        await scenario(lab)
        fleet.check()


def _placed(mesh: ir.Mesh) -> ir.Mesh:
    workloads = []
    for index, workload in enumerate(mesh.workloads, start=1):
        endpoint = ir.Endpoint(host=f"10.0.0.{index}", port=15010, span=workload.span)
        workloads.append(replace(workload, endpoints=(endpoint,), discovery=ir.Discovery.STATIC))
    return replace(mesh, workloads=tuple(workloads))


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


async def _start_stub(
    lab: Lab, stack: AsyncExitStack, workload: ir.Workload, port: ir.PortPolicy, address: str
) -> None:
    protocol = Protocol(port.protocol.value)
    credentials = None
    if protocol is Protocol.TLS:
        credentials = lab.authority.issue(Names(dns=(workload.name,)), lab.directory / "apps", workload.name)
    stub = await stack.enter_async_context(
        Stub(f"{workload.namespace}.{workload.name}", protocol, credentials=credentials)
    )
    await stub.start(address, port.target)
    lab.stubs[workload.namespace, workload.name, port.number] = stub


def _write(lab: Lab, replaced: Mapping[str, SocketAddress]) -> list[Sidecar]:
    keys = {(workload.namespace, workload.name): index for index, workload in enumerate(lab.mesh.workloads, start=1)}
    directories: dict[Key, PurePosixPath] = {}
    for workload in lab.mesh.workloads:
        directory = lab.directory / "tls" / f"{workload.namespace}.{workload.name}"
        credentials = lab.authority.issue_workload(workload.identity, directory, "sidecar")
        credentials.chain.rename(directory / "cert.pem")
        credentials.key.rename(directory / "key.pem")
        for domain, authority in lab.authorities.items():
            (directory / f"{domain}.pem").write_bytes(authority.bundle)
        directories[workload.namespace, workload.name] = PurePosixPath(directory)
    options = EmitOptions(
        listen_addresses={key: (f"10.0.0.{index}",) for key, index in keys.items()},
        application_addresses={key: f"10.0.1.{index}" for key, index in keys.items()},
        outbound_addresses={key: f"10.0.2.{index}" for key, index in keys.items()},
        admin=None,
        tls_directories=directories,
        external_addresses=replaced,
        ca_file=PurePosixPath(lab.directory / "outside.pem"),
    )
    emission = emit(lab.mesh, options)
    assert emission.documents, [shown(one) for one in emission.diagnostics]
    sidecars = []
    for document in emission.documents:
        name = document.path.removesuffix(".yaml").replace("/", ".")
        path = lab.directory / f"{name}.json"
        path.write_text(json.dumps(document.resources[0]), encoding="utf-8")
        sidecars.append(Sidecar(name=name, bootstrap=path))
    return sidecars
