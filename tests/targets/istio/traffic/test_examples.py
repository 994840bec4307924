"""The examples that ship: Istio carries all of their traffic, in every environment."""

from datetime import date
from pathlib import Path

import pytest

from meshc import ir
from meshc.diagnostics import Severity
from meshc.features import Feature
from meshc.frontend import analyze, environments
from meshc.load import load
from meshc.passes.support import check_support
from meshc.support_rows import exact
from meshc_istio.traffic import traffic_objects
from meshc_istio.traffic_limits import check_traffic
from meshc_istio.traffic_support import TRAFFIC

EXAMPLES = Path(__file__).parents[4] / "policies" / "examples"
TABLE = {feature: TRAFFIC.get(feature, exact()) for feature in Feature}


def meshes(example: str) -> list[ir.Mesh]:
    """The meshes of an example, for the program alone and for each environment."""
    loaded = load(EXAMPLES / example / "policies")
    found = []
    for environment in (None, *environments(loaded.modules)):
        analysis = analyze(
            loaded.modules, loaded.inventory, loaded.comments,
            environment=environment, today=date(2026, 1, 1), earlier=loaded.diagnostics,
        )  # fmt: skip
        assert analysis.mesh is not None
        found.append(analysis.mesh)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("example", ["bookinfo", "online-boutique"])
def test_nothing_of_an_example_is_refused(example: str) -> None:
    for mesh in meshes(example):
        findings = [*check_support(mesh, "istio", TABLE), *check_traffic(mesh)]
        assert [one.message for one in findings if one.severity is Severity.ERROR] == []
        hosts = {placed.owner for placed in traffic_objects(mesh)}
        everything: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
        assert hosts == {(one.namespace, one.name) for one in everything if one.ports}
