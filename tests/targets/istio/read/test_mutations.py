"""Edits of emitted files: each is seen, or an evaluator of Istio by another hand answers every request as before.

What is read of an edited file is compared with that evaluator too, where all of it is understood.
"""

import copy
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import cast

import pytest

from golden_cases import program
from meshc.ir import Mesh
from meshc.reading import Aspect, bare, objects_of_documents
from meshc.semantics.decide import Evaluator
from meshc.target import Json
from meshc_harness.istio_edits import (
    Case,
    Path,
    answers,
    case_of,
    is_seen,
    istio_of,
    paths,
    plain,
    requests_of,
    with_object,
)
from meshc_harness.istio_route_compare import RouteComparison
from meshc_istio import TARGET
from meshc_istio.read import read

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


@cache
def _case(name: str) -> Case:
    return case_of(program(name))


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


@pytest.mark.slow
@pytest.mark.parametrize("name", _CASES)
def test_edits_are_seen_or_change_nothing(name: str) -> None:
    case, rng = _case(name), Random(name)
    usual = istio_of(case.mesh, case.documents)
    requests = list(requests_of(case, rng, 200))
    before = [] if usual is None else [answers(case, usual, one) for one in requests]
    assert before
    edits = [
        (number, place, path)
        for number, document in enumerate(case.documents)
        for place, resource in enumerate(document.resources)
        for path in paths(plain(resource))
        if not _SAYS_NOTHING & {*map(str, path), document.path}
    ]
    seen = 0
    picked = rng.sample(edits, min(len(edits), 24))
    for number, place, path in picked:
        documents = with_object(case, number, place, _edited(plain(case.documents[number].resources[place]), path, rng))
        reading = read(objects_of_documents(documents, "out"), bare(case.mesh), {})
        if is_seen(case, reading):
            seen += 1
            continue
        istio = istio_of(case.mesh, documents)
        where = (case.documents[number].path, place, *path)
        if istio is None:
            continue  # Istio refuses the file, so what it had before stays
        for request, answer in zip(requests, before, strict=True):
            assert answers(case, istio, request) == answer, (where, request)
    assert seen >= len(picked) * 0.4, f"{seen} of {len(picked)}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain-routes", "routes", "rewrites", "retry-conditions", "mirror"])
def test_what_is_read_of_an_edit_is_what_the_evaluatoranswers(name: str) -> None:
    case, rng = _case(name), Random(f"read {name}")
    comparison = RouteComparison(case.mesh, TARGET, joins_lines=False)
    requests = [one for one in requests_of(case, rng, 60) if one.method is not None]
    edits = [
        (number, place, path)
        for number, document in enumerate(case.documents)
        for place, resource in enumerate(document.resources)
        if resource.get("kind") in {"VirtualService", "DestinationRule"}
        for path in paths(plain(resource))
        if path[0] == "spec" and not _SAYS_NOTHING & {*map(str, path)}
    ]
    compared = 0
    for number, place, path in rng.sample(edits, min(len(edits), 30)):
        documents = with_object(case, number, place, _edited(plain(case.documents[number].resources[place]), path, rng))
        reading = read(objects_of_documents(documents, "out"), bare(case.mesh), {})
        istio = istio_of(case.mesh, documents)
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
def test_every_edit_of_a_limit_a_report_or_a_policyis_seen(name: str) -> None:
    case, rng = _case(name), Random(f"all {name}")
    edits = [
        (number, place, path)
        for number, document in enumerate(case.documents)
        for place, resource in enumerate(document.resources)
        if resource.get("kind") in {"EnvoyFilter", "Telemetry", "DestinationRule"}
        for path in paths(plain(resource))
        if path[0] == "spec" and not (_SAYS_NOTHING | _NAMES_ALONE) & {*map(str, path)}
    ]
    seen = 0
    for number, place, path in edits:
        edited = _edited(plain(case.documents[number].resources[place]), path, rng)
        reading = read(objects_of_documents(with_object(case, number, place, edited), "out"), bare(case.mesh), {})
        if is_seen(case, reading):
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
def test_who_sees_which_routes_is_what_the_evaluatoranswers(name: str) -> None:
    case, rng = _case(name), Random(f"hidden {name}")
    comparison = RouteComparison(case.mesh, TARGET, joins_lines=False)
    requests = [one for one in requests_of(case, rng, 40) if one.method is not None]
    compared = 0
    for number, document in enumerate(case.documents):
        for place, resource in enumerate(document.resources):
            if resource.get("kind") not in {"VirtualService", "DestinationRule"}:
                continue
            for edited in _hidden(plain(resource), _homes(case.mesh)):
                documents = with_object(case, number, place, edited)
                reading = read(objects_of_documents(documents, "out"), bare(case.mesh), {})
                istio = istio_of(case.mesh, documents)
                if any(Aspect.ROUTING in one.aspects for one in reading.unknown) or istio is None:
                    continue
                comparison.istio, comparison.evaluator = istio, Evaluator(reading.mesh)
                for request in requests:
                    caller = next(one for one in case.mesh.workloads if one.identity == request.identity)
                    found = comparison.difference(request, (caller.namespace, caller.name))
                    assert found is None, (edited, found)
                compared += 1
    assert compared >= 5
