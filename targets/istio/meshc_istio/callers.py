"""Callers: principals as tests of the caller's pod.

Istio chooses routes by the namespace and the labels of the caller's pod, and knows nothing of its identity there. A
workload's pods are those that carry its labels, so two workloads whose labels Istio cannot tell apart are an obstacle.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from meshc import ir
from meshc.semantics.principals import principals_check
from meshc_istio.obstacles import Obstacle

_NAMESPACE: Final = re.compile(r"spiffe://([^/]+)/ns/([^/]+)/(?:sa/)?")
_Key = TypeVar("_Key")
_NOBODY: Final = " "
"""No service account and no namespace is called so: it stands for all that the program does not name."""


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """Pods of a namespace: those with all of `labels`, or all of them if that is empty."""

    namespace: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerClass:
    """Callers whom all principals treat alike: `identity` is one of them. Without sources it is everybody else."""

    sources: tuple[Source, ...]
    identity: str


@dataclass(frozen=True, slots=True)
class Census:
    """The workloads of the mesh, by identity, by namespace, and by namespace and a label that some pods of them carry."""

    trust_domain: str
    by_identity: Mapping[str, tuple[ir.Workload, ...]]
    by_namespace: Mapping[str, tuple[ir.Workload, ...]]
    by_label: Mapping[tuple[str, str, str], tuple[ir.Workload, ...]]


def take_census(mesh: ir.Mesh) -> Census:
    """The census of a mesh."""
    by_identity: dict[str, list[ir.Workload]] = defaultdict(list)
    by_namespace: dict[str, list[ir.Workload]] = defaultdict(list)
    by_label: dict[tuple[str, str, str], list[ir.Workload]] = defaultdict(list)
    for one in mesh.workloads:
        by_identity[one.identity].append(one)
        by_namespace[one.namespace].append(one)
        for key, value in dict.fromkeys(label for labels in pod_labels(one) for label in labels.items()):
            by_label[one.namespace, key, value].append(one)
    return Census(mesh.trust_domain, _frozen(by_identity), _frozen(by_namespace), _frozen(by_label))


def _frozen(found: Mapping[_Key, list[ir.Workload]]) -> Mapping[_Key, tuple[ir.Workload, ...]]:
    return {key: tuple(listed) for key, listed in found.items()}


def pod_labels(one: ir.Workload) -> tuple[Mapping[str, str], ...]:
    """The labels that a workload's pods may carry: its own, and with them those of each version."""
    return (one.labels, *({**one.labels, **version.labels} for version in one.versions))


def caller_classes(census: Census, principals: Iterable[ir.Principals]) -> tuple[CallerClass, ...] | Obstacle:
    """All callers, in classes that are to be tried in order; the last one takes everybody."""
    asked = tuple(dict.fromkeys(principals))
    mentioned = tuple(dict.fromkeys(one for each in asked for one in (*each.include, *each.exclude)))
    checks = [principals_check(one) for one in asked]

    def answers(identity: str) -> tuple[bool, ...]:
        return tuple(check(identity) for check in checks)

    everybody = CallerClass(sources=(), identity=_unknown(census, _NOBODY))
    namespaces = {name: answers(_unknown(census, name)) for name in _namespaces(census, mentioned)}
    workloads = _workloads(census, mentioned)
    if isinstance(workloads, Obstacle):
        return workloads
    rest = answers(everybody.identity)
    apart = [one for one in workloads if answers(one.identity) != namespaces.get(one.namespace, rest)]
    for one in apart:
        if (mixed := _namesake(census, one, answers)) is not None:
            return mixed
    grouped: dict[tuple[bool, tuple[bool, ...]], CallerClass] = {}
    for workload in apart:
        _join(grouped, (True, answers(workload.identity)), _source(workload), workload.identity)
    for name, truth in sorted(namespaces.items()):
        # A workload that is treated like its namespace is one of it, even where the namespace is like everybody.
        if truth != rest:
            _join(grouped, (False, truth), Source(name), _unknown(census, name))
    return (*grouped.values(), everybody)


def _join(
    grouped: dict[tuple[bool, tuple[bool, ...]], CallerClass],
    key: tuple[bool, tuple[bool, ...]],
    source: Source,
    identity: str,
) -> None:
    known = grouped.get(key)
    sources = (source,) if known is None else tuple(sorted({*known.sources, source}))
    grouped[key] = CallerClass(sources=sources, identity=identity if known is None else known.identity)


def _source(workload: ir.Workload) -> Source:
    return Source(workload.namespace, tuple(sorted(workload.labels.items())))


def _unknown(census: Census, namespace: str) -> str:
    """An identity in a namespace that no declared workload has."""
    return f"spiffe://{census.trust_domain}/ns/{namespace}/sa/{_NOBODY}"


def _namespaces(census: Census, mentioned: Iterable[ir.Principal]) -> Iterator[str]:
    for one in mentioned:
        if isinstance(one, ir.IdentityPrefix):
            found = _NAMESPACE.fullmatch(one.prefix)
            if found is not None and found[1] == census.trust_domain:
                yield found[2]


def _workloads(census: Census, mentioned: Iterable[ir.Principal]) -> tuple[ir.Workload, ...] | Obstacle:
    """The workloads whose identities are named; identities of other trust domains have no sidecar in this mesh."""
    found: dict[int, ir.Workload] = {}
    own = f"spiffe://{census.trust_domain}/"
    for one in mentioned:
        if isinstance(one, ir.ExactIdentity) and one.identity.startswith(own):
            meant = census.by_identity.get(one.identity)
            if meant is None:
                return Obstacle(
                    reason=f"tell the callers of `{one.identity}`, since no service has this identity",
                    advice="declare the service that has it, with its labels",
                )
            found |= {id(workload): workload for workload in meant}
    return tuple(sorted(found.values(), key=lambda workload: (workload.namespace, workload.name)))


def _namesake(census: Census, one: ir.Workload, answers: Callable[[str], tuple[bool, ...]]) -> Obstacle | None:
    """A workload whose pods carry the labels of `one` too, although it is treated otherwise."""
    mine, labels = answers(one.identity), one.labels.items()
    carriers = [census.by_label[one.namespace, key, value] for key, value in labels]
    for other in min(carriers, key=len, default=census.by_namespace[one.namespace]):
        if any(labels <= each.items() for each in pod_labels(other)) and answers(other.identity) != mine:
            return Obstacle(
                reason=f"tell the caller `{one.name}` from `{other.name}`, whose pods carry its labels too",
                advice="declare a label that tells them apart",
            )
    return None
