"""Real engines, for the commands that take `--engine envoy`."""

from collections.abc import Sequence

from meshc.cli.console import Console, UsageError
from meshc.ir import Mesh
from meshc.request import Request

try:
    from meshc.engine.errands import Errand, Way
    from meshc.engine.observation import Observation
    from meshc.engine.processes import EnvoyError, find_envoy
    from meshc.engine.session import observe
    from meshc.engine.translate import EngineError
except ModuleNotFoundError as error:
    raise UsageError(f"`--engine envoy` needs `{error.name}`: pip install 'meshc[envoy]'") from error


def observe_errands(mesh: Mesh, errands: Sequence[Errand], console: Console) -> tuple[Observation, ...]:
    """Run the mesh's sidecars and send the requests. Raises UsageError with what is wrong with the environment."""
    try:
        find_envoy()
        return observe(mesh, "envoy", errands, warn=console.say)
    except (EnvoyError, EngineError) as error:
        raise UsageError(str(error)) from error


def observe_directly(mesh: Mesh, requests: Sequence[Request], console: Console) -> tuple[Observation, ...]:
    """Send requests straight to the sidecars of their servers."""
    return observe_errands(mesh, [Errand(request=request, way=Way.DIRECT) for request in requests], console)


__all__ = ["Errand", "Observation", "Way", "observe_directly", "observe_errands"]
