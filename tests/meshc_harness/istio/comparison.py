"""The model beside Istio: the same requests, decided and routed by both."""

from collections.abc import Iterable

import yaml

from meshc.ir import Mesh
from meshc.request import Decision, Request
from meshc.semantics import Evaluator
from meshc.target import Emission
from meshc.yaml_printer import print_documents
from meshc_harness.istio.access import Access, Answer
from meshc_harness.istio.objects import Cluster, Object, Pod
from meshc_harness.istio.requests import RawRequest
from meshc_harness.istio.routes import Routes, Sent


def cluster_of(mesh: Mesh, emission: Emission) -> Cluster:
    """The cluster that runs a mesh, from what it would read."""
    documents: list[Object] = [
        one for document in emission.documents for one in yaml.safe_load_all(print_documents(document.resources))
    ]
    pods = [
        Pod(
            namespace=one.namespace,
            service=one.name,
            labels=one.labels,
            ports={port.number: port.target for port in one.ports},
            http=frozenset(port.target for port in one.ports if port.protocol.is_http),
        )
        for one in mesh.workloads
    ]
    return Cluster.of(documents, pods, mesh.cluster_domain)


def on_the_wire(mesh: Mesh, request: Request) -> RawRequest | None:
    """A request as a sidecar sees it; None for a certificate that it would not accept."""
    if request.identity is not None and not request.identity.startswith(f"spiffe://{mesh.trust_domain}/"):
        return None
    target = request.path
    if target is not None and request.query:
        more = "&".join(f"{name}={value}" for name, value in request.query)
        path, hash_mark, rest = target.partition("#")
        target = f"{path}{'&' if '?' in path else '?'}{more}{hash_mark}{rest}"
    caller = next((one for one in mesh.workloads if one.identity == request.identity), None)
    return RawRequest(
        method=request.method,
        target=target,
        host=request.host or f"{request.service}.{request.namespace}",
        headers=request.headers,
        identity=request.identity,
        source_ip=request.source_ip,
        labels=dict(caller.labels) if caller else {},
        namespace=caller.namespace if caller else "",
    )


def access_differences(mesh: Mesh, emission: Emission, requests: Iterable[Request]) -> list[str]:
    """A line for each request that a server's sidecar decides otherwise than the model, old releases and new."""
    cluster = cluster_of(mesh, emission)
    evaluator = Evaluator(mesh)
    found = []
    for request in requests:
        raw = on_the_wire(mesh, request)
        if raw is None:
            continue
        decision = evaluator.decide(request)
        for joins_lines in (False, True):
            answer = Access(cluster, joins_lines).decide(request.namespace, request.service, request.port, raw)
            if not _agree(decision, answer, request, raw, joins_lines=joins_lines):
                found.append(f"{request}\n  model: {decision}\n  istio: {answer} {'(joined)' if joins_lines else ''}")
    return found


def _agree(decision: Decision, answer: Answer, request: Request, raw: RawRequest, *, joins_lines: bool) -> bool:
    if answer.allowed == bool(decision.allowed):
        return True
    if answer.allowed:
        # The table names them: escaped slashes and NULs are judged as they are written.
        return decision.status == 400 and any(one in (request.path or "").lower() for one in ("%2f", "%5c", "%00"))
    names = [name.lower() for name, _ in request.headers]
    has_strange_port = ":" in raw.host
    return (joins_lines and len(names) != len(set(names))) or has_strange_port


def route_differences(mesh: Mesh, emission: Emission, requests: Iterable[Request]) -> list[str]:
    """A line for each request that callers' sidecars send elsewhere than the model."""
    cluster = cluster_of(mesh, emission)
    evaluator = Evaluator(mesh)
    found = []
    for request in requests:
        raw = on_the_wire(mesh, request)
        if raw is None or raw.is_malformed:
            continue
        decision = evaluator.decide(request)
        if decision.status == 400:
            continue
        host = f"{request.service}.{request.namespace}.svc.{mesh.cluster_domain}"
        sent = Routes(cluster).send(host, request.port, raw)
        problem = _routed_otherwise(mesh, decision, sent)
        if problem:
            found.append(f"{request}\n  model: {decision}\n  istio: {sent}\n  {problem}")
    return found


def _routed_otherwise(mesh: Mesh, decision: Decision, sent: Sent) -> str:
    if decision.allowed is None and decision.status is not None and decision.reason != "no endpoints":
        return "" if sent.status == decision.status else f"status {sent.status}"
    domain = mesh.cluster_domain
    wanted: dict[tuple[str, int, str | None], float] = {}
    for one in decision.destinations:
        if one.weight > 0:
            key = (f"{one.service}.{one.namespace}.svc.{domain}", one.port, one.version)
            wanted[key] = wanted.get(key, 0.0) + one.weight / 100
    if wanted.keys() != sent.backends.keys() or any(abs(wanted[key] - sent.backends[key]) > 1e-6 for key in wanted):
        return f"wanted {wanted}, got {dict(sent.backends)}"
    timeout = None if sent.timeout is None else _milliseconds(sent.timeout)
    return "" if timeout == decision.timeout_ms and sent.retries == decision.retries else "settings"


def _milliseconds(text: str) -> int:
    return int(text[:-2]) if text.endswith("ms") else int(text[:-1]) * 1000
