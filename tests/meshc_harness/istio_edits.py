"""Edits of what is compiled to Istio: cases with their objects, whether `meshc verify` sees an edit, and what the evaluator answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import cast

from meshc import ir
from meshc.difference.compare import Comparer
from meshc.difference.model import Side
from meshc.ir import Mesh
from meshc.reading import Reading
from meshc.request import Request
from meshc.semantics.decide import default_host
from meshc.target import Document, Emission, Json
from meshc_harness.compare import analyze_text
from meshc_harness.istio import Arrival, Call, Caller, IstioMesh, Mtls
from meshc_harness.istio.reading import RejectedError
from meshc_harness.istio_compare import split_documents, workloads_of
from meshc_harness.routed_requests import atoms_of, path_for, text_for
from meshc_istio import TARGET
from meshc_istio.expressed import expressed
from meshc_istio.read import ASSUMES

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A mesh, what is compiled of it, and how the target is to run it."""

    mesh: Mesh
    documents: tuple[Document, ...]
    plain: Side


def case_of(text: str) -> Case:
    """The case of a program."""
    mesh = analyze_text(text).mesh
    assert mesh is not None
    documents = TARGET.emit(mesh, {}).documents
    assert documents
    return Case(mesh, documents, Side(mesh=expressed(mesh, {})))


def plain(value: Json) -> Json:
    """A copy in dicts and lists."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def paths(value: Json, at: Path = ()) -> Iterator[Path]:
    """The places of all parts of a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key)
            yield from paths(inner, (*at, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield (*at, place)
            yield from paths(inner, (*at, place))


def with_object(case: Case, number: int, place: int, data: Json | None) -> tuple[Document, ...]:
    """The documents with another object in a place of one of them, or with none there."""
    resources = [*case.documents[number].resources]
    resources[place : place + 1] = [] if data is None else [cast("Mapping[str, Json]", data)]
    documents = [*case.documents]
    documents[number] = replace(documents[number], resources=tuple(resources))
    return tuple(documents)


def is_seen(case: Case, reading: Reading) -> bool:
    """Whether `meshc verify` finds what was read wanting."""
    if reading.unknown or not {one.text for one in reading.assumptions} <= set(ASSUMES):
        return True
    return bool(Comparer().compare(case.plain, Side(mesh=reading.mesh)).subjects)


# ---- the evaluator --------------------------------------------------------------------------------------------------


def istio_of(mesh: Mesh, documents: tuple[Document, ...]) -> IstioMesh | None:
    """None for what Istio would not take, or what the evaluator does not know."""
    objects, config = split_documents(Emission(documents=documents))
    # Of limits it knows another shape; they refuse nobody for who calls what.
    objects = [one for one in objects if one.get("kind") != "EnvoyFilter"]
    try:
        return IstioMesh.of(objects, config, workloads_of(mesh), cluster_domain=mesh.cluster_domain, joins_lines=False)
    except (RejectedError, AssertionError):
        return None


def requests_of(case: Case, rng: Random, count: int) -> Iterator[Request]:
    """Requests of random callers, that nearly fit some route or rule."""
    owners: tuple[ir.Workload | ir.External, ...] = (*case.mesh.workloads, *case.mesh.externals)
    ports = [(owner, port) for owner in owners for port in owner.ports]
    for _ in range(count):
        owner, port = rng.choice(ports)
        rules = [rule.condition for stage in port.access for rule in stage.rules]
        route = rng.choice(port.routes)
        atoms = [*atoms_of(route.condition), *(atom for one in rules for atom in atoms_of(one))]
        patterns = [route.path, *(atom.pattern for atom in atoms if isinstance(atom, ir.PathIs))]
        methods = [one for atom in atoms if isinstance(atom, ir.MethodIs) for one in atom.methods]
        wanted = [atom for atom in atoms if rng.random() < 0.6]
        headers = tuple((atom.name, text_for(rng, atom.test)) for atom in wanted if isinstance(atom, ir.HeaderIs))
        queries = tuple((atom.name, text_for(rng, atom.test)) for atom in wanted if isinstance(atom, ir.QueryIs))
        is_http = port.protocol.is_http
        hosts = [_spelled(rng, text_for(rng, one.test), port) for one in atoms if isinstance(one, ir.HostIs)]
        if isinstance(owner, ir.External):
            hosts = [f"a{one[1:]}" if one.startswith("*") else one for one in owner.hosts]
        yield Request(
            identity=rng.choice(case.mesh.workloads).identity,
            namespace=owner.namespace,
            service=owner.name,
            port=port.number,
            method=rng.choice((*route.methods, *methods, "GET", "PUT")) if is_http else None,
            path=path_for(rng, rng.choice(patterns)) if is_http else None,
            source_ip=rng.choice(("10.0.0.1", "10.66.0.1", "192.168.1.1")),
            host=rng.choice(hosts) if hosts else None,
            headers=headers if is_http else (),
            query=queries if is_http else (),
        )


def _spelled(rng: Random, host: str, port: ir.PortPolicy) -> str:
    """A host as clients may spell it: with a dot, and with the port that they call."""
    return f"{host}{rng.choice(('', '.'))}{rng.choice(('', f':{port.number}', f':{port.target}'))}"


def answers(case: Case, istio: IstioMesh, request: Request) -> object:
    """What becomes of a request on both of its sides, names of routes aside."""
    caller = next(
        one
        for one in workloads_of(case.mesh)
        if f"/ns/{one.namespace}/sa/{one.service_account}" in str(request.identity)
    )
    target = request.path
    if target is not None and request.query:
        target += ("&" if "?" in target else "?") + "&".join(f"{name}={value}" for name, value in request.query)
    external = next(
        (one for one in case.mesh.externals if (one.namespace, one.name) == (request.namespace, request.service)), None
    )
    host = default_host(request.namespace, request.service)
    if external is not None:
        host = request.host or external.hosts[0]
    number = 80 if external is not None and request.port == 443 and request.method is not None else request.port
    call = Call(port=number, authority=host, method=request.method, target=target, headers=request.headers, sni=host)
    pod = Caller(namespace=caller.namespace, labels=caller.pods()[0])
    sent = istio.caller.send(pod, call)
    sent = replace(sent, route="", destinations=tuple(sorted(sent.destinations, key=str)))
    policies = tuple(str(istio.caller.policy(pod, one)) for one, _ in sent.destinations)
    if external is not None:
        return sent, policies
    workload = next(
        one for one in workloads_of(case.mesh) if (one.namespace, one.name) == (request.namespace, request.service)
    )
    port = next(one for one in workload.ports if one.number == request.port)
    mode = istio.server.mtls(workload, workload.labels, port)
    certificate = None if mode is Mtls.DISABLE else request.identity
    arrival = Arrival(
        peer=request.source_ip, certificate=certificate, sni=None, method=request.method, target=target,
        authority=request.host or host, headers=request.headers, token=None,
    )  # fmt: skip
    return sent, policies, istio.server.answer(workload, port, arrival).allowed, mode
