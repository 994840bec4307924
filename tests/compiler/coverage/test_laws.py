"""Laws of coverage on random programs: what is suggested holds, and with it everything is exercised that a test can exercise."""

from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings

from meshc_harness.compare import analyze_text
from meshc_harness.covering import Covered, completed, covered
from meshc_harness.programs import RandomProgram, programs
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
