"""Which objects concern a workload: namespaces, selectors, age."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from meshc_harness.istio.reading import Fields, reject

MAX_LABEL = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who an object is. `age` sorts: the creation time, then the name, as Istio breaks ties."""

    kind: str
    namespace: str
    name: str
    created: str
    annotations: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def age(self) -> tuple[str, str, str]:
        return self.created, self.name, self.namespace


class Selecting(Protocol):
    """An object that may pick workloads by their labels; no labels pick all."""

    @property
    def identity(self) -> Identity: ...

    @property
    def selector(self) -> Mapping[str, str]: ...


T = TypeVar("T", bound=Selecting)


def read_identity(document: Fields) -> Identity:
    """The metadata of an object; `spec` is left to read."""
    document.ignore("apiVersion")
    metadata = document.fields("metadata")
    if metadata is None:
        reject(document.where, "no metadata")
    found = Identity(
        kind=document.needed_text("kind"),
        namespace=metadata.needed_text("namespace"),
        name=metadata.needed_text("name"),
        created=str(metadata.value("creationTimestamp") or ""),
        annotations=metadata.text_map("annotations"),
    )
    for key, value in metadata.text_map("labels").items():
        if not key or len(value) > MAX_LABEL:
            reject(document.where, f"label `{key}`")
    metadata.finish()
    return found


def read_selector(spec: Fields, name: str = "selector", labels: str = "matchLabels") -> Mapping[str, str]:
    """The labels that a selector asks for; empty for no selector."""
    if "targetRef" in spec or "targetRefs" in spec:
        reject(spec.where, "targetRefs do nothing on sidecars")
    selector = spec.fields(name)
    if selector is None:
        return {}
    found = selector.text_map(labels)
    selector.finish()
    for key, value in found.items():
        if not key or "*" in key or "*" in value or len(value) > MAX_LABEL:
            reject(selector.where, f"label `{key}: {value}`")
    return found


def is_subset(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())


def attached(objects: Iterable[T], root: str, namespace: str, labels: Mapping[str, str]) -> list[T]:
    """Those of the root namespace and of the workload's own whose selector picks it, by age."""
    found = [one for one in objects if one.identity.namespace in {root, namespace} and is_subset(one.selector, labels)]
    return sorted(found, key=lambda one: one.identity.age)
