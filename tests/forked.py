"""A child process with a network of its own, for tests that start proxies."""

import os
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from meshc.engine.network import Network, isolate


def run_forked(work: Callable[[Network], None], report: Path) -> None:
    """Run in a child process; what it raises fails the test, with the traceback that it leaves in the file `report`."""
    with warnings.catch_warnings():
        # The child has one thread, whatever the test runner has.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            work(isolate())
        except BaseException:  # noqa: BLE001
            report.write_text(traceback.format_exc(), encoding="utf-8")
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, report.read_text(encoding="utf-8") if report.exists() else f"wait status {status}"
