"""The page on testing shows what is printed for its program."""

import re
from pathlib import Path

import pytest

from meshc.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
PROGRAM, SUGGESTED = re.findall(r"^```mesh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["test", "policy.mesh", *arguments]) == 0
    return capsys.readouterr().out


def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.mesh").write_text(PROGRAM, encoding="utf-8")
    report = re.search(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert report is not None
    assert printed(capsys, "--coverage") == report[1]
    assert printed(capsys, "--suggest", "--quiet") == SUGGESTED
    (tmp_path / "policy.mesh").write_text(f"{PROGRAM}\n{SUGGESTED}", encoding="utf-8")
    assert "coverage: 100 %" in printed(capsys, "--coverage")
