"""What is compiled for Istio reads back as what the program says, and an edit of it that matters is found.

An edit that `verify` says nothing of must change nothing: the independent evaluator of Istio decides random requests as before.
"""

import copy
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any, Final

import pytest

from golden_cases import GOLDEN, cases, program
from meshc.targets import find_target
from meshc.verification import verify
from meshc_harness.cluster_programs import cluster_program, cluster_request
from meshc_harness.compare import analyze_text
from meshc_harness.expressible import expressed
from meshc_harness.istio import IstioMesh
from meshc_harness.istio.reading import RejectedError
from meshc_harness.istio_compare import AccessComparison, workloads_of

PROGRAMS: Final = 120
EDITED: Final = 60
EDITS: Final = 4
REQUESTS: Final = 40

Steps = tuple[str | int, ...]


def test_every_golden_case_reads_back() -> None:
    istio, compared = find_target("istio"), 0
    for case in cases():
        if not (GOLDEN / case / "istio").is_dir():
            continue
        mesh = analyze_text(program(case)).mesh
        assert mesh is not None
        found = verify(istio, mesh, istio.emit(mesh, {}).documents, {}, {})
        assert not found, f"{case}: {[one.message for one in found]}"
        compared += 1
    assert compared > 40


@pytest.mark.slow
def test_random_programs_read_back() -> None:
    istio, compared = find_target("istio"), 0
    for seed in range(PROGRAMS):
        text, _ = cluster_program(Random(seed))
        left = expressed(text, "istio")
        if left is None:
            continue
        found = verify(istio, left.mesh, left.emission.documents, {}, {})
        assert not found, f"{left.text}\n{[one.message for one in found]}"
        compared += sum(len(one.ports) for one in left.mesh.workloads)
    assert compared >= 500


@pytest.mark.slow
def test_no_edit_that_matters_goes_unnoticed() -> None:
    istio, noticed, harmless = find_target("istio"), 0, 0
    for seed in range(EDITED):
        rng = Random(seed)
        text, ports = cluster_program(rng)
        left = expressed(text, "istio")
        if left is None:
            continue
        requests = [cluster_request(rng, ports[number % len(ports)]) for number in range(REQUESTS)]
        comparison = AccessComparison(left.mesh, istio, joins_lines=False)
        before = [comparison.answer(one) for one in requests]
        for _ in range(EDITS):
            edited = _edited(rng, left.emission.documents)
            if verify(istio, left.mesh, edited, {}, {}):
                noticed += 1
                continue
            try:
                comparison.istio = _istio(left.mesh, edited)
            except RejectedError:
                continue  # no cluster takes it
            harmless += 1
            after = [comparison.answer(one) for one in requests]
            assert [one.allowed for one in before] == [one.allowed for one in after], f"seed {seed}: {left.text}"
    assert noticed > harmless / 2
    assert noticed >= 60


def _istio(mesh: Any, documents: Any) -> IstioMesh:
    resources = [one for document in documents for one in document.resources]
    objects = [one for one in resources if ".istio.io/" in str(one.get("apiVersion", ""))]
    config = next(one["meshConfig"] for one in resources if "meshConfig" in one)
    return IstioMesh.of(objects, config, workloads_of(mesh), cluster_domain=mesh.cluster_domain, joins_lines=False)


def _edited(rng: Random, documents: Any) -> Any:
    """The documents with one part of one security object taken away, doubled, or exchanged for a neighbour."""
    choices = [
        (place, number)
        for place, document in enumerate(documents)
        for number, one in enumerate(document.resources)
        if str(one.get("apiVersion", "")).startswith("security.istio.io/")
    ]
    place, number = rng.choice(choices)
    resources = copy.deepcopy([dict(one) for one in documents[place].resources])
    steps = rng.choice(list(_parts(resources[number]["spec"])))
    holder: Any = resources[number]["spec"]
    for step in steps[:-1]:
        holder = holder[step]
    if isinstance(holder, list) and len(holder) == 1:
        holder[0] = (
            rng.choice(["GET", "/", "cluster.local/ns/a/sa/front", "10.0.0.0/8"])
            if isinstance(holder[0], str)
            else holder[0]
        )
    else:
        del holder[steps[-1]]
    changed = replace(documents[place], resources=tuple(resources))
    return tuple(changed if one is documents[place] else one for one in documents)


def _parts(value: Any, steps: Steps = ()) -> Iterator[Steps]:
    if steps:
        yield steps
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _parts(inner, (*steps, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _parts(inner, (*steps, place))
