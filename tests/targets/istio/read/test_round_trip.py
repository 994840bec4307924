"""What is emitted reads back as what the target is to run: golden cases, examples, and random programs."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from golden_cases import GOLDEN, cases, program
from meshc.diagnostics import Severity
from meshc.difference.compare import Comparer
from meshc.difference.model import Difference, Side
from meshc.frontend import analyze
from meshc.ir import Mesh
from meshc.load import load
from meshc.reading import Reading, bare, objects_of_documents
from meshc.verification import narrowed
from meshc_harness.compare import TODAY, analyze_text
from meshc_istio import TARGET
from meshc_istio.expressed import expressed
from meshc_istio.read import ASSUMES, read


def differences(mesh: Mesh, reading: Reading, options: Mapping[str, str]) -> Difference:
    """What was read otherwise than the target is to run it."""
    sides = (expressed(mesh, options), reading.mesh)
    old, new = (Side(mesh=narrowed(one, TARGET.reads)) for one in sides)
    return Comparer().compare(old, new)


def round_trip(mesh: Mesh, options: Mapping[str, str] | None = None) -> tuple[Reading, Difference]:
    """Emit, read, compare."""
    emission = TARGET.emit(mesh, options or {})
    assert emission.documents
    reading = read(objects_of_documents(emission.documents, "out"), bare(mesh), options or {})
    assert {one.text for one in reading.assumptions} <= set(ASSUMES)
    return reading, differences(mesh, reading, options or {})


def mesh_of(case: str) -> Mesh:
    mesh = analyze_text(program(case)).mesh
    assert mesh is not None
    assert not any(one.severity is Severity.ERROR for one in TARGET.emit(mesh, {}).diagnostics)
    return mesh


@pytest.mark.parametrize("case", [case for case in cases() if (GOLDEN / case / "istio").is_dir()])
def test_golden_case(case: str) -> None:
    reading, difference = round_trip(mesh_of(case))
    assert not reading.unknown
    assert not difference.subjects


@pytest.mark.slow
@pytest.mark.parametrize("example", ["bookinfo", "online-boutique"])
def test_example(example: str) -> None:
    loaded = load(Path(__file__).parents[4] / "policies" / "examples" / example)
    analysis = analyze(
        loaded.modules, loaded.inventory, loaded.comments, environment=None, today=TODAY, earlier=loaded.diagnostics
    )
    assert analysis.mesh is not None
    reading, difference = round_trip(analysis.mesh, {"unsupported": "warn"})
    assert not reading.unknown
    assert not difference.subjects
