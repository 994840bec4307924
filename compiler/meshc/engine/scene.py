"""A scene: the sidecars, stub services and clients of one whole mesh, running, with real requests sent through it."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from meshc import ir
from meshc.engine.authority import Authority, Credentials, Names
from meshc.engine.client import Client
from meshc.engine.errands import Errand, Way
from meshc.engine.exchange import Outcome, Peer, Plaintext, Tls
from meshc.engine.observation import Observation
from meshc.engine.placement import PlacedMesh, instance_name, place_mesh, trust_domain_of
from meshc.engine.sidecars import Sidecars, keys_of
from meshc.engine.stubs import Protocol, Stub
from meshc.engine.translate import EngineError, to_message, to_observation
from meshc.ir import MtlsMode, PortPolicy
from meshc.request import Request
from meshc.semantics.decide import default_host, external_host
from meshc.target import Instance, WorkloadKey

_AT_ONCE: Final = 16
_ANSWER_S: Final = 10.0
_NO_VISITS: Final[Mapping[str, Sequence[str]]] = {}


class Scene:
    """A running mesh, as an asynchronous context. Raises EngineError and EnvoyError for failures of its own.

    `sidecars` makes whatever enforces the placed mesh. `visits` are the source addresses of requests that callers' sidecars will be asked to send, by the callers' identity.
    """

    def __init__(
        self,
        mesh: ir.Mesh,
        sidecars: Callable[[PlacedMesh, Path], Sidecars],
        directory: Path,
        *,
        has_ipv6: bool,
        visits: Mapping[str, Sequence[str]] = _NO_VISITS,
        lowest_port: int = 0,
        own: Collection[WorkloadKey] = (),
    ) -> None:
        self._directory = directory
        self._own = own
        self._callers = {workload.identity: (workload.namespace, workload.name) for workload in mesh.workloads}
        self._placed = place_mesh(
            mesh,
            directory / "tls",
            has_ipv6=has_ipv6,
            visits={self._callers[one]: sources for one, sources in visits.items() if one in self._callers},
            lowest_port=lowest_port,
        )
        self._sidecars = sidecars(self._placed, directory)
        self._ports = keys_of(self._placed.mesh)
        self._credentials: dict[str, Credentials] = {}
        self._stack = AsyncExitStack()
        self._client = Client(timeout_s=_ANSWER_S + _longest_delay_s(mesh))

    @property
    def sidecars(self) -> Sidecars:
        """What enforces the mesh."""
        return self._sidecars

    @property
    def placed(self) -> PlacedMesh:
        """Where everything is."""
        return self._placed

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        await self._stack.enter_async_context(self._client)
        for workload, instance in self._instances():
            name = instance_name(workload, instance.version)
            for port in _applications(workload) if (workload.namespace, workload.name) not in self._own else ():
                await self._serve(name, port, instance.application, port.target, "stub.example")
        for external in self._placed.mesh.externals:
            for port in external.ports:
                for host in external.hosts:
                    address, number = self._placed.placement.externals[(host, port.number)]
                    await self._serve(f"{external.namespace}.{external.name}", port, address, number, host)
        await self._sidecars.start(self._stack)

    def _instances(self) -> Iterator[tuple[ir.Workload, Instance]]:
        placement = self._placed.placement
        for workload in self._placed.mesh.workloads:
            for instance in placement.instances[(workload.namespace, workload.name)]:
                yield workload, instance

    async def _serve(self, name: str, port: PortPolicy, address: str, number: int, host: str) -> None:
        protocol = Protocol(port.protocol.value)
        credentials: Credentials | None = None
        if protocol in {Protocol.TLS, Protocol.HTTPS}:
            directory = self._directory / "stubs" / f"{address}-{number}"
            credentials = self._placed.web.issue(Names(dns=(host,)), directory, "stub")
        stub = await self._stack.enter_async_context(Stub(name, protocol, credentials=credentials))
        await stub.start(address, number)

    async def observe(self, errands: Sequence[Errand]) -> tuple[Observation, ...]:
        """Send requests, many at once, and return what became of each, in their order."""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def run(errand: Errand) -> Observation:
            async with slots:
                return await self._observe(errand)

        observations = await asyncio.gather(*(run(errand) for errand in errands))
        self._sidecars.check()
        return tuple(observations)

    async def _observe(self, errand: Errand) -> Observation:
        request = errand.request
        owner, port = self._ports[(request.namespace, request.service, request.port)]
        host = (
            external_host(owner.hosts) if isinstance(owner, ir.External) else default_host(owner.namespace, owner.name)
        )
        is_inbound = errand.way is Way.DIRECT and isinstance(owner, ir.Workload)
        if not is_inbound:
            # The caller's sidecar chooses among a service's ports by the one in the Host.
            request = replace(request, host=_with_port(request.host or host, port.number))
        peer = self._server(request, port) if is_inbound else self._sidecar(request, owner, port)
        if peer is None:
            return Observation(allowed=False)
        is_encrypted = isinstance(peer.security, Tls)
        message = to_message(request, port, host, self._placed.issuer, is_encrypted=is_encrypted)
        try:
            outcome: Outcome = await self._client.send(message, peer)
        except OSError as error:
            raise EngineError(f"cannot send from {request.source_ip} on this machine: {error.strerror}") from error
        return to_observation(outcome, request, port, is_inbound=is_inbound)

    def _server(self, request: Request, port: PortPolicy) -> Peer:
        """The sidecar of the server's first instance, asked as its callers' sidecars would."""
        addresses = self._placed.placement.instances[(request.namespace, request.service)][0].listen
        wanted = ip_address(request.source_ip).version
        address = next((one for one in addresses if ip_address(one).version == wanted), None)
        if address is None:
            raise EngineError(f"this machine cannot send from the IPv6 address {request.source_ip}")
        inbound = self._sidecars.inbound[(request.namespace, request.service, request.port)]
        return Peer(address=address, port=inbound, security=self._security(request, port), source=request.source_ip)

    def _security(self, request: Request, port: PortPolicy) -> Plaintext | Tls:
        if port.protocol is ir.Protocol.TLS:
            return Tls(trust=self._placed.bundle, server_name=request.sni)
        if port.mtls is MtlsMode.OFF or request.identity is None:
            return Plaintext()
        return Tls(trust=self._placed.bundle, credentials=self._certificate(request.identity))

    def _certificate(self, identity: str) -> Credentials:
        if identity not in self._credentials:
            domain = trust_domain_of(identity)
            authority = self._placed.authorities.get(domain) or Authority.create(domain)
            directory = self._directory / "clients" / str(len(self._credentials))
            self._credentials[identity] = authority.issue_workload(identity, directory, "client")
        return self._credentials[identity]

    def _instance_at(self, caller: WorkloadKey, source: str) -> Instance:
        """The caller's instance that sends from an address, which is a visitor's unless it is the usual one."""
        visitors = self._placed.placement.visitors.get(caller, ())
        instances = self._placed.placement.instances[caller]
        return next((one for one in visitors if one.source == source), instances[0])

    def _sidecar(self, request: Request, owner: ir.Workload | ir.External, port: PortPolicy) -> Peer | None:
        """The caller's own sidecar; None where it has no way to the destination at all."""
        caller = self._callers.get(request.identity or "")
        if caller is None:
            raise EngineError(
                f"`{request.identity}` is no service of the program, so it has no sidecar to send through"
            )
        address = self._instance_at(caller, request.source_ip).outbound
        number = self._sidecars.outbound.get((owner.namespace, owner.name, port.number))
        security: Plaintext | Tls = Plaintext()
        if port.protocol is ir.Protocol.TLS:
            own_name = external_host(owner.hosts) if isinstance(owner, ir.External) else None
            security = Tls(trust=self._placed.bundle, server_name=request.sni or own_name)
        return None if number is None else Peer(address=address, port=number, security=security)


def _applications(workload: ir.Workload) -> list[PortPolicy]:
    """The ports that an application serves, one for each target port: several service ports may lead to the same.

    Raises EngineError where no single application can speak what is asked of it.
    """
    found: dict[int, PortPolicy] = {}
    for port in workload.ports:
        first = found.setdefault(port.target, port)
        if first.protocol is not port.protocol and not (first.protocol.is_http and port.protocol.is_http):
            raise EngineError(
                f"{port.span}: no application speaks both {first.protocol.value} and {port.protocol.value} on its port "
                f"{port.target}"
            )
    return list(found.values())


def _longest_delay_s(mesh: ir.Mesh) -> float:
    """How long a fault of the program may hold back an answer."""
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    settings = [one for owner in owners for port in owner.ports for one in _all_settings(port)]
    return max((delay.delay_ms for one in settings for delay in one.delays), default=0) / 1000


def _all_settings(port: PortPolicy) -> Iterator[ir.Settings]:
    yield port.settings
    for route in port.routes:
        yield route.settings


def _with_port(host: str, port: int) -> str:
    return host if ":" in host else f"{host}:{port}"
