"""Which services the proxies of a namespace know: `networking.istio.io/exportTo` of Services, and its default in MeshConfig.

Source: the references of annotations and of MeshConfig, `defaultServiceExportTo`; `pilot/pkg/model/push_context.go`. The intermediate form
has one view of a service for all callers. So what is not exported to a caller is unknown, unless the service refuses it anyway: the port
itself, and those whose routes lead there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject
from meshc.reading.plain import mapping, texts
from meshc.target import Json
from meshc_istio.directory import Owner
from meshc_istio.read.account import Account, PortKey
from meshc_istio.read.hiding import is_for, is_refused, led_to, refuses

ANNOTATION: Final = "networking.istio.io/exportTo"
DEFAULT: Final = "defaultServiceExportTo"

Exported = frozenset[str] | None
"""The namespaces whose callers know something; None for all."""


def default_export(settings: Mapping[str, Json], home: str) -> Exported:
    """To whom services of a namespace are exported that do not say it. Of its values, Istio heeds `.` and `*` alone here."""
    listed = texts(settings.get(DEFAULT))
    if not listed:
        return None
    return frozenset((home,)) if "." in listed else None if "*" in listed else frozenset()


def exported(listed: Sequence[str], home: str) -> Exported:
    """What a list of namespaces means in an object of a namespace: `*` is all of them and `~` none, whatever stands beside."""
    if "*" in listed:
        return None
    return frozenset() if "~" in listed else frozenset(home if one == "." else one for one in listed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceExports:
    """Who knows which services of a mesh that was read as if everybody knew them; `config` is MeshConfig, if it was given."""

    mesh: ir.Mesh
    config: ConfigObject | None
    account: Account

    def check(self, services: Sequence[ConfigObject]) -> None:
        """Say which ports callers do not know, though they would get there; `services` are those of Kubernetes."""
        said: dict[tuple[str, str], list[ConfigObject]] = {}
        for one in services:
            if ANNOTATION in _annotations(one):
                said.setdefault((one.namespace or "default", one.name), []).append(one)
        for owner in self.mesh.workloads:
            self._check(owner, said.get((owner.namespace, owner.name), ()))

    def _check(self, owner: ir.Workload, said: Sequence[ConfigObject]) -> None:
        limits = [(one, self._of(one, owner.namespace)) for one in said]
        if not said and self.config is not None:
            limits = [(self.config, default_export(self._settings(), owner.namespace))]
        for one, namespaces in limits:
            if namespaces is None:
                continue
            blind = [caller for caller in self.mesh.workloads if caller.namespace not in namespaces]
            ports = dict.fromkeys(key for caller in blind for key in self._missed(caller, owner))
            if ports:
                steps = ("metadata", "annotations", ANNOTATION) if said else ("meshConfig", DEFAULT)
                message = f"`{owner.name}` is not exported to callers that would get there, which cannot be said"
                self.account.not_understood(one, steps, message, tuple(ports), *Aspect)

    def _of(self, one: ConfigObject, home: str) -> Exported:
        text = _annotations(one)[ANNOTATION]
        if not isinstance(text, str):
            return frozenset()
        listed = [name.strip() for name in text.split(",")] if text else []
        return exported(listed, home) if listed else default_export(self._settings(), home)

    def _settings(self) -> Mapping[str, Json]:
        return mapping(None if self.config is None else self.config.data.get("meshConfig"))

    def _missed(self, caller: ir.Workload, hidden: ir.Workload) -> Iterator[PortKey]:
        """The ports whose calls end otherwise for a caller that does not know a service."""
        itself = (hidden.namespace, hidden.name)
        yield from ((*itself, port.number) for port in hidden.ports if not is_refused(caller, hidden, port))
        closed = {port.number for port in hidden.ports if refuses(caller, hidden, port)}
        owners: tuple[Owner, ...] = (*self.mesh.workloads, *self.mesh.externals)
        for owner in owners:
            for port in owner.ports if owner is not hidden else ():
                for route in port.routes:
                    leads = any(
                        (one.namespace, one.service) == itself and one.port not in closed for one in led_to(route)
                    )
                    if leads and is_for(route, caller):
                        yield owner.namespace, owner.name, port.number


def _annotations(one: ConfigObject) -> Mapping[str, Json]:
    return mapping(mapping(one.data.get("metadata")).get("annotations"))
