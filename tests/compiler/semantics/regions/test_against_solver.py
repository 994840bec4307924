"""Regions and z3 agree, on random pairs of policies, on whether a new version lets anything through that the old one refused."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from meshc.semantics.regions import Change, PortSide, compare, sides_of
from meshc_harness.solver import is_opened
from meshc_strategies import meshes

TIMEOUT_MS = 3_000


@pytest.mark.slow
def test_what_is_opened_is_what_a_solver_finds():
    answers: Counter[bool | None] = Counter()

    @seed(20_261_123)
    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(meshes(), meshes())
    def check(one, other):
        old, new = sides_of(one), sides_of(other)
        for key in list(old)[:9:3]:  # the http port of each workload
            before, after = (
                PortSide(mesh=side.mesh, owner=side.owner, port=replace(side.port, jwts=()))
                for side in (old[key], new[key])
            )
            opened = compare(before, after).region(Change.OPENED)
            expected = is_opened(before, after, TIMEOUT_MS)
            answers[expected] += 1
            assert expected in {None, not opened.is_empty}, (before.port, after.port)

    check()
    assert answers[True] > 20, "too few to mean anything"
    assert answers[False] > 20
    assert answers[None] < 20, "the solver knows too little"
