"""What tests of the running proxy share: a mesh of them for each that asks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from proxy_lab import Scenario, run_isolated, run_lab


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    """Run a scenario in a child process: `(program, scenario, engine="proxy")`."""

    def start(program: str, scenario: Scenario, engine: str = "proxy") -> None:
        run_isolated(lambda: run_lab(program, scenario, tmp_path / engine, engine), tmp_path / f"{engine}.txt")

    return start
