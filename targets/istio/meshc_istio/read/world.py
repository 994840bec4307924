"""What hosts, ports and labels mean in the mesh that is known: services by their names, callers by their pods."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshc import ir
from meshc_istio.directory import Owner, called_number
from meshc_istio.read.account import PortKey
from meshc_istio.read.fields import NotReadError
from meshc_istio.read.pod_labels import PodLabels


@dataclass(slots=True)
class World:
    """The known mesh by names. Of an external, a port is known by the number that applications call."""

    mesh: ir.Mesh
    pods: PodLabels = field(default_factory=PodLabels)
    hosts: dict[str, Owner] = field(default_factory=dict)
    owners: dict[tuple[str, str], Owner] = field(default_factory=dict)
    numbers: dict[tuple[str, str], dict[int, ir.PortPolicy]] = field(default_factory=dict)
    _carriers: dict[tuple[str, str], list[ir.Workload]] = field(default_factory=dict)
    _callers: dict[object, ir.Principals] = field(default_factory=dict)

    def __post_init__(self) -> None:
        everybody: tuple[Owner, ...] = (*self.mesh.workloads, *self.mesh.externals)
        for owner in everybody:
            names = owner.hosts if isinstance(owner, ir.External) else (self.host(owner),)
            self.owners[owner.namespace, owner.name] = owner
            self.hosts |= {name: owner for name in names if name not in self.hosts}
            self.numbers[owner.namespace, owner.name] = {called_number(owner, one): one for one in owner.ports}
        for one in self.mesh.workloads:
            for label in {label for labels in self.pods.variants(one) for label in labels.items()}:
                self._carriers.setdefault(label, []).append(one)

    def host(self, workload: ir.Workload) -> str:
        """The full name of a service."""
        return f"{workload.name}.{workload.namespace}.svc.{self.mesh.cluster_domain}"

    def full(self, host: str, namespace: str) -> str:
        """A host as it is meant in an object of a namespace: one without a dot is a service of that namespace; `*` is every host."""
        return (
            host.lower() if "." in host or host == "*" else f"{host.lower()}.{namespace}.svc.{self.mesh.cluster_domain}"
        )

    def port(self, owner: Owner, number: int) -> ir.PortPolicy | None:
        """The port that is called by a number."""
        return self.numbers[owner.namespace, owner.name].get(number)

    def keys(self, owner: Owner) -> tuple[PortKey, ...]:
        """All ports of an owner."""
        return tuple((owner.namespace, owner.name, port.number) for port in owner.ports)

    # ---- callers ----------------------------------------------------------------------------------------------------

    def callers(self, labels: Mapping[str, str], namespace: str | None) -> ir.Principals | None:
        """Whose pods carry these labels in the namespace; None for everybody. Raises NotReadError."""
        if not labels and not namespace:
            return None
        key = (tuple(sorted(labels.items())), namespace)
        if key not in self._callers:
            self._callers[key] = self._find(labels, namespace)
        return self._callers[key]

    def _find(self, labels: Mapping[str, str], namespace: str | None) -> ir.Principals:
        if not labels:
            return ir.Principals((ir.IdentityPrefix(f"spiffe://{self.mesh.trust_domain}/ns/{namespace}/sa/"),))
        carriers = min((self._carriers.get(label, []) for label in labels.items()), key=len)
        here = [one for one in carriers if namespace in {None, "", one.namespace}]
        meant = [one for one in here if self.pods.are_on_all(labels, one)]
        partly = [one for one in here if one not in meant and self.pods.are_on_some(labels, one)]
        if partly:
            raise NotReadError(f"callers by labels that some pods of `{partly[0].name}` carry alone")
        if not meant:
            raise NotReadError("callers by labels that no known service carries")
        identities = dict.fromkeys(one.identity for one in meant)
        if len(identities) != len(meant):
            raise NotReadError("callers by labels, of services that share one identity")
        return ir.Principals(tuple(ir.ExactIdentity(one) for one in sorted(identities)))

    # ---- versions ---------------------------------------------------------------------------------------------------

    @staticmethod
    def version(workload: ir.Workload, name: str, labels: Mapping[str, str]) -> str | None:
        """The version whose pods carry these labels; None for all of the service. Raises NotReadError."""
        if labels.items() <= workload.labels.items():
            return None
        picked = [one.name for one in workload.versions if labels.items() <= {**workload.labels, **one.labels}.items()]
        if not picked and any(one.name == name for one in workload.versions):
            raise NotReadError(f"the subset `{name}`, whose labels are not those of the version of that name,")
        if not picked or name in picked:
            return name
        if len(picked) > 1:
            raise NotReadError(f"the subset `{name}`, which several versions belong to,")
        return picked[0]
