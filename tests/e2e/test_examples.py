"""The shipped examples: clean, in the one layout, and enforced, in the model and by real Envoys."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from meshc.cli import main
from meshc_harness.running import Ran

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "policies" / "std"
DECLARATION = re.compile(r"(?:(##).*\n)?^(let|profile) ([a-z-]+)(?:\(([^)]*)\))?", re.MULTILINE)
EXAMPLES = sorted(path.parent for path in (ROOT / "policies" / "examples").glob("*/meshc.yaml"))


@pytest.fixture
def meshc(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command."""

    def run(*arguments: str) -> Ran:
        status = main(list(arguments))
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return run


def test_there_are_examples() -> None:
    assert {example.name for example in EXAMPLES} >= {"bookinfo", "online-boutique"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_clean(example: Path, meshc: Callable[..., Ran]) -> None:
    checked = meshc("check", str(example))
    assert (checked.status, "warning" in checked.err) == (0, False), checked.err
    assert meshc("fmt", "--check", str(example)).status == 0


@pytest.mark.parametrize("engine", ["model", "envoy", "proxy"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_enforced(example: Path, engine: str, meshc: Callable[..., Ran]) -> None:
    ran = meshc("test", str(example), "--engine", engine)
    assert ran.status == 0, ran.out + ran.err
    assert ran.out.endswith(" passed, 0 failed\n")


@pytest.mark.parametrize("via", ["istio", "linkerd"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_what_was_compiled_for_a_mesh(example: Path, via: str, meshc: Callable[..., Ran]) -> None:
    ran = meshc("test", str(example), "--engine", "proxy", "--via", via)
    assert ran.status == 0, ran.out + ran.err


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_compiles(example: Path, meshc: Callable[..., Ran], tmp_path: Path) -> None:
    assert meshc("compile", str(example), "--out", str(tmp_path)).status == 0
    assert meshc("compile", str(example), "--out", str(tmp_path), "--check").status == 0


def test_everything_in_the_library_is_documented_and_used() -> None:
    """`tests/e2e/programs/library.mesh` runs in the model and on real Envoys; the page has every name, with its parameters."""
    program = (Path(__file__).parent / "programs" / "library.mesh").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "language" / "environments-profiles.md").read_text(encoding="utf-8")
    found = [
        entry for file in LIBRARY.glob("*.mesh") for entry in DECLARATION.findall(file.read_text(encoding="utf-8"))
    ]
    assert len(found) >= 16
    for doc, kind, name, parameters in found:
        assert doc, name
        assert re.search(rf"(?:std\.|\$nets\.){name}\b", program), name
        shown = f"({re.sub(': [a-z]+ = ', ': ', parameters)})" if kind == "profile" else ""
        assert f"`{name}{shown}`" in page, name
