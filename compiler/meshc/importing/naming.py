"""How services, ports and callers are called in an imported program: as shortly as one name each allows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from meshc import ir
from meshc.semantics.show import Names, identity_names
from meshc.target import PortKey


@dataclass(frozen=True, slots=True)
class Naming:
    """Names by namespace and name; `identities` are those of callers, `ports` the numbers of each service's ports."""

    services: Mapping[tuple[str, str], str]
    identities: Names
    ports: Mapping[tuple[str, str], tuple[int, ...]]

    def service(self, namespace: str, name: str) -> str:
        """A service or external; one that nobody declares by its whole name."""
        return self.services.get((namespace, name), f"{namespace}.{name}")

    def port(self, key: PortKey) -> str:
        """A port; the service alone where it has no other."""
        name = self.service(key[0], key[1])
        return name if self.ports.get(key[:2]) == (key[2],) else f"{name}:{key[2]}"

    def destination(self, one: ir.Destination, near: PortKey) -> str:
        """A destination of a block that is about the port `near`, which goes without its number."""
        key = (one.namespace, one.service, one.port)
        name = self.service(one.namespace, one.service) if key == near else self.port(key)
        return name if one.version is None else f"{name}@{one.version}"


def naming_of(mesh: ir.Mesh) -> Naming:
    """The names of a mesh: without their namespace, where no other namespace has a service of that name."""
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    count = Counter(one.name for one in owners)
    short = {
        (one.namespace, one.name): one.name if count[one.name] == 1 else f"{one.namespace}.{one.name}" for one in owners
    }
    by_long = {f"{namespace}.{name}": shown for (namespace, name), shown in short.items()}
    identities = {
        identity: ", ".join(by_long.get(part, part) for part in shown.split(", "))
        for identity, shown in identity_names(mesh).items()
    }
    ports = {(one.namespace, one.name): tuple(port.number for port in one.ports) for one in owners}
    return Naming(short, identities, ports)
