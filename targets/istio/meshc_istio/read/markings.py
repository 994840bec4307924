"""Labels and annotations of Istio on Services and Namespaces, by Istio's references of both; those of pods are read by `pods`.

What says nothing of calls inside the mesh is listed, all else is not understood.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject, Step
from meshc.reading.plain import mapping
from meshc.target import Json
from meshc_istio.read.account import Account, PortKey

_INJECTION: Final = "istio-injection"
_BARE: Final = frozenset({_INJECTION, "istio-locality"})
_MODE: Final = "istio.io/dataplane-mode"
_SPREAD: Final = "networking.istio.io/traffic-distribution"
_SPREAD_FIELD: Final = "trafficDistribution"

_HARMLESS: Final = frozenset(
    {
        "istio.io/rev", "istio.io/tag", "istio.io/global", "istio.io/ingress-use-waypoint", "topology.istio.io/network",
        "topology.istio.io/subzone", "topology.istio.io/cluster", "topology.istio.io/controlPlaneClusters", "networking.istio.io/gatewayPort",
        "alpha.istio.io/kubernetes-serviceaccounts", "alpha.istio.io/canonical-serviceaccounts",
    }
)  # fmt: skip
"""Networks, clusters and revisions: which endpoints there are, and who configures proxies; Istio takes more accounts for a service's."""

_HARMLESS_STARTS: Final = ("galley.istio.io/", "install.operator.istio.io/", "operator.istio.io/", "internal.istio.io/")
_USUAL: Final[Mapping[str, frozenset[Json]]] = {
    _INJECTION: frozenset({"enabled"}),
    _MODE: frozenset({"none"}),
    "istio.io/use-waypoint": frozenset({"none"}),
    _SPREAD: frozenset({""}),
}
"""Values that say what holds anyway."""

_EXPORT: Final = "networking.istio.io/exportTo"
"""Of Services: `service_exports` reads it."""


def is_istio(name: str) -> bool:
    """Whether a label or an annotation is one of Istio's."""
    domain, slash, _ = name.partition("/")
    return name in _BARE or (bool(slash) and (domain == "istio.io" or domain.endswith(".istio.io")))


def marks(name: str) -> bool:
    """Whether a label or an annotation says nothing of calls inside the mesh, whatever its value and wherever it stands."""
    return name in _HARMLESS or name.startswith(_HARMLESS_STARTS)


def check_markings(one: ConfigObject, known: ir.Mesh, account: Account, *, is_ambient: bool) -> None:
    """Say what of a Service or a Namespace is not understood."""
    if one.kind == "Namespace":
        here = [each for each in known.workloads if each.namespace == one.name]
    else:
        here = [
            each for each in known.workloads if (each.namespace, each.name) == (one.namespace or "default", one.name)
        ]
    ports: tuple[PortKey, ...] = tuple((each.namespace, each.name, port.number) for each in here for port in each.ports)
    for steps, name, value in _strange(one, is_ambient=is_ambient) if here else ():
        if name in {_SPREAD, _SPREAD_FIELD}:
            message = f"which endpoints `{name}` of `{one.name}` prefers cannot be said"
            account.not_understood(one, steps, message, ports, Aspect.SETTINGS)
        elif name in {_INJECTION, _MODE}:
            account.not_understood(one, steps, f"the pods of `{one.name}` go without proxies", None, *Aspect)
        else:
            message = f"what `{name}: {value}` of `{one.name}` makes of calls cannot be said"
            account.not_understood(one, steps, message, ports, *Aspect)


def _strange(one: ConfigObject, *, is_ambient: bool) -> Iterator[tuple[tuple[Step, ...], str, Json]]:
    metadata, usual = mapping(one.data.get("metadata")), dict(_USUAL)
    labels = mapping(metadata.get("labels"))
    if is_ambient or _INJECTION in labels or "istio.io/rev" in labels:
        # These two come before the mode.
        usual[_MODE] = usual[_MODE] | {"ambient"}
    if is_ambient:
        usual[_INJECTION] = usual[_INJECTION] | {"disabled"}
    for field in ("labels", "annotations"):
        for name, value in sorted(mapping(metadata.get(field)).items()):
            if is_istio(name) and not marks(name) and name != _EXPORT and value not in usual.get(name, ()):
                yield ("metadata", field, name), name, value
    spread = mapping(one.data.get("spec")).get(_SPREAD_FIELD)
    if one.kind == "Service" and spread is not None:
        yield ("spec", _SPREAD_FIELD), _SPREAD_FIELD, spread
