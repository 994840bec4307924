"""Screening: the security objects that the API server and Istio take as they stand, before any of them is read.

An object that they refuse, or of which they keep another one, is not what decides in the cluster. So it is not read, and what it might
decide is not known: of its namespace, or of the mesh where it is in the root namespace, or in one that nobody names.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from meshc import ir
from meshc.reading import Aspect, ConfigObject, Step
from meshc.reading.plain import mapping
from meshc_istio.read.account import Account, PortKey
from meshc_istio.read.shapes import SPECS, misfits

GROUP: Final = "security.istio.io"
_VERSIONS: Final = frozenset({f"{GROUP}/v1", f"{GROUP}/v1beta1"})
_OTHERS: Final = {
    "networking.istio.io": frozenset({"v1", "v1beta1", "v1alpha3"}),
    "telemetry.istio.io": frozenset({"v1", "v1alpha1"}),
}
"""The versions of the other groups that are read."""

_DRY_RUN: Final = "istio.io/dry-run"
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
"""What Istio, by Go's `strconv.ParseBool`, takes for either."""

_Problem = tuple[tuple[Step, ...], str]


def screened(
    objects: Iterable[ConfigObject], mesh: ir.Mesh, root: str, account: Account
) -> dict[str, list[ConfigObject]]:
    """The security objects by kind. Says of each that is left out why."""
    found: dict[str, list[ConfigObject]] = {kind: [] for kind in SPECS}
    named: dict[tuple[str, str, str], ConfigObject] = {}
    for one in objects:
        if one.group != GROUP:
            continue
        problem = next(_problems(one, root), None)
        other = named.setdefault((one.kind, one.namespace, one.name), one) if one.name else one
        if problem is None and other is not one:
            problem = (("metadata",), "the object is given twice, and a cluster keeps one of them")
        if problem is None:
            found[one.kind].append(one)
        else:
            steps, message = problem
            ports = None if one.namespace in {"", root} else tuple(_ports(mesh, one.namespace))
            account.not_understood(one, steps, f"`{one.name}`: {message}", ports, Aspect.ACCESS)
    return found


def standing(objects: Iterable[ConfigObject], account: Account) -> Iterator[ConfigObject]:
    """The objects without those of other groups that a cluster knows no such kind of, or that have no name; says which these are."""
    for one in objects:
        version = _word(one.data.get("apiVersion"))
        problem = ""
        if one.group in _OTHERS and version.rpartition("/")[2] not in _OTHERS[one.group]:
            problem = f"`{one.kind}` of `{version}` is not known"
        elif one.group in _OTHERS and not one.name:
            problem = f"a {one.kind} without a name is refused as a whole"
        if problem:
            account.not_understood(one, ("apiVersion",) if one.name else ("metadata",), problem, None, *Aspect)
        else:
            yield one


def is_dry_run(policy: ConfigObject) -> bool:
    """Whether a policy is only tried: evaluated and logged."""
    return _word(_annotations(policy).get(_DRY_RUN)) in _TRUE


def _problems(one: ConfigObject, root: str) -> Iterator[_Problem]:
    """Why an object does not hold as it stands."""
    version = one.data.get("apiVersion")
    if one.kind not in SPECS or _word(version) not in _VERSIONS:
        yield ("kind",), f"`{one.kind}` of `{version}` is not known"
        return
    if not one.name:
        yield ("metadata",), "it has no name, so that it is refused as a whole"
    if not one.namespace:
        yield ("metadata",), "it names no namespace, so where it holds depends on how it is applied"
    value = _annotations(one).get(_DRY_RUN)
    if value is not None and (one.kind != "AuthorizationPolicy" or _word(value) not in _TRUE | _FALSE):
        yield ("metadata", "annotations"), f"Istio refuses it for the value of `{_DRY_RUN}`"
    spec = one.data.get("spec")
    if "spec" in one.data:
        for steps, message in misfits(spec, SPECS[one.kind], ("spec",)):
            yield steps, f"{message}, so that it is refused as a whole"
    fields = mapping(spec)
    if "selector" in fields and {"targetRef", "targetRefs"} & set(fields):
        yield ("spec",), "Istio refuses a selector beside targets"
    if one.kind == "PeerAuthentication":
        yield from _peer_problems(one, fields, root)


def _peer_problems(one: ConfigObject, spec: Mapping[str, object], root: str) -> Iterator[_Problem]:
    selector = spec.get("selector")
    has_selector = isinstance(selector, Mapping) and bool(selector.get("matchLabels"))
    if has_selector and one.namespace == root:
        yield ("spec", "selector"), "Istio passes over a PeerAuthentication with a selector in the root namespace"
    if not has_selector and "portLevelMtls" in spec:
        yield ("spec", "portLevelMtls"), "Istio refuses modes of ports without a selector"


def _ports(mesh: ir.Mesh, namespace: str) -> Iterator[PortKey]:
    return (
        (one.namespace, one.name, port.number)
        for one in mesh.workloads
        if one.namespace == namespace
        for port in one.ports
    )


def _word(value: object) -> str:
    """A text; anything else is none that is known."""
    return value if isinstance(value, str) else ""


def _annotations(one: ConfigObject) -> Mapping[str, object]:
    return mapping(mapping(one.data.get("metadata")).get("annotations"))
