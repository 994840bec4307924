"""Random programs × random requests: reference proxies that run what Envoy's compiled files say decide as the model does."""

from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from meshc.ir import Mesh
from meshc.request import Request
from meshc.semantics import is_comparable
from meshc.targets import find_target
from meshc.verification import read_texts, texts_of
from meshc_harness.compare import analyze_text, differences
from meshc_harness.programs import programs
from meshc_harness.requests import requests_to
from meshc_harness.route_compare import route_differences
from meshc_harness.routed_requests import routed_request
from meshc_harness.routes import routed_program

PROGRAMS: Final = 14
REQUESTS: Final = 24
"""336 pairs: programs × requests."""

TABLES: Final = 5
CALLS: Final = 60
"""300 pairs, through two proxies each."""


def compiled(mesh: Mesh) -> Mesh:
    """The mesh as the compiled files have it."""
    target = find_target("envoy")
    texts = texts_of(target, target.emit(mesh, {}).documents)
    reading = read_texts(target, mesh, texts, {})
    assert not reading.unknown
    return reading.mesh


@pytest.mark.slow
@settings(
    max_examples=PROGRAMS,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_model_and_proxy_agree(data: st.DataObject) -> None:
    program = data.draw(programs())
    mesh = analyze_text(program.text).mesh
    assert mesh is not None
    requests: list[Request] = []
    for number in range(REQUESTS):
        request = data.draw(requests_to(program.ports[number % len(program.ports)]))
        if request.path is None or is_comparable(request.path):
            requests.append(request)
    found = differences(mesh, requests, "proxy", run=compiled(mesh))
    assert not found, program.text + "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(TABLES))
def test_model_and_proxy_route_alike(seed: int) -> None:
    rng = Random(1000 + seed)
    program = routed_program(rng)
    requests = [routed_request(rng, program, program.ports[number % len(program.ports)]) for number in range(CALLS)]
    comparable = [one for one in requests if is_comparable(one.path or "/")]
    found = route_differences(program.mesh, comparable, "proxy", run=compiled(program.mesh))
    assert not found, program.text + "\n".join(found)
