"""Services by name: which service or version of the mesh each leads to."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from meshc import ir
from meshc.reading import ConfigObject
from meshc.reading.plain import mapping


@dataclass(slots=True)
class Services:
    """The services of the mesh, and the Services among the objects that select the pods of one version."""

    known: ir.Mesh
    objects: dict[tuple[str, str], list[ConfigObject]] = field(default_factory=dict)

    def add(self, one: ConfigObject) -> None:
        """Take note of a Service, or of a patch for one."""
        self.objects.setdefault((one.namespace, one.name), []).append(one)

    def of(self, workload: ir.Workload) -> Iterable[ConfigObject]:
        """The objects of a service's own Service."""
        return self.objects.get((workload.namespace, workload.name), ())

    def find(self, namespace: str, name: str) -> tuple[ir.Workload, str | None] | None:
        """The service that a Service is, and the version if it is one's; None for a Service that is not known."""
        own = next((one for one in self.known.workloads if (one.namespace, one.name) == (namespace, name)), None)
        if own is not None:
            return own, None
        for one in self.objects.get((namespace, name), ()):
            selector = mapping(mapping(one.data.get("spec")).get("selector"))
            for workload in self.known.workloads:
                for version in workload.versions if workload.namespace == namespace else ():
                    if selector == {**workload.labels, **version.labels}:
                        return workload, version.name
        return None
