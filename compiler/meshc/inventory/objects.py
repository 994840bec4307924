"""Kubernetes objects: the nodes of documents -> what an inventory needs of Services, workloads and Namespaces.

A workload is anything with a pod template, or a Pod itself. Every other kind is passed over without a word.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from meshc import ast
from meshc.inventory.reading import Fields, is_label, port_number, shown
from meshc.ir import ExactPath
from meshc.path_patterns import PatternError, read_path_pattern
from meshc.source import Span
from meshc.yaml_places import Mapping, Node

Pairs = tuple[tuple[ast.Name, ast.Name], ...]
"""Keys and values of labels or of a selector, with their places, sorted by key."""

DEFAULT = "default"
"""The namespace of an object that names none, and the service account of a pod that names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """A port of a Service as written; `target` is a number or the name of a container's port."""

    number: ast.Name
    name: ast.Name | None
    app_protocol: ast.Name | None
    transport: str
    target: ast.Name | None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesService:
    """A v1 Service."""

    name: ast.Name
    namespace: ast.Name
    ports: tuple[ServicePort, ...]
    selector: Pairs
    external_name: ast.Name | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Pods of one template. `ports` are the named ones of its containers, `selector` what its pods certainly carry."""

    kind: str
    name: ast.Name
    namespace: ast.Name
    labels: Pairs
    selector: Pairs
    account: ast.Name
    ports: tuple[tuple[str, int], ...]
    probes: tuple[ast.Probe, ...]


KubernetesObject = KubernetesService | Workload | ast.Namespace

_POD = ""
_TEMPLATES: dict[str, tuple[re.Pattern[str], tuple[str, ...]]] = {
    "Deployment": (re.compile(r"apps/.+|extensions/.+"), ("spec", "template")),
    "StatefulSet": (re.compile(r"apps/.+"), ("spec", "template")),
    "DaemonSet": (re.compile(r"apps/.+|extensions/.+"), ("spec", "template")),
    "ReplicaSet": (re.compile(r"apps/.+|extensions/.+"), ("spec", "template")),
    "ReplicationController": (re.compile(r"v1"), ("spec", "template")),
    "Rollout": (re.compile(r"argoproj\.io/.+"), ("spec", "template")),
    "Job": (re.compile(r"batch/.+"), ("spec", "template")),
    "CronJob": (re.compile(r"batch/.+"), ("spec", "jobTemplate", "spec", "template")),
    "Pod": (re.compile(r"v1"), ()),
}
"""Kind of workload: its API groups, and where its pod template is."""

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def read_objects(fields: Fields, documents: Iterable[Node]) -> Iterator[KubernetesObject]:
    """The objects of documents, those of lists among them, in their order."""
    waiting = list(documents)[::-1]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Mapping):
            fields.report(
                "inventory-invalid", node.span, "this is no Kubernetes object", advice="an object is a mapping"
            )
            continue
        kind, version = fields.text(node, "kind"), fields.text(node, "apiVersion")
        if kind is None:
            advice = "keep other files out of the inventory's pattern"
            fields.report(
                "inventory-skipped", node.span, "this names no `kind`, so it is no Kubernetes object", advice=advice
            )
        elif kind.text.endswith("List") and version is not None:
            waiting.extend(list(fields.mappings(node, "items"))[::-1])
        elif version is not None:
            yield from _read_object(fields, node, kind.text, version.text)
        else:
            fields.report("inventory-invalid", kind.span, f"this `{shown(kind.text)}` has no `apiVersion`")


def _read_object(fields: Fields, node: Mapping, kind: str, version: str) -> Iterator[KubernetesObject]:
    known = kind in _TEMPLATES and _TEMPLATES[kind][0].fullmatch(version)
    if not known and (version != "v1" or kind not in {"Service", "Namespace"}):
        return
    metadata = fields.mapping(node, "metadata")
    name = None if metadata is None else _name(fields, metadata, kind)
    if metadata is None or name is None:
        if metadata is None or not any(key.text in {"name", "generateName"} for key, _ in metadata.entries):
            fields.report(
                "inventory-invalid", node.span, f"this `{kind}` has no name", advice="give it `metadata.name`"
            )
        return
    if kind == "Namespace":
        yield ast.Namespace(name=name, span=name.span)
        return
    namespace = fields.label_name(metadata, "namespace") or ast.Name(text=DEFAULT, span=name.span)
    if kind == "Service":
        yield _service(fields, node, name, namespace)
        return
    workload = _workload(fields, node, kind, name, namespace)
    if workload is not None:
        yield workload


def _name(fields: Fields, metadata: Mapping, kind: str) -> ast.Name | None:
    """An object's name. One that Kubernetes makes up is left out, for a program could not name it."""
    if kind in {"Service", "Namespace"}:
        return fields.label_name(metadata, "name")
    name = fields.subdomain(metadata, "name")
    generated = fields.text(metadata, "generateName") if name is None else None
    if generated is not None:
        message = f"the `{kind}` `{shown(generated.text)}` is left out, for its name is made up anew each time"
        fields.report(
            "inventory-skipped", generated.span, message, advice="declare it as a `service` if it calls others"
        )
    return name


def _service(fields: Fields, node: Mapping, name: ast.Name, namespace: ast.Name) -> KubernetesService:
    spec = fields.mapping(node, "spec")
    kind = None if spec is None else fields.text(spec, "type")
    if spec is None:
        return KubernetesService(name=name, namespace=namespace, ports=(), selector=(), external_name=None)
    is_external = kind is not None and kind.text == "ExternalName"
    return KubernetesService(
        name=name,
        namespace=namespace,
        ports=tuple(_ports(fields, spec)),
        selector=fields.texts(spec, "selector"),
        external_name=(fields.text(spec, "externalName") or kind) if is_external else None,
    )


def _ports(fields: Fields, spec: Mapping) -> Iterator[ServicePort]:
    for port in fields.mappings(spec, "ports"):
        number = fields.port(port, "port")
        transport = fields.text(port, "protocol")
        if number is None:
            if not any(key.text == "port" for key, _ in port.entries):
                fields.report("inventory-invalid", port.span, "this port has no number", advice="write `port: 80`")
            continue
        yield ServicePort(
            number=number,
            name=fields.text(port, "name"),
            app_protocol=fields.text(port, "appProtocol"),
            transport="TCP" if transport is None else transport.text,
            target=fields.port(port, "targetPort", or_name=True),
            span=number.span,
        )


def _workload(fields: Fields, node: Mapping, kind: str, name: ast.Name, namespace: ast.Name) -> Workload | None:
    """A workload; None for one without a template, such as a Rollout that refers to a Deployment."""
    template = fields.mapping(node, *_TEMPLATES[kind][1])
    if template is None:
        return None
    labels = fields.texts(template, "metadata", "labels")
    pod = fields.mapping(template, "spec")
    account: ast.Name | None = None
    ports: dict[str, int] = {}
    probes: dict[ast.Probe, None] = {}
    if pod is not None:
        account = fields.subdomain(pod, "serviceAccountName") or fields.subdomain(pod, "serviceAccount")
        for container in _containers(fields, pod):
            own = _container_ports(fields, container)
            ports = {**own, **ports}
            probes.update(dict.fromkeys(_probes(fields, container, own)))
    return Workload(
        kind=kind,
        name=name,
        namespace=namespace,
        labels=labels,
        selector=fields.texts(node, "spec", "selector", "matchLabels")
        if kind not in {"Pod", "ReplicationController"}
        else labels,
        account=account or ast.Name(text=DEFAULT, span=name.span),
        ports=tuple(ports.items()),
        probes=tuple(probes),
    )


def _containers(fields: Fields, pod: Mapping) -> Iterator[Mapping]:
    """Those that run as long as the pod does: among the first ones, those that are restarted always."""
    yield from fields.mappings(pod, "containers")
    for container in fields.mappings(pod, "initContainers"):
        policy = fields.text(container, "restartPolicy")
        if policy is not None and policy.text == "Always":
            yield container


def _container_ports(fields: Fields, container: Mapping) -> dict[str, int]:
    ports = {}
    for port in fields.mappings(container, "ports"):
        number, name = fields.port(port, "containerPort"), fields.text(port, "name")
        if number is not None and name is not None:
            ports.setdefault(name.text, int(number.text))
    return ports


def _probes(fields: Fields, container: Mapping, ports: dict[str, int]) -> Iterator[ast.Probe]:
    """What Kubernetes asks of a container over the network; a command run inside of it is nothing of a mesh's."""
    for key in _PROBES:
        probe = fields.mapping(container, key)
        if probe is None:
            continue
        for action, method in (("httpGet", "GET"), ("grpc", "GRPC"), ("tcpSocket", "TCP")):
            asked = fields.mapping(probe, action)
            # One with a host of its own asks that host, not the pod.
            if asked is not None and fields.text(asked, "host") is None:
                port = _probed_port(fields, asked, ports)
                path = _probed_path(fields, asked) if method == "GET" else None
                if port is not None and (method != "GET" or path is not None):
                    yield ast.Probe(
                        method=ast.Name(text=method, span=asked.span),
                        path=path,
                        port=ast.Quantity(text=port.text, span=port.span),
                        span=asked.span,
                    )


def _probed_port(fields: Fields, asked: Mapping, ports: dict[str, int]) -> ast.Name | None:
    port = fields.port(asked, "port", or_name=True)
    if port is None or port_number(port.text) is not None:
        return port
    if port.text in ports:
        return ast.Name(text=str(ports[port.text]), span=port.span)
    message = f"the probe is left out, for its container has no port `{port.text}`"
    fields.report("inventory-skipped", port.span, message, advice="name one of the container's `ports`")
    return None


def _probed_path(fields: Fields, asked: Mapping) -> ast.Path | None:
    """The path of a probe, `/` where none is given; None after a report of one that no rule could let through."""
    path = fields.text(asked, "path")
    if path is None:
        return ast.Path(text="/", span=asked.span)
    text = path.text if path.text.startswith("/") else f"/{path.text}"
    try:
        pattern = read_path_pattern(text.partition("?")[0])
    except PatternError as error:
        message, advice = f"the probe is left out: {error.message}", error.advice
    else:
        if isinstance(pattern, ExactPath):
            return ast.Path(text=text, span=path.span)
        message, advice = f"the probe is left out: `{shown(text)}` would be read as a pattern", ""
    fields.report("inventory-skipped", path.span, message, advice=advice)
    return None


__all__ = [
    "DEFAULT",
    "KubernetesObject",
    "KubernetesService",
    "Pairs",
    "ServicePort",
    "Workload",
    "is_label",
    "read_objects",
]
