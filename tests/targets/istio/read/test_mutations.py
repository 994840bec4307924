"""Edits of emitted files: each is seen, or an evaluator of Istio by another hand answers every request as before.

What is read of an edited file is compared with that evaluator too, where all of it is understood.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import cast

import pytest

from golden_cases import program
from meshc import ir
from meshc.difference.compare import Comparer
from meshc.difference.model import Side
from meshc.ir import Mesh
from meshc.reading import Aspect, Reading, bare, objects_of_documents
from meshc.request import Request
from meshc.semantics.decide import Evaluator, default_host
from meshc.target import Document, Emission, Json
from meshc_harness.compare import analyze_text
from meshc_harness.istio import Arrival, Call, Caller, IstioMesh, Mtls
from meshc_harness.istio.reading import RejectedError
from meshc_harness.istio_compare import split_documents, workloads_of
from meshc_harness.istio_route_compare import RouteComparison
from meshc_harness.routed_requests import atoms_of, path_for, text_for
from meshc_istio import TARGET
from meshc_istio.expressed import expressed
from meshc_istio.read import ASSUMES, read

_CASES = (
    "allow-and-deny",
    "header-tests",
    "negation",
    "plain-routes",
    "routes",
    "rewrites",
    "faults",
    "retry-conditions",
    "retry-budget",
    "mirror",
    "hashing",
    "mtls-permissive",
    "mtls-off",
    "jwt-url",
    "plain-limits",
    "access-log",
    "trace",
    "external-plain",
    "external-https",
    "external-tls",
)
_SAYS_NOTHING = frozenset({"labels", "annotations", "name", "kustomization.yaml", "stat_prefix", "runtime_key"})
"""Below these fields, of metadata, routes and filters, are names alone."""

_SWAPS = {
    "GET": "POST",
    "POST": "GET",
    "ALLOW": "DENY",
    "DENY": "ALLOW",
    "STRICT": "PERMISSIVE",
    "v1": "v2",
    "v2": "v1",
}

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    mesh: Mesh
    documents: tuple[Document, ...]
    plain: Side


@cache
def _case(name: str) -> _Case:
    mesh = analyze_text(program(name)).mesh
    assert mesh is not None
    documents = TARGET.emit(mesh, {}).documents
    assert documents
    return _Case(mesh, documents, Side(mesh=expressed(mesh, {})))


def _plain(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _paths(value: Json, at: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key)
            yield from _paths(inner, (*at, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield (*at, place)
            yield from _paths(inner, (*at, place))


def _edited(data: Json, path: Path, rng: Random) -> Json:
    """A copy with one part taken out, changed, or put elsewhere among its like."""
    edited = copy.deepcopy(data)
    holder: Json = edited
    for step in path[:-1]:
        holder = cast("dict[str | int, Json]", holder)[step]
    parent, last = cast("dict[str | int, Json]", holder), path[-1]
    value = parent[last]
    if isinstance(value, bool):
        parent[last] = not value
    elif isinstance(value, str) and rng.random() < 0.7:
        parent[last] = _SWAPS.get(value) or rng.choice((f"{value}x", f"{value}*", value[:-1]))
    elif isinstance(value, int) and rng.random() < 0.7:
        parent[last] = value + 1
    elif isinstance(holder, list) and len(holder) > 1 and rng.random() < 0.5:
        holder.reverse()
    else:
        del parent[last]
    return edited


def _with(case: _Case, number: int, place: int, data: Json) -> tuple[Document, ...]:
    resources = [*case.documents[number].resources]
    resources[place] = cast("Mapping[str, Json]", data)
    documents = [*case.documents]
    documents[number] = replace(documents[number], resources=tuple(resources))
    return tuple(documents)


def _is_seen(case: _Case, reading: Reading) -> bool:
    if reading.unknown or not {one.text for one in reading.assumptions} <= set(ASSUMES):
        return True
    return bool(Comparer().compare(case.plain, Side(mesh=reading.mesh)).subjects)


# ---- the evaluator --------------------------------------------------------------------------------------------------


def _istio(mesh: Mesh, documents: tuple[Document, ...]) -> IstioMesh | None:
    """None for what Istio would not take, or what the evaluator does not know."""
    objects, config = split_documents(Emission(documents=documents))
    # Of limits it knows another shape; they refuse nobody for who calls what.
    objects = [one for one in objects if one.get("kind") != "EnvoyFilter"]
    try:
        return IstioMesh.of(objects, config, workloads_of(mesh), cluster_domain=mesh.cluster_domain, joins_lines=False)
    except (RejectedError, AssertionError):
        return None


def _requests(case: _Case, rng: Random, count: int) -> Iterator[Request]:
    """Requests of random callers, that nearly fit some route or rule."""
    owners: tuple[ir.Workload | ir.External, ...] = (*case.mesh.workloads, *case.mesh.externals)
    ports = [(owner, port) for owner in owners for port in owner.ports]
    for _ in range(count):
        owner, port = rng.choice(ports)
        rules = [rule.condition for stage in port.access for rule in stage.rules]
        route = rng.choice(port.routes)
        atoms = [*atoms_of(route.condition), *(atom for one in rules for atom in atoms_of(one))]
        paths = [route.path, *(atom.pattern for atom in atoms if isinstance(atom, ir.PathIs))]
        methods = [one for atom in atoms if isinstance(atom, ir.MethodIs) for one in atom.methods]
        wanted = [atom for atom in atoms if rng.random() < 0.6]
        headers = tuple((atom.name, text_for(rng, atom.test)) for atom in wanted if isinstance(atom, ir.HeaderIs))
        queries = tuple((atom.name, text_for(rng, atom.test)) for atom in wanted if isinstance(atom, ir.QueryIs))
        is_http = port.protocol.is_http
        yield Request(
            identity=rng.choice(case.mesh.workloads).identity,
            namespace=owner.namespace,
            service=owner.name,
            port=port.number,
            method=rng.choice((*route.methods, *methods, "GET", "PUT")) if is_http else None,
            path=path_for(rng, rng.choice(paths)) if is_http else None,
            source_ip=rng.choice(("10.0.0.1", "10.66.0.1", "192.168.1.1")),
            headers=headers if is_http else (),
            query=queries if is_http else (),
        )


def _answers(case: _Case, istio: IstioMesh, request: Request) -> object:
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
    host = default_host(request.namespace, request.service) if external is None else external.hosts[0]
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
        peer=request.source_ip, certificate=certificate, sni=None, method=request.method, target=target, authority=host,
        headers=request.headers, token=None,
    )  # fmt: skip
    return sent, policies, istio.server.answer(workload, port, arrival).allowed, mode


@pytest.mark.slow
@pytest.mark.parametrize("name", _CASES)
def test_edits_are_seen_or_change_nothing(name: str) -> None:
    case, rng = _case(name), Random(name)
    usual = _istio(case.mesh, case.documents)
    requests = list(_requests(case, rng, 200))
    before = [] if usual is None else [_answers(case, usual, one) for one in requests]
    assert before
    edits = [
        (number, place, path)
        for number, document in enumerate(case.documents)
        for place, resource in enumerate(document.resources)
        for path in _paths(_plain(resource))
        if not _SAYS_NOTHING & {*map(str, path), document.path}
    ]
    seen = 0
    picked = rng.sample(edits, min(len(edits), 24))
    for number, place, path in picked:
        documents = _with(case, number, place, _edited(_plain(case.documents[number].resources[place]), path, rng))
        reading = read(objects_of_documents(documents, "out"), bare(case.mesh), {})
        if _is_seen(case, reading):
            seen += 1
            continue
        istio = _istio(case.mesh, documents)
        where = (case.documents[number].path, place, *path)
        if istio is None:
            continue  # Istio refuses the file, so what it had before stays
        for request, answer in zip(requests, before, strict=True):
            assert _answers(case, istio, request) == answer, (where, request)
    assert seen >= len(picked) * 0.4, f"{seen} of {len(picked)}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain-routes", "routes", "rewrites", "retry-conditions", "mirror"])
def test_what_is_read_of_an_edit_is_what_the_evaluator_answers(name: str) -> None:
    case, rng = _case(name), Random(f"read {name}")
    comparison = RouteComparison(case.mesh, TARGET, joins_lines=False)
    requests = [one for one in _requests(case, rng, 60) if one.method is not None]
    edits = [
        (number, place, path)
        for number, document in enumerate(case.documents)
        for place, resource in enumerate(document.resources)
        if resource.get("kind") in {"VirtualService", "DestinationRule"}
        for path in _paths(_plain(resource))
        if path[0] == "spec" and not _SAYS_NOTHING & {*map(str, path)}
    ]
    compared = 0
    for number, place, path in rng.sample(edits, min(len(edits), 30)):
        documents = _with(case, number, place, _edited(_plain(case.documents[number].resources[place]), path, rng))
        reading = read(objects_of_documents(documents, "out"), bare(case.mesh), {})
        istio = _istio(case.mesh, documents)
        if reading.unknown or istio is None:
            continue
        comparison.istio, comparison.evaluator = istio, Evaluator(reading.mesh)
        for request in requests:
            caller = next(one for one in case.mesh.workloads if one.identity == request.identity)
            found = comparison.difference(request, (caller.namespace, caller.name))
            assert found is None, (path, found)
        compared += 1
    assert compared >= 5


# ---- limits and reports, of which the evaluator knows nothing -------------------------------------------------------

_NAMES_ALONE = frozenset({"name", "priority"})
"""Of filters and their patches: what they are called."""
_CHANGES_NOTHING = frozenset(
    {
        # Without it the object is for the whole namespace, where the other service has one of its own, or no ports.
        "spec.selector",
        "spec.selector.matchLabels",
        "spec.selector.matchLabels.app",
        "spec.workloadSelector",
        "spec.workloadSelector.labels",
        "spec.workloadSelector.labels.app",
        # What Istio takes where the field is not there.
        "spec.trafficPolicy.loadBalancer.consistentHash.ringHash",
        "spec.trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize",
    }
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain-limits", "access-log", "trace", "retry-budget", "hashing"])
def test_every_edit_of_a_limit_a_report_or_a_policy_is_seen(name: str) -> None:
    case, rng = _case(name), Random(f"all {name}")
    edits = [
        (number, place, path)
        for number, document in enumerate(case.documents)
        for place, resource in enumerate(document.resources)
        if resource.get("kind") in {"EnvoyFilter", "Telemetry", "DestinationRule"}
        for path in _paths(_plain(resource))
        if path[0] == "spec" and not (_SAYS_NOTHING | _NAMES_ALONE) & {*map(str, path)}
    ]
    seen = 0
    for number, place, path in edits:
        edited = _edited(_plain(case.documents[number].resources[place]), path, rng)
        reading = read(objects_of_documents(_with(case, number, place, edited), "out"), bare(case.mesh), {})
        if _is_seen(case, reading):
            seen += 1
        else:
            assert ".".join(map(str, path)) in _CHANGES_NOTHING, (case.documents[number].path, place, path, edited)
    assert seen >= len(edits) * 0.8


# ---- who sees what --------------------------------------------------------------------------------------------------


def _homes(mesh: Mesh) -> list[str]:
    return sorted({one.namespace for one in mesh.workloads})


def _hidden(data: Json, homes: list[str]) -> Iterator[Json]:
    """An object of networking for some callers alone, or in another place."""
    for exported in (["."], ["nobody"], *([one] for one in homes), [".", homes[-1]]):
        edited = copy.deepcopy(cast("dict[str, dict[str, Json]]", data))
        edited["spec"]["exportTo"] = exported
        yield edited
    for home in homes:
        edited = copy.deepcopy(cast("dict[str, dict[str, Json]]", data))
        edited["metadata"]["namespace"] = home
        yield edited


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain-routes", "routes", "rewrites", "retry-conditions", "mirror"])
def test_who_sees_which_routes_is_what_the_evaluator_answers(name: str) -> None:
    case, rng = _case(name), Random(f"hidden {name}")
    comparison = RouteComparison(case.mesh, TARGET, joins_lines=False)
    requests = [one for one in _requests(case, rng, 40) if one.method is not None]
    compared = 0
    for number, document in enumerate(case.documents):
        for place, resource in enumerate(document.resources):
            if resource.get("kind") not in {"VirtualService", "DestinationRule"}:
                continue
            for edited in _hidden(_plain(resource), _homes(case.mesh)):
                documents = _with(case, number, place, edited)
                reading = read(objects_of_documents(documents, "out"), bare(case.mesh), {})
                istio = _istio(case.mesh, documents)
                if any(Aspect.ROUTING in one.aspects for one in reading.unknown) or istio is None:
                    continue
                comparison.istio, comparison.evaluator = istio, Evaluator(reading.mesh)
                for request in requests:
                    caller = next(one for one in case.mesh.workloads if one.identity == request.identity)
                    found = comparison.difference(request, (caller.namespace, caller.name))
                    assert found is None, (edited, found)
                compared += 1
    assert compared >= 5
