"""Read Kubernetes NetworkPolicies: who may connect to which port of a pod.

A pod that some policy selects for a direction is isolated in it, and gets what any of these policies lets through; every other pod gets all.
A connection passes if both ends let it. Policies know pods and addresses, and the mesh knows identities; what stands between
is assumed and said. Source: Kubernetes API reference, networking.k8s.io/v1; Kubernetes documentation, Network Policies.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Final

from meshc import ir
from meshc.reading.model import Aspect, Assumption, Reading, Unknown
from meshc.reading.objects import ConfigObject
from meshc.reading.plain import items, mapping
from meshc.reading.selectors import SelectorError, is_selected
from meshc.source import Span
from meshc.target import Json

ONE_ACCOUNT: Final = "a pod selector names one service account"
IN_MESH: Final = "every caller that a pod selector names is in the mesh"

FIREWALLS: Final = ("cilium.io", "projectcalico.org", "policy.networking.k8s.io", "crd.antrea.io")
"""What the groups of other objects end in that decide who may connect to pods; nothing here reads them."""

_SPEC: Final = frozenset({"podSelector", "policyTypes", "ingress", "egress"})
_RULES: Final[Mapping[str, frozenset[str]]] = {
    "ingress": frozenset({"from", "ports"}),
    "egress": frozenset({"to", "ports"}),
}
_TYPES: Final = frozenset({"Ingress", "Egress"})

_DEFAULT: Final = "default"
"""The namespace of what names none; services of manifests are taken to be there as well."""

_NAME: Final = "kubernetes.io/metadata.name"
_EVERYBODY: Final = (ir.AnyPeer(),)


class _StrangeError(Exception):
    """A part that cannot be read; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Policy:
    object: ConfigObject
    spec: Mapping[str, Json]
    directions: frozenset[str]

    def selects(self, workload: ir.Workload) -> bool:
        return (self.object.namespace or _DEFAULT) == workload.namespace and is_selected(
            self.spec.get("podSelector"), workload.labels
        )


def read_network_policies(objects: Sequence[ConfigObject], known: ir.Mesh, _: Mapping[str, str]) -> Reading:
    """What policies let through between known services; nothing else of a mesh is read."""
    unknown: list[Unknown] = []
    reader = _Reader(known, list(_policies(objects, known, unknown)))
    workloads = tuple(
        replace(one, ports=tuple(reader.port(one, port) for port in one.ports)) for one in known.workloads
    )
    span = reader.policies[0].object.span("spec") if reader.policies else known.span
    assumptions = tuple(Assumption(text=text, span=span) for text in (ONE_ACCOUNT, IN_MESH)) if reader.policies else ()
    found = (*unknown, *reader.unknown)
    return Reading(mesh=replace(known, workloads=workloads), unknown=found, assumptions=assumptions)


def is_network_policy(one: ConfigObject) -> bool:
    """Whether an object is one of Kubernetes' own policies; others are called so, too."""
    return one.kind == "NetworkPolicy" and one.group == "networking.k8s.io"


def _policies(objects: Iterable[ConfigObject], known: ir.Mesh, unknown: list[Unknown]) -> Iterator[_Policy]:
    """The policies that the API server takes as they stand; of the others, what they decide is unknown."""
    names: set[tuple[str, str]] = set()
    for one in objects:
        if not is_network_policy(one):
            continue
        spec = one.data.get("spec")
        problem = "it has no spec" if not isinstance(spec, Mapping) else next(_problems(spec), "")
        if not problem and not one.namespace and all(other.namespace != _DEFAULT for other in known.workloads):
            problem = "it names no namespace, so where it holds depends on how it is applied"
        if not problem and one.name and (one.namespace, one.name) in names:
            problem = "it is given twice, and a cluster keeps one of the two"
        names.add((one.namespace, one.name))
        if problem:
            message = f"`{one.name}`: {problem}"
            unknown.append(Unknown(message=message, aspects=frozenset({Aspect.ACCESS}), span=one.span("spec")))
        elif isinstance(spec, Mapping):
            listed = items(spec.get("policyTypes"))
            directions = {str(word) for word in listed} or {"Ingress", *(["Egress"] if "egress" in spec else [])}
            yield _Policy(object=one, spec=spec, directions=frozenset(directions))


def _problems(spec: Mapping[str, Json]) -> Iterator[str]:
    for name in sorted(set(spec) - _SPEC):
        yield f"the field `{name}` is not known"
    if not set(map(str, items(spec.get("policyTypes")))) <= _TYPES:
        yield "its `policyTypes` are not known"
    for direction, known in _RULES.items():
        rules = spec.get(direction)
        if rules is not None and not isinstance(rules, list | tuple):
            yield f"its `{direction}` is no list"
        for rule in items(rules):
            if not isinstance(rule, Mapping) or set(rule) - known:
                yield f"a rule of its `{direction}` is not known"
            peers = (mapping(peer) for name in ("from", "to") for peer in items(mapping(rule).get(name)))
            if any("ipBlock" in peer and len(peer) > 1 for peer in peers):
                yield "a peer has an `ipBlock` and selects pods as well, which is refused"


class _Reader:
    def __init__(self, known: ir.Mesh, policies: list[_Policy]) -> None:
        self.policies = policies
        self.unknown: list[Unknown] = []
        self._known = known

    def port(self, workload: ir.Workload, port: ir.PortPolicy) -> ir.PortPolicy:
        """A port with the rules that policies come to; as it was where none isolates either end."""
        if not self.policies:
            return port
        refused = tuple(ir.ExactIdentity(one) for one in self._refused(workload, port))
        isolating = list(self._selecting(workload, "Ingress"))
        if not isolating and not refused:
            return port
        rules: list[ir.Rule] = []
        for policy in isolating:
            for number in range(len(items(policy.spec.get("ingress")))):
                try:
                    rules += self._ingress(policy, number, port, refused)
                except (_StrangeError, SelectorError) as error:
                    span = policy.object.span("spec", "ingress", number)
                    self._not_understood(policy, span, str(error), workload, port)
        span = isolating[0].object.span("spec") if isolating else workload.span
        if not isolating:
            rules = [_rule("egress", ir.Principals(_EVERYBODY, refused), ir.ALWAYS, span)]
        stage = ir.Stage(effect=ir.Effect.ALLOW, rules=tuple(rules), span=span)
        return replace(port, access=(stage,), mtls=ir.MtlsMode.STRICT)

    def _selecting(self, workload: ir.Workload, direction: str) -> Iterator[_Policy]:
        for policy in self.policies:
            try:
                if direction in policy.directions and policy.selects(workload):
                    yield policy
            except SelectorError as error:
                span = policy.object.span("spec", "podSelector")
                found = Unknown(message=str(error), aspects=frozenset({Aspect.ACCESS}), span=span)
                self.unknown += [] if found in self.unknown else [found]

    # ---- ingress ----------------------------------------------------------------------------------------------------

    def _ingress(
        self,
        policy: _Policy,
        number: int,
        port: ir.PortPolicy,
        refused: tuple[ir.ExactIdentity, ...],
    ) -> Iterator[ir.Rule]:
        span = policy.object.span("spec", "ingress", number)
        fields = mapping(items(policy.spec.get("ingress"))[number])
        if not _takes_port(fields, port):
            return
        name = f"{policy.object.namespace}.{policy.object.name}.{number}"
        peers = items(fields.get("from"))
        if not peers:
            yield _rule(name, ir.Principals(_EVERYBODY, refused), ir.ALWAYS, span)
            return
        named: dict[str, None] = {}
        for place, peer in enumerate(peers):
            block = mapping(peer).get("ipBlock")
            if block is not None:
                yield _rule(f"{name}.{place}", ir.Principals(_EVERYBODY, refused), _addresses(block), span)
                continue
            pods = list(self._pods(policy, peer))
            if not pods:
                raise _StrangeError("a peer that is none of the known services")
            named |= dict.fromkeys(one.identity for one in pods)
        left = tuple(ir.ExactIdentity(one) for one in sorted(named) if ir.ExactIdentity(one) not in refused)
        if left:
            yield _rule(name, ir.Principals(left), ir.ALWAYS, span)

    def _pods(self, policy: _Policy, peer: Json) -> Iterator[ir.Workload]:
        """The known workloads that a peer names: by labels, in its own namespace or in those that it selects."""
        fields = mapping(peer)
        if set(fields) - {"podSelector", "namespaceSelector"}:
            raise _StrangeError("a peer with other fields than `podSelector`, `namespaceSelector`, `ipBlock`")
        own = policy.object.namespace or _DEFAULT
        for one in self._known.workloads:
            namespace = fields.get("namespaceSelector")
            is_near = one.namespace == own if namespace is None else _is_namespace(namespace, one.namespace)
            if is_near and is_selected(fields.get("podSelector"), one.labels):
                yield one

    # ---- egress -----------------------------------------------------------------------------------------------------

    def _refused(self, workload: ir.Workload, port: ir.PortPolicy) -> Iterator[str]:
        """The callers whose own policies do not let them connect here."""
        for caller in self._known.workloads:
            isolating = list(self._selecting(caller, "Egress"))
            if isolating and not any(self._lets_out(policy, caller, workload, port) for policy in isolating):
                yield caller.identity

    def _lets_out(self, policy: _Policy, caller: ir.Workload, workload: ir.Workload, port: ir.PortPolicy) -> bool:
        for number in range(len(items(policy.spec.get("egress")))):
            try:
                if self._leads_to(policy, number, workload, port):
                    return True
            except (_StrangeError, SelectorError) as error:
                what = f"{error}, of what leaves `{caller.name}`,"
                self._not_understood(policy, policy.object.span("spec", "egress", number), what, workload, port)
                return True
        return False

    def _leads_to(self, policy: _Policy, number: int, workload: ir.Workload, port: ir.PortPolicy) -> bool:
        fields = mapping(items(policy.spec.get("egress"))[number])
        peers = items(fields.get("to"))
        if not _takes_port(fields, port):
            return False
        if not peers:
            return True
        blocks = [one for one in peers if "ipBlock" in mapping(one)]
        if any(workload in list(self._pods(policy, one)) for one in peers if one not in blocks):
            return True
        if blocks:
            raise _StrangeError("which pods an `ipBlock` holds")
        return False

    def _not_understood(
        self, policy: _Policy, span: Span, what: str, workload: ir.Workload, port: ir.PortPolicy
    ) -> None:
        self.unknown.append(
            Unknown(
                message=f"`{policy.object.name}`: {what} cannot be said",
                aspects=frozenset({Aspect.ACCESS}),
                ports=((workload.namespace, workload.name, port.number),),
                span=span,
            )
        )


def _rule(name: str, principals: ir.Principals, condition: ir.Condition, span: Span) -> ir.Rule:
    return ir.Rule(identifier=name, principals=principals, condition=condition, span=span)


def _takes_port(fields: Mapping[str, Json], port: ir.PortPolicy) -> bool:
    """Whether a rule is about a port of pods: by number, range or name; all of them where none is given."""
    listed = items(fields.get("ports"))
    if not listed:
        return True
    for one in map(mapping, listed):
        wanted, last = one.get("port"), one.get("endPort")
        if one.get("protocol", "TCP") != "TCP":
            continue
        if wanted is None or wanted == port.target or (isinstance(wanted, str) and wanted == port.name):
            return True
        if isinstance(wanted, int) and isinstance(last, int) and wanted <= port.target <= last:
            return True
    return False


def _addresses(block: Json) -> ir.Condition:
    fields = mapping(block)
    try:
        named = ir.AddressIn(ir.AddressOf.PEER, (ip_network(str(fields.get("cidr"))),))
        excepted = tuple(ip_network(str(one)) for one in items(fields.get("except")))
    except ValueError as error:
        raise _StrangeError(str(error)) from error
    return ir.AllOf((named, ir.Not(ir.AddressIn(ir.AddressOf.PEER, excepted)))) if excepted else named


def _is_namespace(selector: Json, name: str) -> bool:
    """Only the label that every namespace has is known of a namespace: its name."""
    fields = mapping(selector)
    if not fields:
        return True
    labels = mapping(fields.get("matchLabels"))
    if set(fields) != {"matchLabels"} or set(labels) != {_NAME}:
        raise _StrangeError("namespaces by labels other than `kubernetes.io/metadata.name`")
    return labels[_NAME] == name
