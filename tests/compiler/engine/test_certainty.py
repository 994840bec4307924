"""Certainty: what chance decides is left out, and nothing else."""

from dataclasses import replace

from meshc.engine.certainty import certain
from meshc_harness.compare import analyze_text

PROGRAM = """
namespace shop
service cart in shop { port 8080 http }
service web in shop
access cart { allow web to GET }
rate-limit cart { 1/h }
traffic cart {
  timeout 3s
  fault abort 503 for 50% when header "x-a" == "1"
  fault abort 418 for 100% when header "x-b" == "1"
  fault delay 1s for 1%
  route /slow { timeout 9s fault delay 2s for 100% }
}
"""


def test_limits_and_partial_faults_go() -> None:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    (port,) = next(one for one in mesh.workloads if one.name == "cart").ports
    (left,) = next(one for one in certain(mesh).workloads if one.name == "cart").ports
    assert port.limits
    assert left.limits == ()
    kept = [
        ([one.percent for one in r.settings.delays], [one.status for one in r.settings.aborts]) for r in left.routes
    ]
    assert kept == [([100.0], [418]), ([], [418])]
    assert [route.settings.timeout_ms for route in left.routes] == [9000, 3000]
    assert left.access == port.access


def test_the_rest_stays_as_it_is() -> None:
    mesh = analyze_text("namespace a\nservice b in a { port 80 http }\ntraffic b { timeout 1s }").mesh
    assert mesh is not None
    assert certain(mesh) == replace(mesh)
