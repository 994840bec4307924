"""`meshc compile --validate`: nothing is written that a cluster would not take as it is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from meshc.cli import compiling, main
from meshc.features import Feature
from meshc.ir import Mesh
from meshc.source import Span
from meshc.support_rows import exact
from meshc.target import Document, Emission, Target, TargetOptions

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: example.com
  names: {kind: Gate}
  versions:
  - name: v1
    served: true
    schema:
      openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}
"""


def emitting(field: str) -> Target:
    def emit(mesh: Mesh, options: TargetOptions) -> Emission:
        gate = {"apiVersion": "example.com/v1", "kind": "Gate", "metadata": {"name": "a"}, "spec": {field: 1}}
        return Emission(documents=(Document(path="a.yaml", resources=(gate,), sources=(Span("a.mesh", 0, 0, 1, 1),)),))

    return Target(name="gates", oldest_version="1", support={one: exact() for one in Feature}, emit=emit)


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    program, definitions = tmp_path / "a.mesh", tmp_path / "crds" / "gates.yaml"
    program.write_text("namespace a\nservice b in a { port 80 http }\n", encoding="utf-8")
    definitions.parent.mkdir()
    definitions.write_text(DEFINITION, encoding="utf-8")

    def run(field: str, crds: Path = definitions) -> int:
        monkeypatch.setattr(compiling, "find_target", lambda name: emitting(field))
        arguments = [
            "compile",
            str(program),
            "--target",
            "gates",
            "--out",
            str(tmp_path / "out"),
            "--validate",
            str(crds),
        ]
        return main(arguments)

    return run


def test_what_the_cluster_takes_is_written(compiled: Callable[..., int], tmp_path: Path) -> None:
    assert compiled("size") == 0
    assert (tmp_path / "out" / "gates" / "a.yaml").exists()
    assert compiled("size", tmp_path / "crds") == 0


def test_what_it_would_drop_is_not(
    compiled: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compiled("sise") == 1
    assert not (tmp_path / "out").exists()
    said = capsys.readouterr().err
    assert "gates/a.yaml: Gate a: spec: the definition has no field `sise`, so the cluster would drop it" in said
    assert "nothing is written" in said


@pytest.mark.parametrize("text", ["", "a: [", "kind: Pod"])
def test_definitions_that_are_none(
    compiled: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(text, encoding="utf-8")
    assert compiled("size", file) == 2
    assert "cannot validate against" in capsys.readouterr().err


def test_no_file(compiled: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compiled("size", tmp_path / "gone") == 2
    assert "gone" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert compiled("size", tmp_path / "empty") == 2
    assert "no YAML in" in capsys.readouterr().err
