"""Which objects are for which workload: by namespace, the root namespace, and selectors.

A selector picks the pods that carry its labels; one that only some pods of a workload carry, those of a version, is for the reader to
refuse.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from meshc import ir
from meshc.reading import ConfigObject
from meshc.reading.plain import mapping
from meshc_istio.read.pod_labels import PodLabels


class Level(Enum):
    """How near an object is to a workload, the nearest last."""

    MESH = 0
    NAMESPACE = 1
    WORKLOAD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """An object for a workload. `is_partial`: it is for some of its pods alone."""

    object: ConfigObject
    level: Level
    is_partial: bool = False


class Attachments:
    """The objects of one kind, by the workloads that they are for."""

    def __init__(self, objects: Iterable[ConfigObject], root: str, pods: PodLabels) -> None:
        self._root = root
        self._pods = pods
        self._whole: dict[str, list[ConfigObject]] = {}
        self._by_label: dict[tuple[str, str, str], list[ConfigObject]] = {}
        for one in objects:
            labels = _labels(one)
            if not labels:
                self._whole.setdefault(one.namespace, []).append(one)
            else:
                key, value = min(labels.items())
                self._by_label.setdefault((one.namespace, key, value), []).append(one)

    def of(self, workload: ir.Workload) -> Iterator[Attached]:
        """All of them, in the order in which they were given within a level."""
        for one in self._whole.get(self._root, ()):
            yield Attached(object=one, level=Level.MESH)
        if workload.namespace != self._root:
            for one in self._whole.get(workload.namespace, ()):
                yield Attached(object=one, level=Level.NAMESPACE)
        yield from self._selected(workload)

    def _selected(self, workload: ir.Workload) -> Iterator[Attached]:
        carried = {label for labels in self._pods.variants(workload) for label in labels.items()}
        for namespace in dict.fromkeys((self._root, workload.namespace)):
            for key, value in sorted(carried):
                for one in self._by_label.get((namespace, key, value), ()):
                    labels = _labels(one)
                    if self._pods.are_on_all(labels, workload):
                        yield Attached(object=one, level=Level.WORKLOAD)
                    elif self._pods.are_on_some(labels, workload):
                        yield Attached(object=one, level=Level.WORKLOAD, is_partial=True)


def _labels(one: ConfigObject) -> dict[str, str]:
    selector = mapping(mapping(one.data.get("spec")).get("selector"))
    return {str(key): str(value) for key, value in mapping(selector.get("matchLabels")).items()}
