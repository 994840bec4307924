"""Sessions: real requests through real sidecars, from a process that stays where it is."""

import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from meshc import ir
from meshc.engine.errands import Errand
from meshc.engine.jobs import Job, Report
from meshc.engine.observation import Observation
from meshc.engine.translate import EngineError

_TIMEOUT_S = 600


def observe(
    mesh: ir.Mesh, engine: str, errands: Sequence[Errand], *, warn: Callable[[str], None]
) -> tuple[Observation, ...]:
    """Run a mesh's sidecars, by `envoy` or by `proxy`, send requests, and return what became of each, in their order.

    `warn` is told where the machine gives no network of its own, so that only addresses in 127.0.0.0/8 can be used.
    Raises EngineError with a text for the user.
    """
    if not errands:
        return ()
    job = Job(mesh=mesh, engine=engine, errands=tuple(errands))
    report = _ask(job)
    if report.not_isolated is not None:
        warn(f"no network of its own: {report.not_isolated}")
        report = _ask(replace(job, isolated=False))
    if report.error is not None:
        raise EngineError(report.error)
    return report.observations


def _ask(job: Job) -> Report:
    command = [sys.executable, "-m", "meshc.engine.worker"]
    try:
        done = subprocess.run(command, input=pickle.dumps(job), capture_output=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise EngineError(f"the sidecars did not finish within {_TIMEOUT_S} s") from None
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()
        raise EngineError(f"the engine stopped: {last[-1] if last else f'status {done.returncode}'}")
    report = pickle.loads(done.stdout)  # noqa: S301  written by our own child
    if not isinstance(report, Report):
        raise EngineError("the engine answered with something else than a report")
    return report
