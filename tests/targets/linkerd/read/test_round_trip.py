"""What is emitted reads back as what Linkerd is to run: golden cases, examples, random programs; and edits of files are seen."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import yaml

from golden_cases import GOLDEN, program
from meshc.ir import Mesh
from meshc.request import Request
from meshc.semantics.paths import is_comparable
from meshc.target import Emission
from meshc.verification import verify
from meshc_harness.cluster_programs import cluster_program, cluster_request
from meshc_harness.compare import analyze_text
from meshc_harness.expressible import expressed
from meshc_harness.linkerd import Inbound, Precedence, RejectedError
from meshc_harness.linkerd.comparison import cluster_of, documents_of, on_the_wire
from meshc_harness.narrow_programs import narrow_program
from meshc_linkerd import TARGET

CASES = sorted(one.parent.name for one in GOLDEN.glob("*/linkerd"))
CHUNKS = 6
PROGRAMS = 10
"""Seeds of each chunk; each is two programs of five ports and more, so that there are more than 500 proofs of ports."""

EDITS = 34
REQUESTS = 60


@pytest.mark.parametrize("case", CASES)
def test_a_golden_case(case: str) -> None:
    mesh = analyze_text(program(case)).mesh
    assert mesh is not None
    emission = TARGET.emit(mesh, {})
    assert verify(TARGET, mesh, emission.documents, {}, {}) == ()


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_programs(chunk: int) -> None:
    proven = 0
    for seed in range(chunk * PROGRAMS, (chunk + 1) * PROGRAMS):
        for text in (cluster_program(Random(seed))[0], narrow_program(Random(seed)).text):
            left = expressed(text, "linkerd")
            if left is None:
                continue
            found = verify(TARGET, left.mesh, left.emission.documents, {}, {})
            assert not found, left.text + "\n".join(one.message for one in found)
            proven += sum(len(one.ports) for one in left.mesh.workloads)
    assert proven >= 45


# ---- edits ----------------------------------------------------------------------------------------------------------

_OTHERS: dict[str, list[Any]] = {
    "method": ["GET", "POST", "DELETE"],
    "type": ["Exact", "PathPrefix", "RegularExpression"],
    "value": ["/", "/a", "^(?:/.*)$", "yes"],
    "name": ["web", "front", "x-b"],
    "namespace": ["a", "b"],
    "accessPolicy": ["all-unauthenticated", "all-authenticated", "audit"],
    "port": [80, 9080],
    "proxyProtocol": ["unknown", "opaque"],
    "cidr": ["0.0.0.0/0", "10.0.0.0/8"],
    "kind": ["Namespace", "Server"],
    "app": ["other"],
}


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from _places(inner, (*path, step))


def _edited(rng: Random, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects with one of them gone, a part of one gone or changed, or two of a list in another order."""
    edited = copy.deepcopy(documents)
    number = rng.randrange(len(edited))
    if rng.random() < 0.15:
        return edited[:number] + edited[number + 1 :]
    path = rng.choice(list(_places(edited[number]["spec"])))
    holder: Any = edited[number]["spec"]
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


def _decisions(mesh: Mesh, documents: list[dict[str, Any]], requests: list[Request]) -> list[object] | None:
    """What proxies decide under both orders; None for objects that no cluster would take."""
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
                    Inbound(cluster, order).decide(request.namespace, request.service, request.port, raw)
                    if raw
                    else None
                )
            except (RejectedError, KeyError, IndexError, TypeError, ValueError, StopIteration) as error:
                found.append(type(error).__name__)
            else:
                found.append(answer is not None and answer.allowed)
    return found


def _is_seen(mesh: Mesh, emission: Emission, documents: list[dict[str, Any]]) -> bool:
    resources = tuple(documents)
    changed = replace(emission.documents[0], path="all.yaml", resources=resources, note="")
    return bool(verify(TARGET, mesh, (changed,), {}, {}))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_an_edit_is_seen_or_decides_nothing(seed: int) -> None:
    rng = Random(500 + seed)
    left, ports = None, []
    while left is None:
        text, ports = cluster_program(rng)
        left = expressed(text, "linkerd")
    access = ("Server", "AuthorizationPolicy", "MeshTLSAuthentication", "NetworkAuthentication", "HTTPRoute")
    documents = [
        one
        for one in documents_of(left.emission)
        if one["kind"] in access and all(parent["kind"] == "Server" for parent in one["spec"].get("parentRefs", ()))
    ]
    drawn = [cluster_request(rng, ports[number % len(ports)]) for number in range(REQUESTS)]
    requests = [one for one in drawn if one.path is None or is_comparable(one.path)]
    before = _decisions(left.mesh, documents, requests)
    seen = 0
    for _ in range(EDITS):
        edited = _edited(rng, documents)
        if _is_seen(left.mesh, left.emission, edited):
            seen += 1
        else:
            assert _decisions(left.mesh, edited, requests) in (None, before), yaml.safe_dump_all(edited)
    assert seen > EDITS // 4
