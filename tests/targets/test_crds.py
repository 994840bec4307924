"""Every object that is emitted for Kubernetes is one that the real definitions take, field by field and rule by rule."""

from pathlib import Path

import pytest

from definitions import CRDS, problems, require_definitions
from golden_cases import GOLDEN, cases, program
from meshc.cli import main
from meshc.targets import find_target
from meshc_harness.compare import analyze_text

EXAMPLES = Path(__file__).parents[2] / "policies" / "examples"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["istio", "linkerd"])
def test_golden_objects_are_valid(target: str) -> None:
    compiled = [case for case in cases() if (GOLDEN / case / target).is_dir()]
    assert len(compiled) > 20
    for case in compiled:
        mesh = analyze_text(program(case)).mesh
        assert mesh is not None
        documents = find_target(target).emit(mesh, {}).documents
        found = problems(target, [one for document in documents for one in document.resources])
        assert not found, (case, *found)


@pytest.mark.slow
@pytest.mark.parametrize("example", sorted(one.name for one in EXAMPLES.iterdir() if one.is_dir()))
def test_examples_compile_for_all_targets(example: str, tmp_path: Path) -> None:
    require_definitions("istio.yaml", "linkerd.yaml", "gateway-api")
    out = tmp_path / "deploy"
    arguments = ["compile", "-q", str(EXAMPLES / example), "--target", "envoy,istio,linkerd", "--out", str(out)]
    assert main([*arguments, "--validate", str(CRDS)]) == 0
    assert {one.name for one in out.iterdir()} == {"envoy", "istio", "linkerd", "manifest.json"}
    assert main([*arguments, "--check"]) == 0
