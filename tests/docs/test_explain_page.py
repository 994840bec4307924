"""The page of `meshc explain` shows what is printed for its program."""

import re
from pathlib import Path

import pytest

from meshc.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "explain.md").read_text(encoding="utf-8")


def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"^```mesh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    shown = "".join(re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    (tmp_path / "shop.mesh").write_text(program, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    printed = ""
    for options, request in re.findall(r"^\$ meshc explain (.*)shop\.mesh '(.*)'$", shown, re.MULTILINE):
        assert main(["explain", *options.split(), "shop.mesh", request]) == 0
        printed += f"$ meshc explain {options}shop.mesh '{request}'\n{capsys.readouterr().out}"
    assert "--via" in printed
    assert printed == shown
