"""Random programs × random requests: the model and real Envoys decide alike."""

from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from meshc.request import Request
from meshc.semantics.paths import is_comparable
from meshc_harness.compare import analyze_text, differences
from meshc_harness.programs import programs
from meshc_harness.requests import requests_to

PROGRAMS: Final = 30
REQUESTS: Final = 24
"""720 pairs: programs × requests."""


@pytest.mark.slow
@settings(
    max_examples=PROGRAMS,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_model_and_envoy_agree(data: st.DataObject) -> None:
    program = data.draw(programs())
    mesh = analyze_text(program.text).mesh
    assert mesh is not None
    requests: list[Request] = []
    for number in range(REQUESTS):
        request = data.draw(requests_to(program.ports[number % len(program.ports)]))
        if request.path is None or is_comparable(request.path):
            requests.append(request)
    found = differences(mesh, requests)
    assert not found, program.text + "\n".join(found)
