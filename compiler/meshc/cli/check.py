"""`meshc check`: every mistake in a program, in all of its environments, and in what the targets can express."""

from collections.abc import Mapping, Sequence

from meshc.cli.arguments import Arguments
from meshc.cli.console import Console, UsageError
from meshc.cli.project import (
    Project,
    ProjectInvalidError,
    analyze_all,
    merge_findings,
    open_project,
    relocate,
    relocate_sources,
    show,
    target_options,
)
from meshc.diagnostics import Diagnostic, Severity
from meshc.fixing.propose import FIXABLE
from meshc.ir import Mesh
from meshc.project_config import Config
from meshc.source import SourceFile


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    if arguments.fix:
        from meshc.cli.fixing import fix  # noqa: PLC0415  proofs load the regions

        return fix(arguments, console)
    if arguments.watch:
        from meshc.cli.watching import watch  # noqa: PLC0415  not needed for a single look

        watch(arguments.path, lambda: check_once(arguments, console), console)
        return 0
    return check_once(arguments, console)


def check_once(arguments: Arguments, console: Console) -> int:
    """One look at the program; returns the exit status."""
    is_text = arguments.format == "text"
    try:
        project = open_project(arguments.path, console if is_text else None)
    except ProjectInvalidError as error:
        if not is_text:
            _print_for_machines(error.diagnostics, error.sources, arguments.format, console)
        return 1
    found = _with_fixes(project, find_all(project, arguments))
    _print(project, found, arguments.format, console)
    return 1 if any(one.severity is Severity.ERROR for one in found) else 0


def _with_fixes(project: Project, found: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    if not any(one.name in FIXABLE for one in found):
        return found
    from meshc.fixing.prove import with_fixes  # noqa: PLC0415  proofs load the regions

    return with_fixes(found, project.loaded)


def find_all(project: Project, arguments: Arguments) -> tuple[Diagnostic, ...]:
    """The findings of the front end and of the chosen targets, for each environment."""
    names = arguments.targets or project.config.targets
    found: list[tuple[str | None, Sequence[Diagnostic]]] = []
    for environment, analysis in analyze_all(project, arguments.environment):
        more = _ask_targets(names, analysis.mesh, project.config) if names and analysis.mesh is not None else ()
        found.append((environment, (*analysis.diagnostics, *more)))
    return merge_findings(found)


def _ask_targets(names: Sequence[str], mesh: Mesh, config: Config) -> tuple[Diagnostic, ...]:
    from meshc.targets import TargetError, find_target  # noqa: PLC0415  finding installed packages takes its time

    try:
        emissions = [find_target(name).emit(mesh, target_options(config, name)) for name in names]
    except TargetError as error:
        raise UsageError(str(error)) from error
    return tuple(one for emission in emissions for one in emission.diagnostics)


def _print(project: Project, found: tuple[Diagnostic, ...], kind: str, console: Console) -> None:
    if kind == "text":
        show(project, found, console)
        if not any(one.severity is Severity.ERROR for one in found):
            files = len(project.loaded.modules)
            console.say(f"checked {files} file{'' if files == 1 else 's'}: no errors")
        return
    root = project.loaded.root
    _print_for_machines(relocate(found, root), relocate_sources(project.loaded.sources, root), kind, console)


def _print_for_machines(
    found: Sequence[Diagnostic], sources: Mapping[str, SourceFile], kind: str, console: Console
) -> None:
    from meshc.diagnostics import render  # noqa: PLC0415  not needed for text

    renderers = {
        "json": render.render_json,
        "sarif": render.render_sarif,
        "github": render.render_github,
        "junit": render.render_junit,
    }
    console.print(renderers[kind](found, sources))
