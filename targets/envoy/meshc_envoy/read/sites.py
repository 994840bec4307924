"""Where bootstraps have sidecars listen, and where they find applications and peers: the addresses, and nothing of the meaning."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from meshc import ir
from meshc.addresses import OUTBOUND_PORT
from meshc.reading import ConfigObject
from meshc.site import CA_FILE, TLS_DIRECTORY, Address, Inbound, Peer, Site, Way
from meshc.target import PortKey, WorkloadKey
from meshc_envoy.read.bootstraps import Sidecar, sidecar
from meshc_envoy.read.clusters import CLUSTER_NAME, addresses_of
from meshc_envoy.read.messages import Message, NotUnderstoodError
from meshc_envoy.read.notes import Notes

_MANAGER: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_TCP_PROXY: Final = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_INBOUND: Final = "inbound/"
_OUTBOUND: Final = "outbound/"
_CLOSED: Final = "closed/"


def sites(objects: Sequence[ConfigObject], mesh: ir.Mesh) -> Mapping[WorkloadKey, Site]:
    """The site of each sidecar that is a workload of the mesh. What is not understood of one leaves it out."""
    found: dict[WorkloadKey, Site] = {}
    workloads = {(one.namespace, one.name): one for one in mesh.workloads}
    for source in objects:
        try:
            car = sidecar(source, Notes())
            namespace, _, name = car.node.partition("/")
            workload = workloads.get((namespace, name))
            if workload is not None:
                found[namespace, name] = _site(car, workload)
        except NotUnderstoodError:
            continue
    return found


def _site(car: Sidecar, workload: ir.Workload) -> Site:
    numbers = {port.number for port in workload.ports}
    hosts: dict[str, PortKey] = {}
    inbound: list[Inbound] = []
    outbound: list[Address] = []
    ways: list[Way] = []
    for listener in car.listeners:
        name, address = listener.text("name"), _address(listener.need("address"))
        served = name.removeprefix(_INBOUND)
        if served != name and served.isdecimal() and int(served) in numbers:
            addresses = (address, *(_address(one.need("address")) for one in listener.messages("additional_addresses")))
            inbound.append(Inbound(number=int(served), listen=addresses, application=_application(car, listener)))
        elif address.port == OUTBOUND_PORT:
            outbound.append(address)
            hosts |= _hosts(listener)
        elif (way := CLUSTER_NAME.fullmatch(name.removeprefix(_OUTBOUND))) is not None:
            ways.append(Way(listen=address, to=(way[1], way[2], int(way[3])), host=way[4]))
    return Site(
        workload=(workload.namespace, workload.name),
        inbound=tuple(inbound),
        outbound=tuple(outbound),
        ways=tuple(ways),
        peers=_peers(car),
        tls_directory=_directory(car),
        ca_file=_authorities(car),
        zone=car.zone or None,
        hosts=hosts,
    )


def _address(message: Message) -> Address:
    socket = message.need("socket_address")
    number = socket.whole("port_value")
    if number is None:
        raise socket.error("an address without a port")
    return Address(host=socket.text("address"), port=number)


def _filters(listener: Message) -> Iterator[tuple[str, Message]]:
    for chain in listener.messages("filter_chains"):
        for one in chain.messages("filters"):
            yield one.config()


def _application(car: Sidecar, listener: Message) -> Address:
    names: set[str] = set()
    for kind, config in _filters(listener):
        if kind == _TCP_PROXY:
            names.add(config.text("cluster"))
        elif kind == _MANAGER:
            for host in config.need("route_config").messages("virtual_hosts"):
                names |= {
                    route.need("route").text("cluster") for route in host.messages("routes") if route.has("route")
                }
    found = {
        Address(host=one.host, port=one.port)
        for name in names
        if name in car.clusters
        for one in addresses_of(car.clusters[name], car.endpoints)
    }
    if len(found) != 1:
        raise listener.error("an application at several addresses is not understood")
    return found.pop()


def _hosts(listener: Message) -> dict[str, PortKey]:
    found: dict[str, PortKey] = {}
    for kind, config in _filters(listener):
        if kind != _MANAGER:
            continue
        for host in config.need("route_config").messages("virtual_hosts"):
            named = CLUSTER_NAME.fullmatch(host.text("name").removeprefix(_CLOSED))
            if named is not None:
                found |= dict.fromkeys(host.texts("domains"), (named[1], named[2], int(named[3])))
    return found


def _peers(car: Sidecar) -> Mapping[PortKey, tuple[Peer, ...]]:
    found: dict[PortKey, dict[Peer, None]] = {}
    for name, cluster in car.clusters.items():
        named = CLUSTER_NAME.fullmatch(name)
        if named is None:
            continue
        key = (named[1], named[2], int(named[3]))
        listed = found.setdefault(key, {})
        listed |= dict.fromkeys(_cluster_peers(car, cluster, named[4], named[5]))
    return {key: tuple(peers) for key, peers in found.items()}


def _cluster_peers(car: Sidecar, cluster: Message, host: str | None, version: str | None) -> Iterator[Peer]:
    if cluster.has("cluster_type") and host is not None:
        yield Peer(address=Address(host=host, port=0), host=host)
        return
    for one in addresses_of(cluster, car.endpoints):
        yield Peer(address=Address(host=one.host, port=one.port), version=version, weight=one.weight, host=host)


def _directory(car: Sidecar) -> PurePosixPath:
    for listener in car.listeners:
        for chain in listener.messages("filter_chains"):
            socket = chain.message("transport_socket")
            common = None if socket is None else socket.config()[1].message("common_tls_context")
            for one in common.messages("tls_certificates") if common is not None else ():
                return PurePosixPath(one.need("certificate_chain").text("filename")).parent
    return TLS_DIRECTORY


def _authorities(car: Sidecar) -> PurePosixPath:
    """The file that externals are verified with."""
    for name, cluster in car.clusters.items():
        named = CLUSTER_NAME.fullmatch(name)
        socket = cluster.message("transport_socket")
        if named is None or named[4] is None or socket is None:
            continue
        validation = socket.config()[1].need("common_tls_context").message("validation_context")
        trusted = None if validation is None else validation.message("trusted_ca")
        if trusted is not None:
            return PurePosixPath(trusted.text("filename"))
    return CA_FILE
