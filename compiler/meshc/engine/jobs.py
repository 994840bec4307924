"""Jobs: what a worker process is asked to run, and what it reports."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshc import ir
from meshc.engine.errands import Errand, visits_of
from meshc.engine.network import IsolationUnavailableError, isolate
from meshc.engine.observation import Observation
from meshc.engine.placement import PlacedMesh
from meshc.engine.processes import EnvoyError, find_envoy
from meshc.engine.scene import Scene
from meshc.engine.sidecars import EnvoySidecars, Sidecars
from meshc.engine.translate import EngineError
from meshc.targets import find_target


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to run: `engine` says by what, `envoy` or `proxy`. `isolated`: in a network of its own."""

    mesh: ir.Mesh
    engine: str
    errands: tuple[Errand, ...]
    isolated: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a job: observations in the order of its errands, or the `error` that prevented them.

    `not_isolated` says why there is no network of its own; the job may be tried again without one.
    """

    observations: tuple[Observation, ...] = ()
    error: str | None = None
    not_isolated: str | None = None


def run(job: Job) -> Report:
    """Run a job in this process, which has one thread. After it, the process is of no use for anything else."""
    has_ipv6 = False
    if job.isolated:
        try:
            has_ipv6 = isolate().any_ipv6_listener
        except IsolationUnavailableError as error:
            return Report(not_isolated=f"{error}; {error.advice}")
    with tempfile.TemporaryDirectory(prefix="meshc-") as directory:
        try:
            return Report(observations=asyncio.run(_observe(job, Path(directory), has_ipv6=has_ipv6)))
        except (EngineError, EnvoyError) as error:
            return Report(error=str(error))


async def _observe(job: Job, directory: Path, *, has_ipv6: bool) -> tuple[Observation, ...]:
    visits = visits_of(job.errands)
    async with Scene(job.mesh, maker(job.engine), directory, has_ipv6=has_ipv6, visits=visits) as scene:
        return await scene.observe(job.errands)


def maker(engine: str) -> Callable[[PlacedMesh, Path], Sidecars]:
    """What makes the sidecars of an engine, `envoy` or `proxy`, for a placed mesh and a directory. Raises EnvoyError."""
    if engine == "proxy":
        from meshc.engine.proxies import ProxySidecars  # noqa: PLC0415  needs `meshc[proxy]`

        return lambda placed, _: ProxySidecars(placed)
    target, envoy = find_target("envoy"), find_envoy()
    return lambda placed, directory: EnvoySidecars(placed, target, envoy, directory)
