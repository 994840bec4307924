"""Random programs × random requests: the model and Linkerd's documented semantics decide and route alike."""

from dataclasses import replace
from random import Random
from typing import Final

import pytest

from meshc.semantics.paths import is_comparable
from meshc_harness.cluster_programs import cluster_program, cluster_request
from meshc_harness.expressible import expressed
from meshc_harness.linkerd.comparison import access_differences, documents_of, route_differences
from meshc_harness.routed_requests import routed_request
from meshc_harness.routes import routed_program

PROGRAMS: Final = 40
REQUESTS: Final = 30
ROUTED: Final = 60


@pytest.mark.slow
def test_model_and_linkerd_decide_alike() -> None:
    compared = 0
    for seed in range(PROGRAMS):
        rng = Random(seed)
        text, ports = cluster_program(rng)
        left = expressed(text, "linkerd")
        if left is None:
            continue
        requests = [cluster_request(rng, ports[number % len(ports)]) for number in range(REQUESTS)]
        comparable = [one for one in requests if one.path is None or is_comparable(one.path)]
        found = access_differences(left.mesh, left.emission, comparable)
        assert not found, left.text + "\n".join(found)
        compared += len(comparable)
    assert compared >= 500


@pytest.mark.slow
def test_model_and_linkerd_route_alike() -> None:
    compared = 0
    for seed in range(ROUTED):
        rng = Random(seed)
        program = routed_program(rng)
        left = expressed(program.text, "linkerd")
        if left is None:
            continue
        cut = replace(program, text=left.text, mesh=left.mesh)
        ports = program.ports
        requests = [routed_request(rng, cut, ports[number % len(ports)]) for number in range(REQUESTS)]
        comparable = [one for one in requests if is_comparable(one.path or "/")]
        found = route_differences(left.mesh, documents_of(left.emission), comparable)
        assert not found, left.text + "\n".join(found)
        compared += len(comparable)
    assert compared >= 500
