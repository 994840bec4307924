"""Pods: what their labels and annotations make of the proxies beside them, by Istio's references of both.

What says nothing of calls is listed. All else is not understood: for the ports of the services that the pods are of, or for all
where calls that leave are meant as well. Pods that no known service has say nothing of those that are asked of.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from meshc import ir
from meshc.reading import ConfigObject, Step
from meshc.reading.objects import objects_of_source
from meshc.reading.plain import mapping
from meshc.source import SourceFile
from meshc.target import Json
from meshc_istio.directory import Owner, called_number
from meshc_istio.read.account import PortKey
from meshc_istio.read.markings import is_istio, marks
from meshc_istio.read.settings import harmless_default

Doubt = tuple[tuple[Step, ...], str, tuple[PortKey, ...] | None]
"""A place, what is not understood there, and the ports that it may touch: None for all."""

TEMPLATES: Final[Mapping[str, tuple[Step, ...]]] = {
    "Pod": (),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Rollout", "ReplicationController"),
        ("spec", "template"),
    ),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Kinds with pods, and where in them these are described."""

_INJECT: Final = "sidecar.istio.io/inject"
_MODE: Final = "istio.io/dataplane-mode"
_TRAFFIC: Final = "traffic.sidecar.istio.io/"
_INBOUND: Final = frozenset({f"{_TRAFFIC}excludeInboundPorts", f"{_TRAFFIC}includeInboundPorts"})
_OUTBOUND: Final = f"{_TRAFFIC}excludeOutboundPorts"
_SERVED: Final = frozenset(
    {*_INBOUND, "security.istio.io/tlsMode", "istio.io/use-waypoint", "istio.io/use-waypoint-namespace"}
)
"""What is about calls to the pods alone."""

_USUAL: Final[Mapping[str, frozenset[str]]] = {
    _INJECT: frozenset({"true"}),
    _MODE: frozenset({"none"}),
    "istio.io/use-waypoint": frozenset({"none"}),
    "security.istio.io/tlsMode": frozenset({"istio"}),
    "sidecar.istio.io/interceptionMode": frozenset({"REDIRECT"}),
    f"{_TRAFFIC}includeInboundPorts": frozenset({"*"}),
    f"{_TRAFFIC}includeOutboundIPRanges": frozenset({"*"}),
    f"{_TRAFFIC}excludeInboundPorts": frozenset({""}),
    f"{_TRAFFIC}excludeOutboundPorts": frozenset({""}),
    f"{_TRAFFIC}excludeOutboundIPRanges": frozenset({""}),
}
"""Values that say what holds anyway."""

_HARMLESS: Final = frozenset(
    f"sidecar.istio.io/{name}"
    for name in (
        "agentLogLevel", "componentLogLevel", "logLevel", "enableCoreDump", "extraStatTags", "statsCompression", "statsHistogramBuckets",
        "statsInclusionPrefixes", "statsInclusionSuffixes", "statsInclusionRegexps", "proxyCPU", "proxyCPULimit", "proxyMemory",
        "proxyMemoryLimit", "proxyImageType", "rewriteAppHTTPProbers", "nativeSidecar", "status", "userVolume", "userVolumeMount",
        "controlPlaneAuthPolicy", "discoveryAddress",
    )
) | {
    "istio.io/rev", "istio-locality", "service.istio.io/canonical-name", "service.istio.io/canonical-revision",
    "service.istio.io/workload-name", "prometheus.istio.io/merge-metrics", "status.sidecar.istio.io/port",
    # More is taken to the proxy than would be anyway.
    f"{_TRAFFIC}includeOutboundPorts",
}  # fmt: skip
_HARMLESS_STARTS: Final = ("readiness.status.sidecar.istio.io/",)
_CONFIG: Final = "proxy.istio.io/config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """Pods that go without proxies, and the services that they are of, as (namespace, name)."""

    object: ConfigObject
    steps: tuple[Step, ...]
    message: str
    services: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """The pods of a mesh. `is_ambient`: there are to be no proxies beside them."""

    mesh: ir.Mesh
    is_ambient: bool
    bare: list[Bare] = field(default_factory=list)
    """Those that were found to have no proxies: of their calls nothing is said here."""

    def doubts(self, one: ConfigObject) -> Iterator[Doubt]:
        """What an object says of its pods that is not understood; nothing for an object without pods."""
        steps = TEMPLATES.get(one.kind)
        if steps is None:
            return
        pod: Mapping[str, Json] = one.data
        for step in steps:
            pod = mapping(pod.get(str(step)))
        metadata = mapping(pod.get("metadata"))
        strange = [
            (where, name, value)
            for where in ("annotations", "labels")
            for name, value in sorted(mapping(metadata.get(where)).items())
            if is_istio(name) and not self._is_harmless(name, value)
        ]
        services = self._of(one, pod) if strange else ()
        for where, name, value in strange if services else ():
            ports, place, message = (
                self._ports(name, value, services),
                (*steps, "metadata", where, name),
                _message(one, name, value),
            )
            if _goes_without(name, value):
                served = frozenset((each.namespace, each.name) for each in services)
                self.bare.append(Bare(object=one, steps=place, message=message, services=served))
            if ports != ():
                yield place, message, ports

    def _is_harmless(self, name: str, value: Json) -> bool:
        text = _text(value)
        if text in _USUAL.get(name, ()) or name in _HARMLESS or name.startswith(_HARMLESS_STARTS):
            return True
        if self.is_ambient and name in {_INJECT, _MODE}:
            return text == ("false" if name == _INJECT else "ambient")
        return _keeps_defaults(text) if name == _CONFIG else marks(name)

    def _of(self, one: ConfigObject, pod: Mapping[str, Json]) -> tuple[ir.Workload, ...]:
        """The services that the pods are of, by labels, name or account; all of them where that cannot be told."""
        labels = {
            key: value
            for key, value in mapping(mapping(pod.get("metadata")).get("labels")).items()
            if not is_istio(key)
        }
        if not labels or not one.namespace:
            return self.mesh.workloads
        account = mapping(pod.get("spec")).get("serviceAccountName")
        return tuple(
            each
            for each in self.mesh.workloads
            if each.namespace == one.namespace
            and (each.labels.items() <= labels.items() or each.name == one.name or each.service_account == account)
        )

    def _ports(self, name: str, value: Json, services: tuple[ir.Workload, ...]) -> tuple[PortKey, ...] | None:
        """The ports that one of these may touch."""
        numbers = _numbers(_text(value))
        if name == _OUTBOUND and numbers is not None:
            owners: tuple[Owner, ...] = (*self.mesh.workloads, *self.mesh.externals)
            return tuple(
                (owner.namespace, owner.name, port.number)
                for owner in owners
                for port in owner.ports
                if called_number(owner, port) in numbers
            )
        if name not in _SERVED and not _goes_without(name, value):
            return None
        return tuple(
            (one.namespace, one.name, port.number)
            for one in services
            for port in one.ports
            if name not in _INBOUND or _passes_by(name, port.target, numbers)
        )


def _goes_without(name: str, value: Json) -> bool:
    """Whether a marking says that pods have no proxies beside them."""
    return (name, _text(value)) in {(_INJECT, "false"), (_MODE, "ambient")}


def _passes_by(name: str, target: int, numbers: frozenset[int] | None) -> bool:
    """Whether connections to a port of a pod may pass its proxy by."""
    return numbers is None or (target in numbers) is name.endswith("/excludeInboundPorts")


def _numbers(text: str) -> frozenset[int] | None:
    parts = [one.strip() for one in text.split(",") if one.strip()]
    return frozenset(map(int, parts)) if all(one.isdecimal() for one in parts) else None


def _message(one: ConfigObject, name: str, value: Json) -> str:
    text = _text(value)
    if _goes_without(name, value):
        return f"the pods of `{one.name}` go without proxies"
    return f"what `{name}: {text}` makes of calls of the pods of `{one.name}` cannot be said"


def _text(value: Json) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _keeps_defaults(text: str) -> bool:
    """Whether a ProxyConfig, written as YAML, says nothing of who calls whom, or how."""
    objects, wrong = objects_of_source(SourceFile(_CONFIG, text))
    return not wrong and all(harmless_default(name, value) for one in objects for name, value in one.data.items())
