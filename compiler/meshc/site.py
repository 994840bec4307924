"""Sites: where one sidecar listens, where its application is, and where everything is that it may call.

What a mesh means does not depend on it; a proxy that runs the mesh does. Targets whose files name addresses say it of a file
(`Target.site`); for all others it follows from `meshc.addresses`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from meshc.addresses import (
    FIRST_INBOUND_PORT,
    OUTBOUND_PORT,
    cluster_name,
    external_cluster,
    inbound_ports,
    ordered_ports,
    peer_addresses,
    service_host,
    tcp_listener_ports,
)
from meshc.ir import External, Mesh, PortPolicy, Workload
from meshc.target import PortKey, WorkloadKey

TLS_DIRECTORY: Final = PurePosixPath("/etc/meshc/tls")
"""Where a sidecar finds `cert.pem`, `key.pem` and `<trust domain>.pem`, if nothing else is said."""

CA_FILE: Final = PurePosixPath("/etc/ssl/certs/ca-certificates.crt")
"""The authorities of externals, if nothing else is said."""

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host, by address or by name, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """One port of the workload: where its sidecar listens, and where the application does."""

    number: int
    listen: tuple[Address, ...]
    application: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A listener for the application's connections to one tcp or tls destination; `host` is an external's."""

    listen: Address
    to: PortKey
    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One endpoint of a destination; `version` and `zone` where it says them, `host` the external's host that it stands for."""

    address: Address
    version: str | None = None
    zone: str | None = None
    weight: int = 1
    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where one sidecar and all that it may call is.

    `outbound` are the addresses at which the application's own HTTP calls arrive, `peers` the endpoints of each
    destination. `source` is the address that connections come from, None for whichever the system picks.
    """

    workload: WorkloadKey
    inbound: tuple[Inbound, ...]
    outbound: tuple[Address, ...]
    ways: tuple[Way, ...]
    peers: Mapping[PortKey, tuple[Peer, ...]]
    tls_directory: PurePosixPath = TLS_DIRECTORY
    ca_file: PurePosixPath = CA_FILE
    source: str | None = None
    zone: str | None = None
    hosts: Mapping[str, PortKey] | None = None
    """Which hosts lead where, as Envoy writes them: `cart`, `cart:80`, `cart:*`, `*.example.com`. None: by `meshc.addresses`."""


def site_of(
    mesh: Mesh,
    workload: Workload,
    *,
    listen: Sequence[str] = ("0.0.0.0",),  # noqa: S104  a sidecar serves the whole network
    application: str = LOOPBACK,
    outbound: str = LOOPBACK,
    externals: Mapping[tuple[str, int], tuple[str, int]] | None = None,
) -> Site:
    """Where a workload's sidecar is, by the contract of `meshc.addresses`.

    `externals` gives an external's host and port another address.
    """
    return Site(
        workload=(workload.namespace, workload.name),
        inbound=tuple(
            Inbound(
                number=port.number,
                listen=tuple(
                    Address(host=host, port=number) for host in listen for number in inbound_ports(workload, port)
                ),
                application=Address(host=application, port=port.target),
            )
            for port in ordered_ports(workload.ports)
        ),
        outbound=(Address(host=outbound, port=OUTBOUND_PORT),),
        ways=_ways(mesh, outbound),
        peers=_peers(mesh, externals or {}),
    )


def _ways(mesh: Mesh, outbound: str) -> tuple[Way, ...]:
    ports = tcp_listener_ports(mesh)
    found: list[Way] = []
    for workload in mesh.workloads:
        for port in _opaque(workload):
            key = (workload.namespace, workload.name, port.number)
            found.append(Way(listen=Address(host=outbound, port=ports[cluster_name(*key)]), to=key))
    for external in mesh.externals:
        for port in _opaque(external):
            key = (external.namespace, external.name, port.number)
            for host in external.hosts:
                at = Address(host=outbound, port=ports[external_cluster(external, port, host)])
                found.append(Way(listen=at, to=key, host=host))
    return tuple(found)


def _opaque(owner: Workload | External) -> list[PortPolicy]:
    return [port for port in owner.ports if not port.protocol.is_http]


def _peers(mesh: Mesh, externals: Mapping[tuple[str, int], tuple[str, int]]) -> Mapping[PortKey, tuple[Peer, ...]]:
    found: dict[PortKey, tuple[Peer, ...]] = {}
    for workload in mesh.workloads:
        for port in workload.ports:
            found[workload.namespace, workload.name, port.number] = _inside(mesh, workload, port)
    for external in mesh.externals:
        for port in external.ports:
            found[external.namespace, external.name, port.number] = tuple(
                Peer(address=_outside(host, port.number, externals), host=host) for host in external.hosts
            )
    return found


def _inside(mesh: Mesh, workload: Workload, port: PortPolicy) -> tuple[Peer, ...]:
    if workload.endpoints or workload.discovery.value == "static":
        return tuple(
            Peer(
                address=Address(host=one.host, port=number),
                version=one.version,
                zone=one.zone,
                weight=one.weight,
            )
            for one, number in peer_addresses(workload, port)
        )
    number = FIRST_INBOUND_PORT + ordered_ports(workload.ports).index(port)
    host = workload.dns_name or service_host(mesh, workload)
    named = [Peer(address=Address(host=host, port=number))]
    versions = [
        Peer(address=Address(host=service_host(mesh, workload, one.name), port=number), version=one.name)
        for one in workload.versions
    ]
    return (*named, *versions)


def _outside(host: str, port: int, externals: Mapping[tuple[str, int], tuple[str, int]]) -> Address:
    placed, number = externals.get((host, port), (host, port))
    return Address(host=placed, port=number)
