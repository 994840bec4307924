"""What pods are labelled with, by the manifests that make them: selectors of Istio's objects pick pods, and a Service's says less of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from meshc import ir
from meshc.reading import ConfigObject
from meshc.reading.plain import mapping
from meshc.target import Json
from meshc_istio.read.pods import TEMPLATES

Labels = Mapping[str, str]


@dataclass(slots=True)
class PodLabels:
    """The labels of pods that are among the objects, by their namespace and each of their labels."""

    by_label: Mapping[tuple[str, str, str], Sequence[Labels]] = field(default_factory=dict)
    _known: dict[tuple[str, str], Sequence[Labels]] = field(default_factory=dict)

    def of(self, workload: ir.Workload) -> Sequence[Labels]:
        """Those of the pods of a service; none where no manifest makes any."""
        key = (workload.namespace, workload.name)
        if key not in self._known:
            wanted = workload.labels.items()
            label = min(wanted, default=None)
            here = () if label is None else self.by_label.get((workload.namespace, *label), ())
            self._known[key] = [one for one in here if wanted <= one.items()]
        return self._known[key]

    def variants(self, workload: ir.Workload) -> list[Labels]:
        """All labels that some pods of a service may have."""
        versions = ({**workload.labels, **version.labels} for version in workload.versions)
        return [workload.labels, *versions, *self.of(workload)]

    def are_on_all(self, labels: Labels, workload: ir.Workload) -> bool:
        """Whether all pods of a service have these labels."""
        given = self.of(workload)
        return labels.items() <= workload.labels.items() or (
            bool(given) and all(labels.items() <= one.items() for one in given)
        )

    def are_on_some(self, labels: Labels, workload: ir.Workload) -> bool:
        """Whether some pods of a service may have these labels."""
        return any(labels.items() <= one.items() for one in self.variants(workload))

    def completed(self, mesh: ir.Mesh) -> ir.Mesh:
        """The mesh whose services have all labels that all of their pods have, except those that versions are told by."""
        return replace(mesh, workloads=tuple(map(self._completed, mesh.workloads)))

    def _completed(self, workload: ir.Workload) -> ir.Workload:
        pods = self.of(workload)
        told = {name for version in workload.versions for name in version.labels}
        common = {
            name: value
            for name, value in (pods[0].items() if pods else ())
            if name not in told and all(one.get(name) == value for one in pods)
        }
        return (
            workload
            if common.items() <= workload.labels.items()
            else replace(workload, labels={**common, **workload.labels})
        )


def pod_labels(objects: Iterable[ConfigObject]) -> PodLabels:
    """What the objects say of pods. One without a namespace is of `default`."""
    found: dict[tuple[str, str, str], list[Labels]] = {}
    for one in objects:
        steps = TEMPLATES.get(one.kind)
        if steps is None:
            continue
        pod: Mapping[str, Json] = one.data
        for step in steps:
            pod = mapping(pod.get(str(step)))
        labels = {key: str(value) for key, value in mapping(mapping(pod.get("metadata")).get("labels")).items()}
        for key, value in labels.items():
            found.setdefault((one.namespace or "default", key, value), []).append(labels)
    return PodLabels(found)


def with_labels(mesh: ir.Mesh, known: ir.Mesh) -> ir.Mesh:
    """The mesh with the labels that its services are known by."""
    labels = {(one.namespace, one.name): one.labels for one in known.workloads}
    return replace(
        mesh, workloads=tuple(replace(one, labels=labels[one.namespace, one.name]) for one in mesh.workloads)
    )
