"""Reference proxies as the sidecars of a scene: all of them in this process, each with listeners of its own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import PurePosixPath

from meshc import ir
from meshc.addresses import OUTBOUND_PORT, cluster_name, external_cluster, inbound_ports, tcp_listener_ports
from meshc.engine.placement import PlacedMesh
from meshc.engine.translate import EngineError
from meshc.site import Address, Site, site_of
from meshc.target import Instance, PortKey, WorkloadKey
from meshc_proxy.io.records import Record
from meshc_proxy.io.secrets import SecretsError
from meshc_proxy.io.setup import SetupError, prepare
from meshc_proxy.io.sidecar import ListenError, Sidecar


def _nothing(_: Record) -> None:
    return


class ProxySidecars:
    """A reference proxy for each instance of a placed mesh. `sink` is told of every request, `count` why connections and bytes were refused before one.

    `applications` says where a workload's application is, if it is not the placed one.
    """

    def __init__(
        self,
        placed: PlacedMesh,
        *,
        sink: Callable[[Record], None] = _nothing,
        applications: Mapping[WorkloadKey, Address] | None = None,
        count: Callable[[str], None] | None = None,
    ) -> None:
        self._placed = placed
        self._sink = sink
        self._applications = applications or {}
        self._count = count
        self._running: list[Sidecar] = []
        self.inbound: Mapping[PortKey, int] = {
            (workload.namespace, workload.name, port.number): inbound_ports(workload, port)[0]
            for workload in placed.mesh.workloads
            for port in workload.ports
        }
        self.outbound: Mapping[PortKey, int] = dict(_outbound(placed.mesh))

    @property
    def running(self) -> tuple[Sidecar, ...]:
        """The sidecars that run."""
        return tuple(self._running)

    async def start(self, stack: AsyncExitStack) -> None:
        """Run until the stack is left. Raises EngineError."""
        placement = self._placed.placement
        try:
            for workload in self._placed.mesh.workloads:
                key = (workload.namespace, workload.name)
                for instance in (*placement.instances[key], *placement.visitors.get(key, ())):
                    setup = prepare(self._placed.mesh, self._site(workload, instance))
                    sidecar = Sidecar(setup, sink=self._sink, count=self._count)
                    stack.push_async_callback(sidecar.stop)
                    await sidecar.start()
                    self._running.append(sidecar)
        except (ListenError, SetupError, SecretsError) as error:
            raise EngineError(str(error)) from error

    def check(self) -> None:
        """Nothing: a proxy within this process does not end without it."""

    def _site(self, workload: ir.Workload, instance: Instance) -> Site:
        site = site_of(
            self._placed.mesh,
            workload,
            listen=instance.listen,
            application=instance.application,
            outbound=instance.outbound,
            externals=self._placed.placement.externals,
        )
        own = self._applications.get((workload.namespace, workload.name))
        inbound = site.inbound if own is None else tuple(replace(one, application=own) for one in site.inbound)
        return replace(
            site,
            inbound=inbound,
            tls_directory=PurePosixPath(instance.tls_directory),
            ca_file=self._placed.placement.ca_file,
            source=instance.source,
            zone=instance.zone,
        )


def _outbound(mesh: ir.Mesh) -> Iterator[tuple[PortKey, int]]:
    listeners = tcp_listener_ports(mesh)
    for workload in mesh.workloads:
        for port in workload.ports:
            key = (workload.namespace, workload.name, port.number)
            yield key, OUTBOUND_PORT if port.protocol.is_http else listeners[cluster_name(*key)]
    for external in mesh.externals:
        for port in external.ports:
            key = (external.namespace, external.name, port.number)
            name = external_cluster(external, port, external.hosts[0])
            yield key, OUTBOUND_PORT if port.protocol.is_http else listeners[name]
