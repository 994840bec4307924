"""What leads from a caller to ports: hosts, and the listeners of what is no HTTP, as sidecars of meshc's have them."""

from meshc import ir
from meshc.addresses import cluster_name, external_cluster, service_host, tcp_listener_ports
from meshc.target import PortKey
from meshc_envoy.read.clusters import Addressed


class Names:
    """What leads to ports: the hosts of HTTP destinations, and the listeners of all others."""

    def __init__(self, addressed: Addressed) -> None:
        self.hosts: dict[str, list[PortKey]] = {}
        self.listeners: dict[int, PortKey] = {}
        self.forms: dict[PortKey, frozenset[str]] = {}
        self.services: set[PortKey] = set()
        numbers = tcp_listener_ports(addressed.mesh)
        for key, (owner, port, _) in addressed.owners.items():
            if isinstance(owner, ir.Workload):
                hosts = [f"{owner.name}.{owner.namespace}", service_host(addressed.mesh, owner)]
                listeners = [cluster_name(*key)]
            else:
                hosts = list(owner.hosts)
                listeners = [external_cluster(owner, port, host) for host in owner.hosts]
            self.forms[key] = frozenset(f"{host}:{port.number}" for host in hosts)
            if isinstance(owner, ir.Workload):
                self.services.add(key)
            if port.protocol.is_http:
                for host in hosts:
                    self.hosts.setdefault(f"{host}:{port.number}", []).append(key)
            else:
                self.listeners |= {numbers[name]: key for name in listeners}
