"""Random programs × random requests: the model and Linkerd's documented semantics decide and route alike."""

from dataclasses import replace
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from meshc.request import Request
from meshc.semantics.paths import is_comparable
from meshc_harness.expressible import expressed
from meshc_harness.linkerd.comparison import access_differences, documents_of, route_differences
from meshc_harness.programs import programs
from meshc_harness.requests import requests_to
from meshc_harness.routed_requests import routed_request
from meshc_harness.routes import routed_program

PROGRAMS: Final = 40
REQUESTS: Final = 30


@pytest.mark.slow
def test_model_and_linkerd_decide_alike() -> None:
    compared = 0

    @settings(
        max_examples=PROGRAMS,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def compare(data: st.DataObject) -> None:
        nonlocal compared
        program = data.draw(programs())
        left = expressed(program.text, "linkerd")
        if left is None:
            return
        requests: list[Request] = []
        for number in range(REQUESTS):
            request = data.draw(requests_to(program.ports[number % len(program.ports)]))
            if request.path is None or is_comparable(request.path):
                requests.append(request)
        found = access_differences(left.mesh, documents_of(left.emission), requests)
        assert not found, left.text + "\n".join(found)
        compared += len(requests)

    compare()
    assert compared >= 500


@pytest.mark.slow
def test_model_and_linkerd_route_alike() -> None:
    compared = 0
    for seed in range(PROGRAMS):
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
