"""Projects: which program a command means, its configuration, and its analysis for each environment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from meshc.cli.console import Console, UsageError
from meshc.diagnostics import Diagnostic, Label, Severity
from meshc.frontend import Analysis, analyze, environments
from meshc.load import CONFIG_NAME, Loaded, LoadError, load
from meshc.project_config import Config
from meshc.source import SourceFile, Span
from meshc.suggest import closest


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A program with its configuration. `directory` holds `meshc.yaml`, or is None where there is none."""

    directory: Path | None
    config: Config
    loaded: Loaded


def target_options(config: Config, target: str) -> Mapping[str, str]:
    """What `meshc.yaml` says to a target."""
    if target == "envoy":
        return {"certificates": config.envoy.certificates, "tls-directory": config.envoy.tls_directory}
    return {}


class ProjectInvalidError(Exception):
    """The configuration of a project has mistakes, which have been shown. Exit status 1."""


def open_project(path: Path | None, console: Console) -> Project:
    """Find and read the program at `path`, or the project around here. Raises UsageError."""
    directory = find_project_directory(path)
    if path is None and directory is None:
        raise UsageError(f"no `{CONFIG_NAME}` here or above; name a program, or start one with `meshc init`")
    config = Config() if directory is None else read_project_config(directory, console)
    program = path
    if directory is not None and (path is None or _is_same(path, directory)):
        program = directory / config.policies
        if not program.exists():
            raise UsageError(f"`{CONFIG_NAME}` says that the policies are in `{config.policies}`, which does not exist")
    try:
        loaded = load(program or Path())
    except LoadError as error:
        raise UsageError(str(error)) from error
    return Project(directory=directory, config=config, loaded=loaded)


def _is_same(path: Path, directory: Path) -> bool:
    return path.is_dir() and path.resolve() == directory.resolve()


def find_project_directory(path: Path | None) -> Path | None:
    """The nearest directory with a `meshc.yaml`, from `path` or from here upwards."""
    start = Path.cwd() if path is None else path.resolve()
    for directory in (start, *start.parents):
        if (directory / CONFIG_NAME).is_file():
            return directory
    return None


def read_project_config(directory: Path, console: Console) -> Config:
    """Read `meshc.yaml`. Raises UsageError if it cannot be read, ProjectInvalidError (after a report) if it has mistakes."""
    from meshc.config import read_config  # noqa: PLC0415  pydantic is slow to load, and a lone file needs none

    file = directory / CONFIG_NAME
    try:
        source = SourceFile(CONFIG_NAME, file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read `{file}`: {error}") from error
    config, diagnostics = read_config(source)
    if diagnostics:
        console.report(relocate(diagnostics, directory), relocate_sources({CONFIG_NAME: source}, directory))
    if any(one.severity is Severity.ERROR for one in diagnostics):
        raise ProjectInvalidError
    return config


def analyze_project(project: Project, environment: str | None) -> Analysis:
    """Analyze for one environment, or for none. Raises UsageError if there is no such environment."""
    loaded = project.loaded
    known = environments(loaded.modules)
    if environment is not None and environment not in known:
        near = closest(environment, known)
        listed = f"did you mean `{near}`?" if near else f"it has {', '.join(known) or 'none'}"
        raise UsageError(f"the program has no environment `{environment}`; {listed}")
    return analyze(
        loaded.modules,
        loaded.inventory,
        loaded.comments,
        environment=environment,
        today=datetime.now().astimezone().date(),
        earlier=loaded.diagnostics,
    )


def analyze_all(project: Project, environment: str | None) -> tuple[tuple[str | None, Analysis], ...]:
    """Analyses for the named environment, or else for the program and each of its environments."""
    if environment is not None:
        return ((environment, analyze_project(project, environment)),)
    names: tuple[str | None, ...] = (None, *environments(project.loaded.modules))
    return tuple((name, analyze_project(project, name)) for name in names)


def merge_findings(analyses: Sequence[tuple[str | None, Sequence[Diagnostic]]]) -> tuple[Diagnostic, ...]:
    """The findings of several environments, each once; one that the program itself does not have names its environment.

    A comment or declaration may be of use in one environment alone, so what is unused must be unused in all of them.
    """
    everywhere = [{_identity(one) for one in diagnostics} for _, diagnostics in analyses]
    merged: dict[tuple[str, Span, str], Diagnostic] = {}
    for name, diagnostics in analyses:
        for one in diagnostics:
            key = _identity(one)
            if key in merged or (one.name in _UNUSED and not all(key in found for found in everywhere)):
                continue
            merged[key] = one if name is None else replace(one, help=(*one.help, f"in environment `{name}`"))
    return tuple(sorted(merged.values(), key=lambda one: (one.span.path, one.span.start, one.span.end, one.name)))


_UNUSED = frozenset({"unused-declaration", "unused-suppression"})


def _identity(one: Diagnostic) -> tuple[str, Span, str]:
    return one.name, one.span, one.message


def relocate(diagnostics: Sequence[Diagnostic], root: Path) -> tuple[Diagnostic, ...]:
    """The same findings with paths relative to the working directory, so that editors and people find the files."""
    prefix = _prefix(root)
    if not prefix:
        return tuple(diagnostics)

    def moved(span: Span) -> Span:
        return span if _is_elsewhere(span.path) else replace(span, path=prefix + span.path)

    return tuple(
        replace(
            one,
            span=moved(one.span),
            labels=tuple(Label(span=moved(label.span), text=label.text) for label in one.labels),
        )
        for one in diagnostics
    )


def relocate_sources(sources: dict[str, SourceFile], root: Path) -> dict[str, SourceFile]:
    """The same texts under the paths that `relocate` gives them."""
    prefix = _prefix(root)
    if not prefix:
        return sources
    moved = {path if _is_elsewhere(path) else prefix + path: source for path, source in sources.items()}
    return {path: SourceFile(path, source.text) for path, source in moved.items()}


def _is_elsewhere(path: str) -> bool:
    return path.startswith(("<", "/", "std/"))


def _prefix(root: Path) -> str:
    try:
        relative = root.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        relative = root.resolve().as_posix()
    return "" if relative == "." else relative + "/"


def show(project: Project, diagnostics: Sequence[Diagnostic], console: Console) -> None:
    """Show findings of a project."""
    root = project.loaded.root
    console.report(relocate(diagnostics, root), relocate_sources(dict(project.loaded.sources), root))
