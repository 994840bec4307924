"""Law: a request is found in the classes that the tests' own reading of every variable gives it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshc import ir
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc.semantics.languages import TooComplexError
from meshc.semantics.normalize import Malformed
from meshc.semantics.regions import Space, sides_of
from meshc.semantics.regions.locate import locate
from meshc_harness import cells
from meshc_strategies import meshes, near_misses, requests

pytestmark = pytest.mark.slow


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(meshes(), st.lists(requests(), min_size=4, max_size=6))
def test_a_request_is_in_its_class(mesh: ir.Mesh, some: list[Request]) -> None:
    mesh = cells.direct(mesh)
    evaluator = Evaluator(mesh)
    sides = sides_of(mesh)
    spaces: dict[object, Space] = {}
    for request in (one for each in some for one in near_misses(each)):
        side = sides.get((request.namespace, request.service, request.port))
        if side is None:
            continue
        try:
            space = spaces.setdefault(side, Space.of((side,)))
        except TooComplexError:
            continue
        expected = cells.locate(space, side, request)
        port = evaluator.port(side.key)
        assert port is not None
        facts = evaluator.observe(port, request)
        if expected is not None and not isinstance(facts, Malformed):
            assert locate(space.aspects, facts, request.claims) == expected
