"""Manifests: the documents of a file -> the Services, Namespaces and workloads among them.

Everything else, known or not, is skipped. Source: the Kubernetes API reference, v1.34, and Argo Rollouts for `Rollout`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from meshc.diagnostics import Diagnostic, diagnose
from meshc.inventory.fields import Fields
from meshc.inventory.nodes import MapNode, Scalar
from meshc.source import Span

_WORKLOADS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": (),
    "ReplicationController": ("spec", "template"),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Rollout": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where the pod is in each kind of workload."""

_GROUPS: Final[Mapping[str, frozenset[str]]] = {
    "Pod": frozenset({""}),
    "ReplicationController": frozenset({""}),
    "Rollout": frozenset({"argoproj.io"}),
    "Job": frozenset({"batch"}),
    "CronJob": frozenset({"batch"}),
}
_APPS: Final = frozenset({"apps", "extensions"})

_PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")
_MOST_NESTED_LISTS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of a Service; `target` is a number, or the name of a container's port."""

    number: Scalar
    target: Scalar | None
    name: Scalar | None
    transport: Scalar | None
    app_protocol: Scalar | None
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A v1 Service; `selector` is empty where it picks no pods, as for an ExternalName."""

    name: Scalar
    namespace: Scalar
    selector: Mapping[str, Scalar]
    ports: tuple[Port, ...]
    is_external_name: bool
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What the kubelet asks: `method` is GET (with a path), GRPC or TCP; `port` a number or a name of the container's."""

    method: str
    path: Scalar | None
    port: Scalar
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """`ports` has the numbers of the named ports alone."""

    ports: Mapping[str, Scalar]
    probes: tuple[Probe, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What makes pods; `labels` are the pods'. `account` is None where none is given, which means `default`."""

    kind: str
    name: Scalar
    namespace: Scalar
    labels: Mapping[str, Scalar]
    account: Scalar | None
    containers: tuple[Container, ...]
    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    name: Scalar
    span: Span = field(compare=False)


Manifest = Service | Workload | Namespace


def read_manifest(root: MapNode, found: list[Diagnostic]) -> Iterator[Manifest]:
    """What a document declares, in order; the items of a `List` one by one. Raises TemplateError."""
    for fields in _flatten(Fields(root, found), 0):
        manifest = _read(fields)
        if manifest is not None:
            yield manifest


def _flatten(fields: Fields, depth: int) -> Iterator[Fields]:
    kind = _word(fields, "kind")
    if (
        kind.endswith("List")
        and "items" in fields.node.entries
        and _group(fields) in {"", "apps", "batch", "argoproj.io"}
    ):
        if depth == _MOST_NESTED_LISTS:
            message = f"lists nested deeper than {_MOST_NESTED_LISTS} levels"
            fields.found.append(diagnose("inventory-invalid", fields.span, message))
            return
        for item in fields.items("items"):
            yield from _flatten(item, depth + 1)
    else:
        yield fields


def _read(fields: Fields) -> Manifest | None:
    kind, group = _word(fields, "kind"), _group(fields)
    if kind == "Service" and group == "":
        return _service(fields)
    if kind == "Namespace" and group == "":
        name = _name(fields)
        return None if name is None else Namespace(name=name, span=fields.span)
    if kind in _WORKLOADS and group in _GROUPS.get(kind, _APPS):
        return _workload(fields, kind)
    return None


def _word(fields: Fields, key: str) -> str:
    """A word that decides whether the document is ours; anything odd means that it is not."""
    entry = fields.node.entries.get(key)
    return entry[1].text if entry is not None and isinstance(entry[1], Scalar) else ""


def _group(fields: Fields) -> str:
    """The API group; empty for the core group."""
    version = _word(fields, "apiVersion")
    return version.rpartition("/")[0] if version != "" else "?"


def _name(fields: Fields) -> Scalar | None:
    metadata = fields.fields("metadata")
    if metadata is not None:
        name = metadata.text("name")
        if name is not None:
            return name
        prefix = metadata.text("generateName")
        if prefix is not None:
            return Scalar(text=prefix.text.rstrip("-"), is_plain=prefix.is_plain, span=prefix.span)
    message = f"the {_word(fields, 'kind')} has no `metadata.name`"
    fields.found.append(diagnose("inventory-invalid", fields.span, message))
    return None


def _namespace(fields: Fields, name: Scalar) -> Scalar:
    metadata = fields.fields("metadata")
    given = metadata.text("namespace") if metadata is not None else None
    return given or Scalar(text="default", is_plain=True, span=name.span)


def _service(fields: Fields) -> Service | None:
    name, spec = _name(fields), fields.fields("spec")
    if name is None or spec is None:
        return None  # without a spec, it is a patch for one that is elsewhere
    kind = spec.text("type")
    is_external_name = kind is not None and kind.text == "ExternalName"
    ports = tuple(port for item in spec.items("ports") if (port := _port(item)) is not None)
    return Service(
        name=name,
        namespace=_namespace(fields, name),
        selector={} if is_external_name else spec.texts("selector"),
        ports=ports,
        is_external_name=is_external_name,
        span=fields.span,
    )


def _port(fields: Fields) -> Port | None:
    if "port" not in fields.node.entries:
        fields.found.append(diagnose("inventory-invalid", fields.span, "the port has no `port`, its number"))
    number = fields.port("port")
    if number is None:
        return None
    return Port(
        number=number,
        target=fields.text("targetPort"),
        name=fields.text("name"),
        transport=fields.text("protocol"),
        app_protocol=fields.text("appProtocol"),
        span=fields.span,
    )


def _workload(fields: Fields, kind: str) -> Workload | None:
    template: Fields | None = fields
    for key in _WORKLOADS[kind]:
        template = template.fields(key) if template is not None else None
    spec = template.fields("spec") if template is not None else None
    if template is None or spec is None or "containers" not in spec.node.entries:
        return None  # a patch for one that is elsewhere, or a Rollout that refers to a Deployment
    name = _name(fields)
    if name is None:
        return None
    metadata = template.fields("metadata")
    return Workload(
        kind=kind,
        name=name,
        namespace=_namespace(fields, name),
        labels=metadata.texts("labels") if metadata is not None else {},
        account=spec.text("serviceAccountName") or spec.text("serviceAccount"),
        containers=tuple(_container(one) for key in ("containers", "initContainers") for one in spec.items(key)),
        span=fields.span,
    )


def _container(fields: Fields) -> Container:
    ports: dict[str, Scalar] = {}
    for port in fields.items("ports"):
        name, number = port.text("name"), port.port("containerPort")
        if name is not None and number is not None:
            ports.setdefault(name.text, number)
    given = (fields.fields(key) for key in _PROBES)
    probes = (_probe(one) for one in given if one is not None)
    return Container(ports=ports, probes=tuple(one for one in probes if one is not None))


def _probe(fields: Fields) -> Probe | None:
    """The question of a probe; None for one that asks within the container."""
    for key, method in (("httpGet", "GET"), ("grpc", "GRPC"), ("tcpSocket", "TCP")):
        action = fields.fields(key)
        if action is None:
            continue
        port = action.text("port")
        if port is None:
            fields.found.append(diagnose("inventory-invalid", action.span, f"the probe's `{key}` has no `port`"))
            return None
        path = action.text("path") if method == "GET" else None
        return Probe(method=method, path=path, port=port, span=action.span)
    return None
