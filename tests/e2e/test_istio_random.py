"""Random programs × random requests: the model, and Istio as its documents say, decide and route alike.

Istio is `meshc_harness.istio`, which was written from Istio's documents without a look at what emits its objects. Where the
support table says that Istio refuses more, or reads something otherwise, a difference passes there and only there.
"""

import os
from dataclasses import dataclass
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from meshc.request import Request
from meshc.semantics import is_comparable
from meshc.target import Target
from meshc.targets import find_target
from meshc_harness.istio_compare import AccessComparison, repeats_header
from meshc_harness.istio_programs import Accepted, accepted, accepted_routes, istio_requests
from meshc_harness.istio_route_compare import RouteComparison
from meshc_harness.programs import programs
from meshc_harness.routed_requests import routed_request
from meshc_harness.routes import RoutedProgram, routed_program

ACCESS_PROGRAMS: Final = 40
ACCESS_REQUESTS: Final = 30
"""1200 pairs of a program and a request."""

ROUTE_PROGRAMS: Final = 20
ROUTE_REQUESTS: Final = 60
"""1200 pairs."""

LEAST_PAIRS: Final = 500


@pytest.fixture(scope="module")
def istio() -> Target:
    try:
        return find_target("istio")
    except AttributeError:
        message = "meshc_istio has no TARGET"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@dataclass(slots=True)
class Tally:
    """What a comparison has come to: a test that compares nothing, or that drops most of what it draws, proves nothing."""

    programs: int = 0
    accepted: int = 0
    lines: int = 0
    dropped: int = 0
    compared: int = 0
    allowed: int = 0
    tolerated: int = 0

    def add(self, program: Accepted) -> None:
        self.accepted += 1
        self.lines += program.lines
        self.dropped += program.dropped

    def check(self) -> None:
        assert self.compared >= LEAST_PAIRS, self
        assert self.accepted >= 0.8 * self.programs, self
        assert self.dropped <= 0.3 * self.lines, self
        assert self.allowed >= 0.1 * self.compared, self
        assert self.tolerated <= 0.15 * self.compared, self


@pytest.mark.slow
def test_model_and_istio_agree(istio: Target) -> None:
    tally = Tally()

    @settings(
        max_examples=ACCESS_PROGRAMS,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def compare(data: st.DataObject) -> None:
        tally.programs += 1
        program = accepted(data.draw(programs()), istio)
        if program is None:
            return
        tally.add(program)
        comparison = AccessComparison(program.mesh, istio, joins_lines=data.draw(st.booleans()))
        for number in range(ACCESS_REQUESTS):
            request = data.draw(istio_requests(program.mesh, program.ports[number % len(program.ports)]))
            if request.path is not None and not is_comparable(request.path):
                continue
            tally.compared += 1
            tally.allowed += comparison.answer(request).allowed
            difference = comparison.difference(request)
            assert difference is None, f"{program.text}\n{difference}"
        tally.tolerated += comparison.differed

    compare()
    tally.check()


@pytest.mark.slow
def test_model_and_istio_route_alike(istio: Target) -> None:
    tally = Tally()
    found = []
    for seed in range(ROUTE_PROGRAMS):
        rng = Random(seed)
        drawn = routed_program(rng)
        tally.programs += 1
        program = accepted_routes(drawn, istio, rng)
        if program is None:
            continue
        tally.add(program)
        comparison = RouteComparison(program.mesh, istio, joins_lines=seed % 2 == 0)
        routed = RoutedProgram(text=program.text, mesh=program.mesh, ports=program.ports)
        for number in range(ROUTE_REQUESTS):
            request = routed_request(rng, routed, program.ports[number % len(program.ports)])
            # Releases that join the lines of a header route those requests otherwise, as the row of `route by header` says.
            if not is_comparable(request.path or "/") or (seed % 2 == 0 and repeats_header(request)):
                continue
            tally.compared += 1
            difference = comparison.difference(request, _caller(request))
            tally.allowed += difference is None
            if difference is not None:
                found.append(f"{program.text}\n{difference}")
        tally.compared -= comparison.unknown_hosts
    assert not found, f"{len(found)} differences, the first: {found[0]}"
    tally.check()


def _caller(request: Request) -> tuple[str, str]:
    parts = (request.identity or "").split("/")
    return parts[4], parts[6]
