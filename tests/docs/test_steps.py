"""The steps under "Your own" in the README work in the project that `meshc init` makes."""

import re
import shlex
from pathlib import Path

import pytest

from meshc.cli import main

README = Path(__file__).parents[2] / "README.md"


def steps() -> list[str]:
    """The commands of the section, without their comments."""
    section = README.read_text(encoding="utf-8").partition("## Your own")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return [line.partition("  #")[0].strip() for line in block[1].splitlines()]


def test_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for step in steps():
        for command in step.split("&&"):
            words = shlex.split(command)
            if words[0] == "cd":
                monkeypatch.chdir(words[1])
            elif words[0] == "meshc":
                assert main(words[1:]) == 0, (command, *capsys.readouterr())
            else:
                assert words[:2] == ["envoy", "-c"]
                assert Path(words[2]).is_file()
