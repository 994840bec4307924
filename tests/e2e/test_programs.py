"""Programs with tests of their own, which the model and real Envoys pass alike."""

from pathlib import Path

import pytest

from meshc.cli import main

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.mesh"))


@pytest.mark.parametrize("engine", ["model", "envoy"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_passes_its_tests(program: Path, engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["test", str(program), "--engine", engine])
    assert status == 0, "".join(capsys.readouterr())
