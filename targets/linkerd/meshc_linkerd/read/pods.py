"""Pods and templates of pods among the objects, and whose they may be: a service's pods are told by their labels alone."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.reading import ConfigObject, Step
from meshc.reading.plain import mapping
from meshc.target import Json

_TEMPLATE: Final[tuple[Step, ...]] = ("spec", "template")
_TEMPLATES: Final[Mapping[str, tuple[Step, ...]]] = {
    "Pod": (),
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
    **dict.fromkeys(
        ("DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "Rollout", "StatefulSet"), _TEMPLATE
    ),
}
"""Where each kind has its template; Argo's Rollouts are written like Deployments."""

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, or a template of some: `steps` lead to it in its object."""

    source: ConfigObject
    steps: tuple[Step, ...]
    labels: Labels
    annotations: Mapping[str, Json]
    spec: Mapping[str, Json]

    def may_be_of(self, workload: ir.Workload) -> bool:
        """Whether a service's pods may be these: none of its labels is another here."""
        is_near = self.source.namespace == workload.namespace
        return is_near and all(self.labels.get(key, value) == value for key, value in workload.labels.items())


def pods_of(objects: Iterable[ConfigObject]) -> tuple[Pod, ...]:
    """The pods and templates among objects."""
    return tuple(pod for one in objects if (pod := pod_of(one)) is not None)


def pod_of(one: ConfigObject) -> Pod | None:
    """The pod that an object is, or makes; None for other kinds."""
    steps = _TEMPLATES.get(one.kind)
    if steps is None:
        return None
    found = one.data
    for step in steps:
        found = mapping(found.get(str(step)))
    metadata = mapping(found.get("metadata"))
    labels = {str(key): str(value) for key, value in mapping(metadata.get("labels")).items()}
    annotations = mapping(metadata.get("annotations"))
    return Pod(one, steps, labels, annotations, mapping(found.get("spec")))


def labels_of(workload: ir.Workload, pods: Sequence[Pod]) -> tuple[tuple[Labels, ...], bool]:
    """The labels that pods of a service have, and whether these are all: those of its templates, else those that the program lists."""
    known = tuple(
        one.labels for one in pods if one.may_be_of(workload) and workload.labels.items() <= one.labels.items()
    )
    if known:
        return known, True
    return (workload.labels, *({**workload.labels, **version.labels} for version in workload.versions)), False


def decided_part(selector: Mapping[str, Json], keys: AbstractSet[str]) -> Mapping[str, Json] | None:
    """The part of a selector that asks for labels with these keys, if it asks for others as well; else None."""
    wanted = mapping(selector.get("matchLabels"))
    expressions = selector.get("matchExpressions")
    listed = [mapping(one) for one in expressions] if isinstance(expressions, list | tuple) else []
    decided = [one for one in listed if one.get("key") in keys]
    own = {key: value for key, value in wanted.items() if key in keys}
    if len(own) == len(wanted) and len(decided) == len(listed):
        return None
    return {"matchLabels": own, "matchExpressions": decided}
