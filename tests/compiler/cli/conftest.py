"""A project on disk, and the command line run in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from meshc.cli import main
from meshc_harness.running import Ran

SHOP = """namespace shop
service web in shop
service cart in shop { port 8080 http }
access cart { allow web to GET /items/{id} }
test "items" {
  allow web GET cart /items/1
  deny web POST cart /items/1
}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a small project, which is the working directory."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "shop.mesh").write_text(SHOP, encoding="utf-8")
    (tmp_path / "meshc.yaml").write_text("policies: policies/\ntargets: [envoy]\nout: deploy/\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def meshc(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command."""

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        try:
            status = main(list(arguments))
        except SystemExit as exit_:
            status = int(exit_.code or 0)
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return run
