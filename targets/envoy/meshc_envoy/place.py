"""Place: all sidecars of a mesh on one machine, each workload at addresses of its own."""

from collections.abc import Mapping

from meshc import ir
from meshc.target import PlacedEmission, Placement, PortKey
from meshc_envoy.addresses import OUTBOUND_PORT, cluster_name, external_cluster, inbound_ports, tcp_listener_ports
from meshc_envoy.emit import emit
from meshc_envoy.options import EmitOptions, SocketAddress


def place(mesh: ir.Mesh, placement: Placement) -> PlacedEmission:
    """Emit a mesh whose workloads have one endpoint each, at the first of their listen addresses."""
    options = EmitOptions(
        listen_addresses=placement.listen,
        application_addresses=placement.application,
        outbound_addresses=placement.outbound,
        tls_directories=placement.tls_directories,
        external_addresses={
            f"{host}:{number}": SocketAddress(host=address, port=port)
            for (host, number), (address, port) in placement.externals.items()
        },
        ca_file=placement.ca_file,
        admin=None,
    )
    inbound = {
        (workload.namespace, workload.name, port.number): inbound_ports(workload, port)[0]
        for workload in mesh.workloads
        for port in workload.ports
    }
    return PlacedEmission(emission=emit(mesh, options), inbound=inbound, outbound=_outbound(mesh))


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
