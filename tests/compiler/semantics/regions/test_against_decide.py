"""Regions say of every request what `decide` says: random meshes with random requests, and every witness."""

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from meshc.request import Decision
from meshc.semantics.decide import Evaluator
from meshc.semantics.regions.ports import Cause, Outcome, PortSide, sides_of
from meshc.semantics.regions.space import Space
from meshc_harness.cells import direct, locate
from meshc_harness.compare import analyze_text
from meshc_harness.programs import programs
from meshc_harness.requests import requests_to
from meshc_strategies import meshes, near_misses, requests

checks = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # whole meshes take minutes to shrink
)


def said(decision: Decision, side: PortSide) -> Outcome | None:
    if decision.allowed:
        return Outcome.ALLOWED
    if decision.status == 401:
        return Outcome.UNAUTHENTICATED
    return Outcome.NO_CONNECTION if decision.rule is None else Outcome.FORBIDDEN


def deciding(side: PortSide, cause: Cause) -> object:
    """The place that `decide` should blame."""
    if cause.stage is None:
        return None
    stage = side.port.access[cause.stage]
    return stage.span if cause.rule is None else stage.rules[cause.rule].span


@pytest.mark.slow
@checks
@given(meshes(), meshes(), st.lists(requests(), min_size=5, max_size=10))
def test_every_request_is_in_a_cell_that_decides_as_it_is_decided(one, other, some):
    sides = sides_of(one), sides_of(other)
    evaluators = Evaluator(direct(one)), Evaluator(direct(other))
    spaces: dict[object, Space] = {}
    compared = 0
    for request in (miss for one in some for miss in near_misses(one)):
        key = (request.namespace, request.service, request.port)
        pair = [versions[key] for versions in sides]
        space = spaces.setdefault(key, Space.of(pair))
        for side, evaluator in zip(pair, evaluators, strict=True):
            assignment = locate(space, side, request)
            if assignment is None:
                continue
            compared += 1
            decision = evaluator.decide(request)
            cause = space.causes(side).at(assignment)
            assert space.outcomes(side).at(assignment) is said(decision, side), (request, decision)
            assert cause is not None
            assert cause.outcome is said(decision, side)
            assert decision.rule == deciding(side, cause)
    event(f"compared: {compared // 100 * 100}")


@pytest.mark.slow
@checks
@given(meshes(), meshes())
def test_witnesses_are_decided_as_the_regions_say(one, other):
    for before, after in zip(sides_of(one).values(), sides_of(other).values(), strict=True):
        space = Space.of([before, after])
        for side in (before, after):
            outcomes = space.outcomes(side)
            for outcome in outcomes.values() - {None}:
                assert space.witness(outcomes.where(lambda found, wanted=outcome: found is wanted)) is not None


@pytest.mark.slow
@checks
@given(programs(), st.data())
def test_programs_do_what_they_are_decided_to_do(program, data):
    """The same for what can be written: programs as text, and requests that nearly fit them."""
    mesh = analyze_text(program.text).mesh
    assert mesh is not None
    evaluator = Evaluator(direct(mesh))
    sides = sides_of(mesh)
    for port in program.ports:
        one = sides[port.namespace, port.service, port.number]
        space = Space.of([one])
        for request in data.draw(st.lists(requests_to(port), min_size=5, max_size=20)):
            assignment = locate(space, one, request)
            if assignment is not None:
                assert space.outcomes(one).at(assignment) is said(evaluator.decide(request), one), request
