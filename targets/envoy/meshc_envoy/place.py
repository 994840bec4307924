"""Place: all sidecars of a mesh on one machine, each instance of a workload at addresses of its own."""

from collections.abc import Iterator, Mapping

from meshc import ir
from meshc.addresses import OUTBOUND_PORT, cluster_name, external_cluster, inbound_ports, tcp_listener_ports
from meshc.target import Instance, PlacedEmission, Placement, PortKey
from meshc_envoy.emit import Sidecar, emit_sidecars
from meshc_envoy.options import EmitOptions, SocketAddress


def place(mesh: ir.Mesh, placement: Placement) -> PlacedEmission:
    """Emit a mesh whose endpoints are instances, each at the first of its listen addresses and all at one port.

    An instance's file is `<namespace>/<name>.yaml`, that of a version's `<namespace>/<name>@<version>.yaml`, and that of a
    visitor's `<namespace>/<name> from <source>.yaml`.
    """
    inbound = {
        (workload.namespace, workload.name, port.number): inbound_ports(workload, port)[0]
        for workload in mesh.workloads
        for port in workload.ports
    }
    emission = emit_sidecars(mesh, _sidecars(mesh, placement))
    return PlacedEmission(emission=emission, inbound=inbound, outbound=_outbound(mesh))


def _sidecars(mesh: ir.Mesh, placement: Placement) -> Iterator[Sidecar]:
    for workload in mesh.workloads:
        key = (workload.namespace, workload.name)
        for instance in (*placement.instances[key], *placement.visitors.get(key, ())):
            yield Sidecar(
                path=f"{workload.namespace}/{workload.name}{_suffix(instance)}.yaml",
                workload=workload,
                options=_options(workload, instance, placement),
                zone=instance.zone,
            )


def _suffix(instance: Instance) -> str:
    if instance.source is not None:
        return f" from {instance.source}"
    return "" if instance.version is None else f"@{instance.version}"


def _options(workload: ir.Workload, instance: Instance, placement: Placement) -> EmitOptions:
    key = (workload.namespace, workload.name)
    return EmitOptions(
        listen_addresses={key: instance.listen},
        application_addresses={key: instance.application},
        outbound_addresses={key: instance.outbound},
        source_address=instance.source,
        tls_directory=instance.tls_directory,
        external_addresses={
            f"{host}:{number}": SocketAddress(host=address, port=port)
            for (host, number), (address, port) in placement.externals.items()
        },
        ca_file=placement.ca_file,
        admin=None,
    )


def _outbound(mesh: ir.Mesh) -> Mapping[PortKey, int]:
    """The port of the listener that leads to each destination; of an external's hosts, the first."""
    listeners = tcp_listener_ports(mesh)
    found: dict[PortKey, int] = {}
    for workload in mesh.workloads:
        for port in workload.ports:
            key = cluster_name(workload.namespace, workload.name, port.number)
            found[(workload.namespace, workload.name, port.number)] = (
                OUTBOUND_PORT if port.protocol.is_http else listeners[key]
            )
    for external in mesh.externals:
        for port in external.ports:
            key = external_cluster(external, port, external.hosts[0])
            found[(external.namespace, external.name, port.number)] = (
                OUTBOUND_PORT if port.protocol.is_http else listeners[key]
            )
    return found
