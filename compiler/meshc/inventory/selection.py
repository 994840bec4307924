"""Selection: which workloads a label selector picks."""

from collections.abc import Iterable, Sequence

from meshc.inventory.manifests import Workload


class Selection:
    """The workloads of all files, found by their labels; remembers which were picked."""

    def __init__(self, workloads: Sequence[Workload]) -> None:
        self._workloads = workloads
        self._by_label: dict[tuple[str, str, str], list[int]] = {}
        self._picked: set[int] = set()
        for index, workload in enumerate(workloads):
            for name, value in workload.labels.items():
                self._by_label.setdefault((workload.namespace.text, name, value.text), []).append(index)

    def pick(self, namespace: str, selector: Iterable[tuple[str, str]]) -> tuple[Workload, ...]:
        """The workloads of a namespace that have all labels of a selector, which is not empty, in the order of the files."""
        wanted = list(selector)
        lists = [self._by_label.get((namespace, name, value), []) for name, value in wanted]
        picked = [
            index
            for index in min(lists, key=len)
            if all(_has(self._workloads[index], name, value) for name, value in wanted)
        ]
        self._picked.update(picked)
        return tuple(self._workloads[index] for index in picked)

    def unpicked(self) -> tuple[Workload, ...]:
        """The workloads that nothing has picked so far."""
        return tuple(one for index, one in enumerate(self._workloads) if index not in self._picked)


def _has(workload: Workload, name: str, value: str) -> bool:
    label = workload.labels.get(name)
    return label is not None and label.text == value
