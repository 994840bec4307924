"""Routes of Services read back as the program's: random programs; and edits of what was emitted are seen, or change nothing."""

import copy
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import yaml

from meshc.ir import Mesh
from meshc.request import Request
from meshc.semantics.paths import is_comparable
from meshc.verification import verify
from meshc_harness.expressible import Expressed, expressed
from meshc_harness.linkerd import Outbound, Precedence, RejectedError
from meshc_harness.linkerd.comparison import cluster_of, documents_of, is_stricter, on_the_wire
from meshc_harness.routed_requests import routed_request
from meshc_harness.routes import routed_program
from meshc_linkerd import TARGET

CHUNKS = 4
PROGRAMS = 10
EDITS = 26
REQUESTS = 80

_OTHERS: dict[str, list[Any]] = {
    "method": ["GET", "POST", "DELETE"],
    "type": ["Exact", "PathPrefix", "RegularExpression"],
    "value": ["/", "/a", "^(?:/.*)$", "yes"],
    "name": ["front", "back", "x-b"],
    "port": [80, 8080, 9090],
    "weight": [1, 7, 100],
    "request": ["1s", "7s"],
    "statusCode": [301, 302],
    "replaceFullPath": ["/b"],
}


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_programs(chunk: int) -> None:
    proven = 0
    for seed in range(chunk * PROGRAMS, (chunk + 1) * PROGRAMS):
        left = expressed(routed_program(Random(seed)).text, "linkerd")
        if left is None:
            continue
        found = verify(TARGET, left.mesh, left.emission.documents, {}, {})
        assert not found, left.text + "\n".join(one.message for one in found)
        proven += sum(len(one.ports) for one in left.mesh.workloads)
    assert proven >= 30


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for step, inner in steps for place in ((*path, step), *_places(inner, (*path, step)))]


def _edited(rng: Random, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects with a route gone, or a part of one gone, changed, or in another order."""
    edited = copy.deepcopy(documents)
    routes = [number for number, one in enumerate(edited) if _is_of_service(one)]
    number = rng.choice(routes)
    if rng.random() < 0.1:
        return edited[:number] + edited[number + 1 :]
    holder: Any = edited[number]["spec"]
    path = rng.choice(_places(holder))
    for step in path[:-1]:
        holder = holder[step]
    others = [one for one in _OTHERS.get(str(path[-1]), []) if one != holder[path[-1]]]
    if others and rng.random() < 0.7:
        holder[path[-1]] = rng.choice(others)
    elif isinstance(holder, list) and len(holder) > 1 and rng.random() < 0.3:
        holder.reverse()
    else:
        del holder[path[-1]]
    return edited


def _is_of_service(one: dict[str, Any]) -> bool:
    parents = one["spec"].get("parentRefs", ()) if one["kind"] == "HTTPRoute" else ()
    return any(parent["kind"] == "Service" for parent in parents)


def _sent(mesh: Mesh, documents: list[dict[str, Any]], requests: list[Request]) -> list[object] | None:
    """What callers' proxies do with requests under both orders; None for objects that no cluster would take."""
    try:
        cluster = cluster_of(mesh, documents)
    except (RejectedError, KeyError, TypeError):
        return None
    found: list[object] = []
    for request in requests:
        raw = on_the_wire(mesh, replace(request, source_ip="10.200.0.7"), cluster)
        for order in Precedence:
            try:
                answer = (
                    Outbound(cluster, order).send(request.namespace, request.service, request.port, raw)
                    if raw
                    else None
                )
            except (RejectedError, KeyError, IndexError, TypeError, ValueError, StopIteration) as error:
                found.append(type(error).__name__)
            else:
                found.append(answer)
    return found


def _is_seen(left: Expressed, documents: list[dict[str, Any]]) -> bool:
    changed = replace(left.emission.documents[0], path="all.yaml", resources=tuple(documents), note="")
    return bool(verify(TARGET, left.mesh, (changed,), {}, {}))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_an_edit_is_seen_or_sends_nothing_elsewhere(seed: int) -> None:
    rng = Random(900 + seed)
    left, documents = None, []
    while left is None or not any(map(_is_of_service, documents)):
        program = routed_program(rng)
        left = expressed(program.text, "linkerd")
        documents = [] if left is None else [one for one in documents_of(left.emission) if "spec" in one]
    drawn = [routed_request(rng, program, program.ports[number % len(program.ports)]) for number in range(REQUESTS)]
    known = {(one.namespace, one.name, port.number) for one in left.mesh.workloads for port in one.ports}
    requests = [
        one
        for one in drawn
        if is_comparable(one.path or "/") and not is_stricter(one) and (one.namespace, one.service, one.port) in known
    ]
    before = _sent(left.mesh, documents, requests)
    seen = 0
    for _ in range(EDITS):
        edited = _edited(rng, documents)
        if _is_seen(left, edited):
            seen += 1
        else:
            assert _sent(left.mesh, edited, requests) in (None, before), yaml.safe_dump_all(edited)
    assert seen > EDITS // 4
