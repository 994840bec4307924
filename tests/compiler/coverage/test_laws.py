"""Laws of coverage on random programs: what is suggested holds, and with it everything is exercised that a test can exercise."""

from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from meshc.coverage import Kind, Program, Standing, measure
from meshc.coverage.model import Point
from meshc.coverage.observe import Observer
from meshc.coverage.ports import PortItems
from meshc.coverage.sayable import Unsayable, sayable
from meshc.ir import Mesh
from meshc.request import Request
from meshc.semantics.regions.ports import sides_of
from meshc.semantics.show import identity_names
from meshc_harness.compare import analyze_text
from meshc_harness.covering import Covered, completed, covered
from meshc_harness.programs import RandomProgram, programs
from meshc_harness.requests import requests_to
from meshc_harness.routed_requests import routed_request
from meshc_harness.routes import routed_program

pytestmark = pytest.mark.slow

ACCESS = """
access front { allow data to GET /a/** when header "x-a" == "yes" deny anyone to POST /a/b }
access back { allow front except data to GET|HEAD /a/{id}, /b/** allow data from 10.0.0.0/8 deny anyone when host == "beta.example" }
"""


def check(before: Covered) -> None:
    after = completed(before)
    assert not after.failures()
    assert not after.coverage.missing or after.coverage.undecided
    if not after.coverage.undecided:
        assert after.coverage.percent == 100
        assert not after.suggestions.tests
    assert _counted(before) == _counted(after)


def _counted(one: Covered) -> set[tuple[object, ...]]:
    """What counts, and what does not."""
    return {(entry.item, entry.counts, entry.untestable) for entry in one.coverage.entries}


@given(programs())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_with_all_suggestions_everything_is_exercised(program: RandomProgram) -> None:
    assume(analyze_text(program.text).mesh is not None)
    check(covered(program.text))


@pytest.mark.parametrize("seed", range(40))
def test_the_same_behind_routes(seed: int) -> None:
    program = routed_program(Random(seed))
    text = program.text
    if analyze_text(text + ACCESS).mesh is not None:
        text += ACCESS
    check(covered(text))


@given(st.data(), programs())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_a_request_shows_is_known_to_be_possible(data: st.DataObject, program: RandomProgram) -> None:
    """The evaluator and the regions agree on what can be shown; without routes, on what a test can send, too."""
    mesh = analyze_text(program.text).mesh
    assume(mesh is not None)
    assert mesh is not None
    shown, standings = _observed(
        mesh, [data.draw(requests_to(data.draw(st.sampled_from(program.ports)))) for _ in range(8)]
    )
    for point in shown:
        assert standings[point] is Standing.MISSING, point


@pytest.mark.parametrize("seed", range(20))
def test_the_same_of_requests_behind_routes(seed: int) -> None:
    rng = Random(seed)
    program = routed_program(rng)
    mesh = analyze_text(program.text + ACCESS).mesh or program.mesh
    shown, standings = _observed(mesh, [routed_request(rng, program, rng.choice(program.ports)) for _ in range(60)])
    for point in shown:
        # A path that a route rewrites by what it captured is not followed backwards.
        assert standings[point] in {Standing.MISSING, Standing.UNTESTABLE}, point


def _observed(mesh: Mesh, requests: list[Request]) -> tuple[set[Point], dict[Point, Standing]]:
    """The points that requests show, and how all points stand without any test."""
    ports = {key: PortItems(side=side, names=identity_names(mesh)) for key, side in sides_of(mesh).items()}
    observer = Observer(mesh, ports)
    said = [one for one in (sayable(request, mesh) for request in requests) if not isinstance(one, Unsayable)]
    shown = {point for request in said for point in observer.shown(request)}
    entries = measure([Program(environment=None, mesh=mesh)]).coverage.entries
    standings = {Point(one.item, edge): standing for one in entries for edge, standing in one.points.items()}
    return {point for point in shown if point in standings or point.item.kind is not Kind.CLAUSE}, standings
