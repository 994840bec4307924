"""Where sidecars listen, and the names that destinations go by. All of it is stable and part of the contract with users.

- A service's ports, ordered by number, are 0, 1, 2, …; port `i` is served at 15010 + `i`. Where the service has endpoints,
  its port 0 is served at the endpoints' own ports instead.
- Outbound HTTP of every kind goes to port 15001, where the Host chooses the destination.
- Each tcp or tls destination has a listener of its own, at 20000 + the CRC-32 of `namespace/service:port` (for externals
  `namespace/service:port/host`) modulo 10000, or the next free one; taken ports are counted over the whole mesh in the
  order of these names.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from zlib import crc32

from meshc import ir

OUTBOUND_PORT: Final = 15001
FIRST_INBOUND_PORT: Final = 15010
_FIRST_TCP_PORT: Final = 20000
_TCP_PORTS: Final = 10000


def cluster_name(namespace: str, service: str, port: int) -> str:
    """The name of the cluster of a destination."""
    return f"{namespace}/{service}:{port}"


def ordered_ports(ports: tuple[ir.PortPolicy, ...]) -> tuple[ir.PortPolicy, ...]:
    """The ports by number."""
    return tuple(sorted(ports, key=lambda port: port.number))


def inbound_ports(workload: ir.Workload, port: ir.PortPolicy) -> tuple[int, ...]:
    """The ports at which a workload's sidecar listens for a service port, sorted."""
    index = ordered_ports(workload.ports).index(port)
    if index == 0 and workload.endpoints:
        return tuple(sorted({endpoint.port for endpoint in workload.endpoints}))
    return (FIRST_INBOUND_PORT + index,)


def peer_addresses(workload: ir.Workload, port: ir.PortPolicy) -> tuple[tuple[ir.Endpoint, int], ...]:
    """The endpoints of a service port, each with the port at which its sidecar serves it."""
    index = ordered_ports(workload.ports).index(port)
    return tuple(
        (endpoint, endpoint.port if index == 0 else FIRST_INBOUND_PORT + index) for endpoint in workload.endpoints
    )


def service_host(mesh: ir.Mesh, workload: ir.Workload, version: str | None = None) -> str:
    """The full DNS name of a service, as Kubernetes forms it; a version's is that of a service `<name>-<version>`."""
    name = workload.name if version is None else f"{workload.name}-{version}"
    return f"{name}.{workload.namespace}.svc.{mesh.cluster_domain}"


def service_names(
    mesh: ir.Mesh, caller: ir.Workload, workload: ir.Workload, namesakes: Sequence[ir.Workload]
) -> tuple[str, ...]:
    """The hosts that mean a service to a caller, shortest first; `namesakes` are all services of its name.

    The bare name means the service of the caller's own namespace, else the only one of the mesh that has the name.
    """
    in_own_namespace = any(other.namespace == caller.namespace for other in namesakes)
    is_meant = workload.namespace == caller.namespace if in_own_namespace else len(namesakes) == 1
    bare = (workload.name,) if is_meant else ()
    return (*bare, f"{workload.name}.{workload.namespace}", service_host(mesh, workload))


def tcp_listener_ports(mesh: ir.Mesh) -> Mapping[str, int]:
    """The outbound port of every tcp and tls destination: keys are `namespace/service:port`, with `/host` for externals."""
    taken: set[int] = set()
    ports: dict[str, int] = {}
    for key in sorted(_tcp_destinations(mesh)):
        port = crc32(key.encode()) % _TCP_PORTS
        while port in taken:
            port = (port + 1) % _TCP_PORTS
        taken.add(port)
        ports[key] = _FIRST_TCP_PORT + port
    return ports


def _tcp_destinations(mesh: ir.Mesh) -> list[str]:
    inside = [
        cluster_name(workload.namespace, workload.name, port.number)
        for workload in mesh.workloads
        for port in workload.ports
        if not port.protocol.is_http
    ]
    outside = [
        external_cluster(external, port, host)
        for external in mesh.externals
        for port in external.ports
        if not port.protocol.is_http
        for host in external.hosts
    ]
    return inside + outside


def external_cluster(external: ir.External, port: ir.PortPolicy, host: str) -> str:
    """The name of the cluster of one host of an external."""
    return f"{cluster_name(external.namespace, external.name, port.number)}/{host}"
