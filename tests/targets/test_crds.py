"""Every object that is emitted for Kubernetes is one that the real definitions take, field by field and rule by rule."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from golden_cases import GOLDEN, cases, program
from meshc.cli import main
from meshc.crds import Checker, read_crds
from meshc.targets import find_target
from meshc_harness.compare import analyze_text

CRDS = Path(os.environ.get("MESHC_CRDS") or Path(__file__).parents[2].parent / "shared" / "crds")
EXAMPLES = Path(__file__).parents[2] / "policies" / "examples"
SETS = {
    "istio": (("istio.yaml",),),
    # Linkerd brings older definitions of the Gateway API than that project publishes; both are in use.
    "linkerd": (("linkerd.yaml",), ("linkerd.yaml", "gateway-api")),
}


def checker(names: Sequence[str]) -> Checker:
    places = [CRDS / name for name in names]
    if not all(place.exists() for place in places):
        message = f"no definitions at {CRDS}: set MESHC_CRDS to a folder that holds {', '.join(names)}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    files = [file for place in places for file in (sorted(place.rglob("*.yaml")) if place.is_dir() else [place])]
    return Checker.of(read_crds([(str(file), file.read_text(encoding="utf-8")) for file in files]))


@pytest.mark.slow
@pytest.mark.parametrize("target", ["istio", "linkerd"])
def test_golden_objects_are_valid(target: str) -> None:
    checkers = [checker(names) for names in SETS[target]]
    compiled = [case for case in cases() if (GOLDEN / case / target).is_dir()]
    assert len(compiled) > 20
    for case in compiled:
        mesh = analyze_text(program(case)).mesh
        assert mesh is not None
        documents = find_target(target).emit(mesh, {}).documents
        found = [str(one) for each in checkers for document in documents for one in each.check(document.resources)]
        assert not found, (case, *found)


@pytest.mark.slow
@pytest.mark.parametrize("example", sorted(one.name for one in EXAMPLES.iterdir() if one.is_dir()))
def test_examples_compile_for_all_targets(example: str, tmp_path: Path) -> None:
    checker(("istio.yaml", "linkerd.yaml", "gateway-api"))
    out = tmp_path / "deploy"
    arguments = ["compile", "-q", str(EXAMPLES / example), "--target", "envoy,istio,linkerd", "--out", str(out)]
    assert main([*arguments, "--validate", str(CRDS)]) == 0
    assert {one.name for one in out.iterdir()} == {"envoy", "istio", "linkerd", "manifest.json"}
    assert main([*arguments, "--check"]) == 0
