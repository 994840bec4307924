"""Random route tables × random requests: the model and real Envoys route alike."""

from random import Random
from typing import Final

import pytest

from meshc.semantics import is_comparable
from meshc_harness.route_compare import route_differences
from meshc_harness.routed_requests import routed_request
from meshc_harness.routes import routed_program

PROGRAMS: Final = 12
REQUESTS: Final = 80
"""960 pairs: programs × requests, less a few whose paths no two proxies read alike."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_model_and_envoy_route_alike(seed: int) -> None:
    rng = Random(seed)
    program = routed_program(rng)
    requests = [routed_request(rng, program, program.ports[number % len(program.ports)]) for number in range(REQUESTS)]
    found = route_differences(program.mesh, [one for one in requests if is_comparable(one.path or "/")])
    assert not found, program.text + "\n".join(found)
