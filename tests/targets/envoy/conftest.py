"""What tests of the Envoy target share: a whole mesh of real Envoys for each that asks."""

import asyncio
import os
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest

from envoy_lab import RunLab, Scenario, run_program
from meshc.engine.authority import Names
from meshc.engine.network import isolate
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
        report = tmp_path / "failure.txt"
        with warnings.catch_warnings():
            # The child has one thread, whatever the test runner has.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            try:
                isolate()
                asyncio.run(run_program(program, scenario, tmp_path, externals or {}, forged or {}))
            except BaseException:  # noqa: BLE001
                report.write_text(traceback.format_exc(), encoding="utf-8")
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0, report.read_text(encoding="utf-8") if report.exists() else f"wait status {status}"

    return run
