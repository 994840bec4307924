"""`meshc check`: every mistake in a program, in all of its environments, and in what the targets can express."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

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
from meshc.ir import Mesh
from meshc.project_config import Config

_POLL_S = 0.5


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    if arguments.watch:
        return _watch(arguments, console)
    return _check_once(arguments, console)


def _check_once(arguments: Arguments, console: Console) -> int:
    try:
        project = open_project(arguments.path, console)
    except ProjectInvalidError:
        return 1
    found = find_all(project, arguments)
    _print(project, found, arguments.format, console)
    return 1 if any(one.severity is Severity.ERROR for one in found) else 0


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
            services = sum(1 for _ in project.loaded.modules)
            console.say(f"checked {services} file{'' if services == 1 else 's'}: no errors")
        return
    from meshc.diagnostics.render import render_github, render_json  # noqa: PLC0415  one of several formats

    root = project.loaded.root
    sources = relocate_sources(dict(project.loaded.sources), root)
    render = render_json if kind == "json" else render_github
    console.print(render(relocate(found, root), sources))


def _watch(arguments: Arguments, console: Console) -> int:
    """Check whenever a file changes, until the user stops it."""
    last: object = None
    while True:
        try:
            stamp = _stamp(arguments.path)
            if stamp != last:
                if sys.stderr.isatty():
                    sys.stderr.write("\x1b[2J\x1b[H")
                _check_once(arguments, console)
                console.say("watching for changes; Ctrl-C ends")
                last = stamp
            time.sleep(_POLL_S)
        except KeyboardInterrupt:
            return 0


def _stamp(path: Path | None) -> tuple[tuple[str, int], ...]:
    """What changes when a file of the program does."""
    start = path if path is not None and path.is_dir() else (Path() if path is None else path.parent)
    files = (file for pattern in ("**/*.mesh", "**/*.yaml", "**/*.yml") for file in start.glob(pattern))
    stamps = []
    for file in files:
        try:
            stamps.append((str(file), file.stat().st_mtime_ns))
        except OSError:
            continue  # gone between the listing and the look: the next round sees it
    return tuple(sorted(stamps))
