"""Services of a cluster: which known service, or which version of one, each stands for, and what their annotations say.

A Service of another name than any known one is known by the pods that it selects: those of one version, or of a whole service.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.reading import ConfigObject, Step
from meshc.reading.plain import items, mapping
from meshc.target import Json
from meshc_linkerd.read.account import COMPONENT, MISSING, TRAVEL, Account
from meshc_linkerd.read.fields import Fields
from meshc_linkerd.read.notes import Notes

_DEFAULT: Final = "default"
"""The namespace of a Service that names none, as manifests of services are read."""
_HTTP: Final = frozenset({"", "http", "kubernetes.io/h2c"})
"""What `appProtocol` may be of a port whose requests callers' proxies look at; they pass others on as connections."""
_OPAQUE: Final = frozenset({"config.linkerd.io/opaque-ports", "config.linkerd.io/skip-outbound-ports"})


_CONNECTIONS: Final = (
    "callers pass this port on as connections, without a look at routes, timeouts, retries and ejection"
)


@dataclass(frozen=True, slots=True)
class Unrouted:
    """What makes callers send requests to a Service without a look at its routes: where that stands, and why."""

    source: ConfigObject
    steps: tuple[Step, ...]
    message: str


class Services:
    """The Services that the objects hold, and those that are known without."""

    def __init__(self, objects: Sequence[ConfigObject], known: ir.Mesh, account: Account) -> None:
        self._account = account
        self._workloads = {(one.namespace, one.name): one for one in known.workloads}
        self._externals = {(one.namespace, one.name) for one in known.externals}
        self._by_namespace: dict[str, list[ir.Workload]] = {}
        for workload in known.workloads:
            self._by_namespace.setdefault(workload.namespace, []).append(workload)
        self._objects: dict[tuple[str, str], list[ConfigObject]] = {}
        for one in objects:
            if one.kind == "Service" and one.group == "":
                self._objects.setdefault((one.namespace or _DEFAULT, one.name), []).append(one)
        for one in objects:
            if one.kind == "Component" and "kustomize" in one.group:
                account.taken_for_granted(COMPONENT, one, "patches")

    def known(self, namespace: str, name: str) -> ir.Workload | None:
        """The known service of a name."""
        return self._workloads.get((namespace, name))

    def notes(self, workload: ir.Workload) -> Notes:
        """The annotations of a service; of patches, the later ones count."""
        found: dict[str, tuple[Json, ConfigObject]] = {}
        for one in self._objects.get((workload.namespace, workload.name), ()):
            written = mapping(mapping(one.data.get("metadata")).get("annotations"))
            found |= {key: (value, one) for key, value in written.items()}
        return Notes(found)

    def unrouted(self, workload: ir.Workload, port: ir.PortPolicy) -> Unrouted | None:
        """What makes callers send requests to a port without a look at routes, timeouts, retries and ejection; None for nothing."""
        for one in self._objects.get((workload.namespace, workload.name), ()):
            if (found := _unrouted(one)) is not None:
                return found
            written = mapping(mapping(one.data.get("metadata")).get("annotations"))
            for name in sorted(_OPAQUE & written.keys()):
                return Unrouted(one, ("metadata", "annotations", name), _CONNECTIONS)
            for number, entry in enumerate(items(mapping(one.data.get("spec")).get("ports"))):
                fields = mapping(entry)
                if fields.get("port") == port.number and str(fields.get("appProtocol") or "") not in _HTTP:
                    return Unrouted(one, ("spec", "ports", number, "appProtocol"), _CONNECTIONS)
        return None

    def locality(self, workload: ir.Workload) -> ir.Locality | None:
        """Whether callers keep to endpoints near them. Raises NotUnderstoodError."""
        for one in self._objects.get((workload.namespace, workload.name), ()):
            spec = Fields(mapping(one.data.get("spec")), one, ("spec",))
            wanted = spec.text("trafficDistribution")
            if wanted in {"PreferClose", "PreferSameZone"}:
                return ir.Locality(prefer=True, span=one.span("spec", "trafficDistribution"))
            if wanted:
                raise spec.error(f"the distribution of traffic `{wanted}` is not understood", "trafficDistribution")
        return None

    # ---- destinations -----------------------------------------------------------------------------------------------

    def destination(self, ref: Fields, namespace: str) -> ir.Destination | None:
        """What a backend stands for; None for a Service that there is not. Raises NotUnderstoodError."""
        kind, group = ref.text("kind", "Service"), ref.text("group")
        name, place, number = ref.text("name"), ref.text("namespace", namespace), ref.number("port")
        if kind != "Service" or group not in {"", "core"}:
            raise ref.error(f"a backend of the kind `{kind}` is not understood", "kind")
        if number is None:
            raise ref.error("a Service as a backend needs a port", "port")
        for one in self._objects.get((place, name), ()):
            if _unrouted(one) is not None:
                raise ref.error(f"`{name}` has no address of its own, so as a backend it is not understood", "name")
        known = self._workloads.get((place, name))
        if known is not None:
            if all(port.number != number for port in known.ports):
                raise ref.error(f"`{name}` has no port {number} that is known", "port")
            return ir.Destination(namespace=place, service=name, port=number)
        if (place, name) in self._externals:
            raise ref.error(f"`{name}` is outside of the mesh, where Linkerd does not route", "name")
        objects = self._objects.get((place, name), [])
        if not objects:
            self._account.taken_for_granted(MISSING, ref.source, *ref.steps)
            return None
        return self._selected(objects[0], number, ref)

    def _selected(self, service: ConfigObject, number: int, ref: Fields) -> ir.Destination:
        spec = Fields.spec(service)
        selector = {key: str(value) for key, value in mapping(spec.data.get("selector")).items()}
        meant = list(self._meant(service.namespace or _DEFAULT, selector)) if selector else []
        if len(meant) != 1:
            message = f"which service the Service `{service.name}` stands for is not known"
            raise ref.error(message, "name")
        workload, version = meant[0]
        targets = [_target(entry) for entry in spec.each("ports") if entry.number("port") == number]
        named = {one.name: one.target for one in workload.ports if one.name is not None}
        reached = {named.get(one, -1) if isinstance(one, str) else one for one in targets}
        ports = [one.number for one in workload.ports if one.target in reached]
        if len(ports) != 1:
            raise ref.error(
                f"which port of `{workload.name}` port {number} of `{service.name}` is, is not known", "port"
            )
        return ir.Destination(namespace=workload.namespace, service=workload.name, port=ports[0], version=version)

    def _meant(self, namespace: str, selector: Mapping[str, str]) -> Iterator[tuple[ir.Workload, str | None]]:
        """The services and versions that a selector picks; a whole service, where it picks all of its pods."""
        wanted = selector.items()
        for workload in self._by_namespace.get(namespace, ()):
            if wanted <= workload.labels.items():
                yield workload, None
                continue
            for version in workload.versions:
                if wanted <= {**workload.labels, **version.labels}.items():
                    yield workload, version.name


def _unrouted(one: ConfigObject) -> Unrouted | None:
    """A Service without an address of its own, which Linkerd takes for no parent of routes; None for any other."""
    spec = mapping(one.data.get("spec"))
    if spec.get("type") == "ExternalName":
        return Unrouted(one, ("spec", "type"), "calls of an ExternalName go elsewhere, without a look at routes")
    if spec.get("clusterIP") == "None":
        message = "callers of a headless Service call its pods by their addresses, without a look at routes"
        return Unrouted(one, ("spec", "clusterIP"), message)
    return None


def _target(entry: Fields) -> int | str:
    """The port of the pods; that of the service where it is not said."""
    value = entry.data.get("targetPort", entry.data.get("port"))
    return value if isinstance(value, int | str) and not isinstance(value, bool) else -1


def check_services(services: Services, known: Iterable[ir.Workload], account: Account) -> None:
    """Note what callers may do with a service that nobody reads."""
    for workload in known:
        for key, (_, one) in services.notes(workload).unknown():
            ports = tuple((workload.namespace, workload.name, port.number) for port in workload.ports)
            error = Fields(one.data, one, ()).error(
                f"the annotation `{key}` is not understood", "metadata", "annotations", key
            )
            account.not_understood(one, error, ports, *TRAVEL)
