"""What tests of the Envoy target share: a whole mesh of real Envoys for each that asks."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from envoy_lab import RunLab, Scenario, run_program
from forked import run_forked
from meshc.engine.authority import Names
from meshc.engine.stubs import Protocol


@pytest.fixture
def run_lab(tmp_path: Path) -> RunLab:
    """Run a scenario in a child process: `(program, scenario, externals={"host": Protocol}, forged={"host": Names})`.

    The servers of `forged` have certificates for other names than their own.
    """

    def run(
        program: str,
        scenario: Scenario,
        externals: Mapping[str, Protocol] | None = None,
        forged: Mapping[str, Names] | None = None,
    ) -> None:
        run_forked(
            lambda _: asyncio.run(run_program(program, scenario, tmp_path, externals or {}, forged or {})),
            tmp_path / "failure.txt",
        )

    return run
