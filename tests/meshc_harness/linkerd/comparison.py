"""The model beside Linkerd: the same requests, decided by both."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import yaml

from meshc.ir import Destination, Mesh
from meshc.request import Decision, Request
from meshc.semantics import Evaluator, normalize_path
from meshc.semantics.normalize import RefusedError
from meshc.target import Emission
from meshc.yaml_printer import print_documents
from meshc_harness.linkerd.inbound import Answer, Inbound
from meshc_harness.linkerd.matching import Precedence, RawRequest
from meshc_harness.linkerd.objects import Cluster, Object, Pod, name_of
from meshc_harness.linkerd.outbound import Outbound, Sent

ELSEWHERE = "10.200.0.7"
"""Instead of a loopback address, from which Linkerd lets everything through."""

GRPC_HEALTH = "/grpc.health.v1.Health/Check"
"""What a gRPC probe asks."""


def documents_of(emission: Emission) -> list[Object]:
    """What a cluster would read."""
    return [one for document in emission.documents for one in yaml.safe_load_all(print_documents(document.resources))]


def cluster_of(mesh: Mesh, documents: Iterable[Object], namespace: str = "linkerd") -> Cluster:
    """The cluster that runs a mesh."""
    pods = [
        Pod(
            namespace=one.namespace,
            service=one.name,
            labels=one.labels,
            ports={port.number: port.target for port in one.ports},
            probes=tuple((probe.path, probe.port) for probe in one.probes if probe.method == "GET" and probe.path),
        )
        for one in mesh.workloads
    ]
    return Cluster.of(documents, pods, f"serviceaccount.identity.{namespace}.{mesh.trust_domain}")


def on_the_wire(mesh: Mesh, request: Request, cluster: Cluster) -> RawRequest | None:
    """A request as Linkerd sees it; None for a certificate that no proxy would accept."""
    identities: tuple[str, ...] = ()
    if request.identity is not None:
        domain, _, path = request.identity.removeprefix("spiffe://").partition("/")
        steps = path.split("/")
        if domain not in mesh.trust_domains:
            return None
        if domain == mesh.trust_domain and len(steps) == 4 and steps[::2] == ["ns", "sa"]:
            identities = (f"{steps[3]}.{steps[1]}.{cluster.identity_suffix}",)
        else:
            identities = (request.identity,)
    target = request.path
    if target is not None and request.query:
        more = "&".join(f"{name}={value}" for name, value in request.query)
        path, hash_mark, rest = target.partition("#")
        target = f"{path}{'&' if '?' in path else '?'}{more}{hash_mark}{rest}"
    return RawRequest(
        method=request.method,
        target=target,
        host=request.host or f"{request.service}.{request.namespace}",
        headers=request.headers,
        identities=identities,
        source_ip=request.source_ip,
    )


def access_differences(mesh: Mesh, emission: Emission, requests: Iterable[Request]) -> list[str]:
    """A line for each request that a server's proxy decides otherwise than the model, under either order of precedence."""
    documents = documents_of(emission)
    notes = [one.message for one in emission.diagnostics]
    known = {one.identity for one in mesh.workloads}
    cluster = cluster_of(mesh, documents)
    evaluator = Evaluator(mesh)
    found = []
    for one in requests:
        request = replace(one, path=_received(one.path))
        if one.source_ip.startswith("127."):
            request = replace(request, source_ip=ELSEWHERE)
        raw = on_the_wire(mesh, request, cluster)
        if raw is None:
            continue
        decision = evaluator.decide(request)
        for proxy in _proxies(cluster):
            answer = proxy.decide(request.namespace, request.service, request.port, raw)
            shown = f"`{request.namespace}.{request.service}:{request.port}`"
            is_listed = request.identity not in known and any(
                f"the callers of {shown} are listed" in one for one in notes
            )
            is_missed = proxy.compares_letters and raw.host != normal_host(raw.host)
            is_foreign = _domain(request.identity) not in {None, mesh.trust_domain}
            is_unseen = any(not value.isascii() for _, value in request.headers)
            may_refuse = is_listed or is_missed or is_foreign or is_unseen or is_stricter(request)
            if not _agree(decision, answer, may_refuse=may_refuse, is_probe=_is_probe(mesh, request)):
                found.append(f"{request}\n  model: {decision}\n  {proxy.order.value}: {answer}")
    return found


def _received(path: str | None) -> str | None:
    """A path as the proxy's HTTP library reads it: without a fragment, which is neither judged nor sent on."""
    return None if path is None else path.partition("#")[0]


def _proxies(cluster: Cluster) -> tuple[Inbound, ...]:
    """Every release of the proxy that differs in which route it takes."""
    return (
        Inbound(cluster, Precedence.LENGTH, compares_letters=True),
        *(Inbound(cluster, order) for order in Precedence),
    )


def _domain(identity: str | None) -> str | None:
    """Whose certificate it is. Peers of other domains have SPIFFE ids here, which no pattern of a namespace or a domain takes."""
    return None if identity is None else identity.removeprefix("spiffe://").partition("/")[0]


def normal_host(host: str) -> str:
    """A host as the language sees it."""
    return host.lower().partition(":")[0].removesuffix(".")


def _is_probe(mesh: Mesh, request: Request) -> bool:
    """Whether a request is what the kubelet asks, which the support table says is open."""
    one = next(one for one in mesh.workloads if (one.namespace, one.name) == (request.namespace, request.service))
    target = next(port.target for port in one.ports if port.number == request.port)
    asked = {
        ("POST", GRPC_HEALTH, probe.port) if probe.method == "GRPC" else (probe.method, probe.path, probe.port)
        for probe in one.probes
    }
    return (request.method, (request.path or "").partition("?")[0], target) in asked


def _agree(decision: Decision, answer: Answer, *, may_refuse: bool, is_probe: bool) -> bool:
    if answer.allowed == bool(decision.allowed) or (answer.allowed and is_probe):
        return True
    return not answer.allowed and may_refuse


def is_stricter(request: Request) -> bool:
    """Whether Linkerd may refuse what the model allows: a path that is not written as the model normalizes it, or has escapes."""
    if request.path is None:
        return False
    path = request.path.partition("?")[0]
    try:
        return normalize_path(path) != path or ";" in path or "%" in path
    except RefusedError:
        return True


# ---- routing --------------------------------------------------------------------------------------------------------


def route_differences(mesh: Mesh, documents: Sequence[Object], requests: Iterable[Request]) -> list[str]:
    """A line for each request that callers' proxies send elsewhere than the model, under either order of precedence."""
    cluster = cluster_of(mesh, documents)
    evaluator = Evaluator(mesh)
    found = []
    for request in requests:
        raw = on_the_wire(mesh, request, cluster)
        if raw is None or is_stricter(request) or _has_other_query(raw):
            continue
        decision = evaluator.decide(request)
        for order in Precedence:
            sent = Outbound(cluster, order).send(request.namespace, request.service, request.port, raw)
            problem = _routed_otherwise(mesh, cluster, decision, sent)
            if problem:
                found.append(f"{request}\n  model: {decision}\n  {order.value}: {sent}\n  {problem}")
    return found


def _has_other_query(raw: RawRequest) -> bool:
    """Whether a query says something else where it is decoded and every occurrence counts, as the support table says of routes."""
    query = (raw.target or "").partition("?")[2]
    names = [name for name, _ in raw.query]
    return "%" in query or "+" in query or len(names) != len(set(names))


def _routed_otherwise(mesh: Mesh, cluster: Cluster, decision: Decision, sent: Sent) -> str:
    if decision.redirect is not None:
        return "" if sent.redirect is not None and sent.status == decision.status else "no redirect"
    if decision.status in {400, 404} and not decision.destinations:
        return ""
    wanted = {_destination(one): one.weight / 100 for one in decision.destinations if one.weight > 0}
    got = {_service(mesh, cluster, key): share for key, share in sent.backends.items()}
    if wanted.keys() != got.keys() or any(abs(wanted[key] - got[key]) > 1e-6 for key in wanted):
        return f"wanted {wanted}, got {got}"
    timeout = _milliseconds(sent.timeout)
    if timeout != decision.timeout_ms:
        return f"timeout {timeout} and not {decision.timeout_ms}"
    return "" if sent.retries == decision.retries else f"{sent.retries} retries and not {decision.retries}"


def _destination(one: Destination) -> tuple[str, str, int, str | None]:
    return one.namespace, one.service, one.port, one.version


def _service(mesh: Mesh, cluster: Cluster, key: tuple[str, str, int]) -> tuple[str, str, int, str | None]:
    """Which service or version a Service stands for: one that was emitted is known by what it selects."""
    namespace, name, port = key
    emitted = next((one for one in cluster.all("Service") if name_of(one) == (namespace, name)), None)
    if emitted is None:
        return namespace, name, port, None
    selected = emitted["spec"]["selector"]
    for workload in mesh.workloads:
        for version in workload.versions:
            if workload.namespace == namespace and {**workload.labels, **version.labels} == selected:
                return namespace, workload.name, port, version.name
    return namespace, name, port, None


def _milliseconds(duration: str | None) -> int | None:
    if duration is None:
        return None
    for unit, size in (("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)):
        if duration.endswith(unit) and duration.removesuffix(unit).isdigit():
            return int(duration.removesuffix(unit)) * size
    raise AssertionError(duration)
