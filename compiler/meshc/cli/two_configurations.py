"""`meshc diff` of two configurations: which services there are, and the comparison.

Policies pick pods, and which there are no policy says. So the services are those of the manifests beside the policies, else those of the
project around here; sidecars of Envoy name their own.
"""

from pathlib import Path

from meshc.cli.configurations import Configuration, compare_two, read_configuration
from meshc.cli.console import Console, UsageError
from meshc.cli.project import find_project_directory
from meshc.cli.sides import Program, read_program
from meshc.diagnostics import Severity
from meshc.difference.environments import merge
from meshc.difference.model import Difference
from meshc.importing.known import known_services
from meshc.ir import Mesh
from meshc.project_config import Config
from meshc.suggest import closest

_NAMES_ITSELF = "envoy"


def compare_configured(old: str, new: str, environment: str | None, console: Console) -> Difference:
    """Compare two operands that are configuration. Raises UsageError, and SideInvalidError after a report."""
    if old == new == "-":
        raise UsageError("standard input can be one side only")
    pair = (read_configuration(old, console), read_configuration(new, console))
    program = _program(environment, console)
    meshes = _meshes(pair, program, environment, console)
    config = Config() if program is None else program.config
    return merge(((environment, compare_two(pair, meshes, config, console)),))


def _program(environment: str | None, console: Console) -> Program | None:
    """The project around here, which has the targets' options, and perhaps the services."""
    directory = find_project_directory(None)
    program = None if directory is None else read_program(str(directory), console)
    known = () if program is None else program.environments
    if environment is not None and environment not in known:
        near = closest(environment, known)
        advice = f"did you mean `{near}`?" if near else f"it has {', '.join(known) or 'none'}"
        raise UsageError(f"the project has no environment `{environment}`; {advice}")
    return program


def _meshes(
    pair: tuple[Configuration, Configuration], program: Program | None, environment: str | None, console: Console
) -> tuple[Mesh, Mesh]:
    """The services of each side; one that has no manifests of services is taken for what the other one has."""
    old, new = (_manifests(one, console) for one in pair)
    if (found := old or new) is not None:
        return old or found, new or found
    if program is not None:
        mesh = program.side(environment, console).mesh
        console.say(f"the services are those of the project, {_shown(program)}")
        return mesh, mesh
    if all(one.target.name == _NAMES_ITSELF for one in pair):
        nothing, _ = known_services(())
        return nothing, nothing
    raise UsageError(
        "neither side has a Service, and no project is around here: add the manifests of the services to one side,"
        " or work where `meshc.yaml` is"
    )


def _manifests(configuration: Configuration, console: Console) -> Mesh | None:
    """The services that are declared among the objects; None where there are none. Raises UsageError."""
    mesh, found = known_services(configuration.sources)
    wrong = [one for one in found if one.severity is Severity.ERROR]
    if wrong:
        console.report(wrong, {one.path: one for one in configuration.sources})
        raise UsageError(f"the services of `{configuration.shown}` cannot be read")
    return mesh if mesh.workloads else None


def _shown(program: Program) -> str:
    paths = sorted(Path(one).as_posix() for one in program.files.values() if not one.startswith("<"))
    return f"`{paths[0]}`" if len(paths) == 1 else f"{len(paths)} files"
