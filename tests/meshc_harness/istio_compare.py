"""The comparison with Istio: what the evaluator makes of the emitted documents, beside what the model says.

Istio's support table may differ from the model in places that it names. The comparison knows those rows by their features,
and lets a difference pass only in the direction that a row allows, for a port or route table that uses such a feature.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshc import ir
from meshc.diagnostics import Severity
from meshc.features import Feature
from meshc.passes.support import check_support
from meshc.passes.used_features import used_features
from meshc.request import Claim, Decision, Request
from meshc.semantics.decide import Evaluator, default_host
from meshc.target import Emission, Exactness, Target
from meshc_harness.istio import Answer, Arrival, IstioMesh, Mtls, ServicePort, Token, Workload
from meshc_harness.istio.world import MeshSettings, Normalization

Objects = list[Mapping[str, object]]

_ESCAPED_SLASH = re.compile("%2[Ff]|%5[Cc]")


def workloads_of(mesh: ir.Mesh) -> tuple[Workload, ...]:
    """The pods and Services that a program's workloads are on Kubernetes."""
    return tuple(
        Workload(
            namespace=one.namespace,
            name=one.name,
            labels=one.labels,
            service_account=one.service_account,
            ports=tuple(
                ServicePort(number=port.number, target=port.target, protocol=port.protocol.value) for port in one.ports
            ),
            versions={version.name: version.labels for version in one.versions},
        )
        for one in mesh.workloads
    )


def split_documents(emission: Emission) -> tuple[Objects, Mapping[str, object]]:
    """Istio's objects, and the fragment of MeshConfig."""
    objects: Objects = []
    config: Mapping[str, object] = {}
    for document in emission.documents:
        for resource in document.resources:
            version = str(resource.get("apiVersion", ""))
            if ".istio.io/" in version and resource.get("kind") != "IstioOperator":
                objects.append(resource)
            elif not version.startswith("kustomize."):
                inner = resource.get("spec", resource)
                inner = inner.get("meshConfig", inner) if isinstance(inner, Mapping) else inner
                assert isinstance(inner, Mapping)
                config = {**config, **inner}
    return objects, config


def unsupported(mesh: ir.Mesh, target: Target) -> list[str]:
    """Why the target refuses a mesh; empty if it takes it."""
    found = [*check_support(mesh, target.name, target.support)]
    if not any(one.severity is Severity.ERROR for one in found):
        found += target.emit(mesh, {}).diagnostics
    return [one.message for one in found if one.severity is Severity.ERROR]


def istio_mesh(mesh: ir.Mesh, target: Target, *, joins_lines: bool) -> IstioMesh:
    """The emitted documents as Istio reads them."""
    objects, config = split_documents(target.emit(mesh, {}))
    return IstioMesh.of(
        objects, config, workloads_of(mesh), cluster_domain=mesh.cluster_domain, joins_lines=joins_lines
    )


# ---- access ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The features that a mesh uses, and those of them that the support table lets differ."""

    used: frozenset[Feature]
    stricter: frozenset[Feature]
    approximate: frozenset[Feature]


def rows_of(mesh: ir.Mesh, target: Target) -> Rows:
    used = frozenset(feature for feature, _ in used_features(mesh))
    return Rows(
        used=used,
        stricter=frozenset(one for one in used if target.support[one].exactness is Exactness.STRICTER),
        approximate=frozenset(one for one in used if target.support[one].exactness is Exactness.APPROXIMATE),
    )


class AccessComparison:
    """One mesh: requests straight to their servers' sidecars, in the model and in Istio."""

    def __init__(self, mesh: ir.Mesh, target: Target, *, joins_lines: bool) -> None:
        self.mesh = mesh
        self.istio = istio_mesh(mesh, target, joins_lines=joins_lines)
        self.evaluator = Evaluator(mesh)
        self.rows = rows_of(mesh, target)
        self._workloads = {(one.namespace, one.name): one for one in workloads_of(mesh)}
        self._policies = {(one.namespace, one.name, port.number): port for one in mesh.workloads for port in one.ports}
        self.differed = 0
        """Requests that a row of the table let differ."""

    def difference(self, request: Request) -> str | None:
        """What differs for a request, in words; None for nothing, or for what a row of the table says."""
        decision = self.evaluator.decide(as_istio_reads(request, self.istio.settings))
        answer = self.answer(request)
        if agree(decision, answer):
            return None
        if self._is_allowed_difference(request, decision, answer):
            self.differed += 1
            return None
        return f"{request}\n  model: {decision}\n  istio: {answer}"

    def answer(self, request: Request) -> Answer:
        workload = self._workloads[request.namespace, request.service]
        port = next(one for one in workload.ports if one.number == request.port)
        mode = self.istio.server.mtls(workload, workload.labels, port)
        return self.istio.server.answer(workload, port, self._arrival(request, mode))

    def _arrival(self, request: Request, mode: Mtls) -> Arrival:
        policy = self._policies[request.namespace, request.service, request.port]
        target = request.path
        if target is not None and request.query:
            more = "&".join(f"{name}={value}" for name, value in request.query)
            target += ("&" if "?" in target else "?") + more
        return Arrival(
            peer=request.source_ip,
            # Callers' sidecars see that a port wants no TLS.
            certificate=None if mode is Mtls.DISABLE else request.identity,
            sni=request.sni,
            method=request.method,
            target=target,
            authority=default_host(request.namespace, request.service) if request.host is None else request.host,
            headers=request.headers,
            token=_token(policy, request.claims),
        )

    def _is_allowed_difference(self, request: Request, decision: Decision, answer: Answer) -> bool:
        """Whether a row says so, and the request is one of those that it is about.

        Where Istio lets more through, only an APPROXIMATE row helps; where it refuses more, a STRICTER one does as well.
        """
        if not answer.allowed and not decision.allowed:
            # A missing token is refused by a rule.
            return decision.status == 401 and answer.status == 403 and Feature.JWT_REQUIRED in self.rows.used
        differing = self.rows.approximate if answer.allowed else self.rows.stricter | self.rows.approximate
        return any(features & differing and is_concerned(request) for features, is_concerned in _CONCERNED)


def _has_odd_segment(request: Request) -> bool:
    return request.path is not None and any(char in request.path for char in "[]")


def _has_port(request: Request) -> bool:
    return request.host is not None and ":" in request.host


def repeats_header(request: Request) -> bool:
    names = [name.lower() for name, _ in request.headers]
    return len(set(names)) < len(names)


def _has_odd_claim(request: Request) -> bool:
    """A claim that is a list, empty, or read in parts."""
    return any(not isinstance(claim, str) or not claim or " " in claim for claim in _flat(request.claims or {}))


def _flat(claims: Mapping[str, Claim]) -> Iterator[Claim]:
    for claim in claims.values():
        if isinstance(claim, dict):
            yield from _flat(claim)
        else:
            yield claim


def _lacks_subject(request: Request) -> bool:
    return request.claims is not None and not request.claims.get("sub")


_CONCERNED: Final[tuple[tuple[frozenset[Feature], Callable[[Request], bool]], ...]] = (
    (frozenset({Feature.PATH_TEMPLATE}), _has_odd_segment),
    (frozenset({Feature.HOST_EQUALS, Feature.HOST_STARTS_WITH, Feature.HOST_ENDS_WITH}), _has_port),
    (frozenset({Feature.HEADER_EQUALS, Feature.HEADER_STARTS_WITH, Feature.HEADER_ENDS_WITH}), repeats_header),
    (
        frozenset(
            {
                Feature.CLAIM_EQUALS, Feature.CLAIM_STARTS_WITH, Feature.CLAIM_ENDS_WITH, Feature.CLAIM_PRESENT,
                Feature.CLAIM_HAS, Feature.CLAIM_NESTED,
            }
        ),
        _has_odd_claim,
    ),
    (frozenset({Feature.JWT_REQUIRED, Feature.JWT}), _lacks_subject),
)  # fmt: skip
"""Which requests the rows of a feature can be about."""


def as_istio_reads(request: Request, settings: MeshSettings) -> Request:
    """The request as the model has to judge it where Istio reads a target otherwise, and sends on what it reads.

    Istio cuts off a raw fragment. It decodes escaped slashes with DECODE_AND_MERGE_SLASHES, and else takes them for any
    other escape. The model answers both with 400.
    """
    if request.path is None:
        return request
    path, mark, query = request.path.partition("#")[0].partition("?")
    if settings.normalization is Normalization.DECODE_AND_MERGE_SLASHES:
        path = _ESCAPED_SLASH.sub("/", path)
    rest = () if "#" in request.path else request.query
    return replace(request, path=as_model_writes(path, settings) + mark + query, query=rest)


def as_model_writes(path: str, settings: MeshSettings) -> str:
    """A path with an escape that the model takes in the place of slashes that Istio leaves escaped."""
    return path if settings.normalization is Normalization.DECODE_AND_MERGE_SLASHES else _ESCAPED_SLASH.sub("%2B", path)


def agree(decision: Decision, answer: Answer) -> bool:
    return decision.allowed is answer.allowed and decision.status == answer.status


def _token(policy: ir.PortPolicy, claims: Mapping[str, Claim] | None) -> Token | None:
    """The token that claims stand for: those that the model fills in for the first provider are there."""
    if claims is None:
        return None
    filled: dict[str, Claim] = dict(claims)
    if policy.jwts:
        first = policy.jwts[0]
        filled.setdefault("iss", first.issuer)
        if first.audiences:
            filled.setdefault("aud", list(first.audiences))
    return Token(claims=filled)


def compared(comparison: AccessComparison, requests: Iterable[Request]) -> Sequence[str]:
    """A line for each request that is not decided alike."""
    found = (comparison.difference(request) for request in requests)
    return [one for one in found if one is not None]
