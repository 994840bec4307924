"""Laws of the nearest requests: each is allowed, and where one thing alone is to be changed, no more is."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshc import ir
from meshc.explaining.as_json import explanation_to_json
from meshc.explaining.model import Remedies
from meshc.explaining.requests import nearest_requests
from meshc.explaining.text import render_explanation
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc.semantics.explain import explain
from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions import sides_of
from meshc_harness.cells import direct
from meshc_harness.compare import analyze_text
from meshc_harness.explaining import explained, program_of
from meshc_harness.programs import programs
from meshc_harness.requests import requests_to
from meshc_strategies import meshes, near_misses, requests

pytestmark = pytest.mark.slow


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(meshes(), st.lists(requests(), min_size=4, max_size=8))
def test_what_is_near_is_found(mesh: ir.Mesh, some: list[Request]) -> None:
    mesh = direct(mesh)
    evaluator, sides = Evaluator(mesh), sides_of(mesh)
    for request in some:
        explanation = explain(evaluator, request)
        facts = explanation.leaving
        side = sides.get((request.namespace, request.service, request.port))
        if explanation.decision.allowed is not False or facts is None or facts.peer is None or side is None:
            continue
        if request.identity is not None and not request.identity.startswith("spiffe://"):
            continue
        try:
            found = nearest_requests(evaluator, side, request, facts)
        except TooComplexError:
            continue
        assert all(evaluator.decide(one.request).allowed for one in found)
        assert len({len(one.changes) for one in found}) <= 1
        known = {workload.identity for workload in mesh.workloads} | {request.identity}
        near = (one for one in near_misses(request) if one.identity in known and evaluator.decide(one).allowed)
        if (one := next(near, None)) is not None:
            assert found, (request, one)
            assert len(found[0].changes) == 1, (request, one, found[0])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_refusal_of_a_random_program_has_remedies_that_hold(data: st.DataObject) -> None:
    """Any request is explained; what is proposed lets it in, and opens what it says at least."""
    drawn = data.draw(programs())
    if analyze_text(drawn.text).mesh is None:
        return
    program = program_of(drawn.text)
    request = data.draw(requests_to(data.draw(st.sampled_from(drawn.ports))))
    explanation, remedies = explained(program, request)
    assert render_explanation(explanation, remedies)
    assert explanation_to_json(explanation, remedies, program.analysis.lowered.mesh)
    if explanation.decision.allowed:
        assert remedies == Remedies()
    for change in remedies.programs:
        assert change.opens
        assert all(edit.old != edit.new for edit in change.edits)
        assert "anyone" not in " ".join(edit.what for edit in change.edits)
