"""Pods: all workloads that one selector picks, taken together as what stands behind a Service."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from meshc import ast
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.inventory.fields import is_port
from meshc.inventory.manifests import Probe, Workload
from meshc.inventory.names import is_account, is_name
from meshc.inventory.nodes import Scalar
from meshc.source import Span

DEFAULT_ACCOUNT = "default"
"""The service account of a pod that names none."""

MOST_BEHIND_ONE = 256
"""Versions, and likewise probes, that one Service may have; more are left out, with a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """What the workloads say together. `ports` are the numbers of the named ports; `found` is without their Service's name."""

    account: ast.ServiceAccount
    versions: tuple[ast.Version, ...]
    ports: Mapping[str, Scalar]
    probes: tuple[ast.Probe, ...]
    found: tuple[Diagnostic, ...]


def gather(workloads: Sequence[Workload]) -> Pods:
    """Take one workload or more together. Where they disagree, the first counts, and the disagreement is reported."""
    found: list[Diagnostic] = []
    return Pods(
        account=_account(workloads, found),
        versions=_some(_versions(workloads, found), "versions", found),
        ports=_ports(workloads, found),
        probes=_some(_probes(workloads, found), "probes", found),
        found=tuple(found),
    )


Node = TypeVar("Node", ast.Version, ast.Probe)


def _some(nodes: tuple[Node, ...], what: str, found: list[Diagnostic]) -> tuple[Node, ...]:
    if len(nodes) > MOST_BEHIND_ONE:
        message = f"the pods of one service have more than {MOST_BEHIND_ONE} {what}; this and what follows is left out"
        found.append(diagnose("inventory-omitted", nodes[MOST_BEHIND_ONE].span, message))
    return nodes[:MOST_BEHIND_ONE]


def account_of(workload: Workload) -> tuple[str, Span]:
    """A workload's service account, and where it is given."""
    if workload.account is None:
        return DEFAULT_ACCOUNT, workload.name.span
    return workload.account.text, workload.account.span


def _account(workloads: Sequence[Workload], found: list[Diagnostic]) -> ast.ServiceAccount:
    name, span = account_of(workloads[0])
    for workload in workloads:
        other, place = account_of(workload)
        if not is_account(other):
            found.append(diagnose("inventory-invalid", place, f"`{other}` is no name of a service account"))
        elif other != name:
            first = Label(span=span, text=f"`{name}` here, which is what counts")
            message = f"pods of one service run as `{name}` and as `{other}`"
            advice = "give them one service account, or a Service each: rules know a service by one identity"
            # An error: a deny that names the service would miss the pods of the other account.
            found.append(diagnose("inventory-invalid", place, message, labels=(first,), advice=advice))
    return ast.ServiceAccount(name=ast.Name(text=name, span=span), span=span)


def _versions(workloads: Sequence[Workload], found: list[Diagnostic]) -> tuple[ast.Version, ...]:
    labels = {
        one.labels["version"].text: one.labels["version"] for one in reversed(workloads) if "version" in one.labels
    }
    for text, label in labels.items():
        if not is_name(text):
            message = f"`{text}` cannot be the name of a version"
            advice = "names are lower-case letters, digits and inner hyphens; until then the version is left out"
            found.append(diagnose("inventory-incomplete", label.span, message, advice=advice))
    return tuple(_version(label) for text, label in sorted(labels.items()) if is_name(text))


def _version(label: Scalar) -> ast.Version:
    pair = (ast.Name(text="version", span=label.span), ast.String(value=label.text, span=label.span))
    return ast.Version(
        name=ast.Name(text=label.text, span=label.span),
        labels=(ast.Labels(pairs=(pair,), span=label.span),),
        span=label.span,
    )


def _ports(workloads: Iterable[Workload], found: list[Diagnostic]) -> Mapping[str, Scalar]:
    ports: dict[str, Scalar] = {}
    for workload in workloads:
        for container in workload.containers:
            for name, number in container.ports.items():
                first = ports.setdefault(name, number)
                if first.text != number.text:
                    label = Label(span=first.span, text=f"{first.text} here, which is what counts")
                    message = f"the port `{name}` is {first.text} in one pod of a service and {number.text} in another"
                    found.append(diagnose("inventory-conflict", number.span, message, labels=(label,)))
    return ports


@dataclass(slots=True)
class _Probes:
    found: list[Diagnostic]
    known: dict[tuple[str, str | None, int], ast.Probe] = field(default_factory=dict)

    def add(self, probe: Probe, ports: Mapping[str, Scalar]) -> None:
        port = probe.port if is_port(probe.port) else ports.get(probe.port.text)
        if port is None:
            message = f"the probe asks the port `{probe.port.text}`, which the container does not name"
            advice = "name it under the container's `ports`; until then the probe is left out"
            self.found.append(diagnose("inventory-incomplete", probe.port.span, message, advice=advice))
            return
        path = _path(probe) if probe.method == "GET" else None
        node = ast.Probe(
            method=ast.Name(text=probe.method, span=probe.span),
            path=path,
            port=ast.Quantity(text=str(int(port.text)), span=probe.port.span),
            span=probe.span,
        )
        self.known.setdefault((probe.method, None if path is None else path.text, int(port.text)), node)


def _path(probe: Probe) -> ast.Path:
    """The path that the kubelet asks: `/` if none is given, and one without its slash gets it."""
    if probe.path is None or probe.path.text == "":
        return ast.Path(text="/", span=probe.span)
    text = probe.path.text
    return ast.Path(text=text if text.startswith("/") else f"/{text}", span=probe.path.span)


def _probes(workloads: Iterable[Workload], found: list[Diagnostic]) -> tuple[ast.Probe, ...]:
    probes = _Probes(found)
    for workload in workloads:
        for container in workload.containers:
            for probe in container.probes:
                probes.add(probe, container.ports)
    return tuple(probes.known.values())
