"""Projects: which program a command means, its configuration, and its analysis for each environment."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from meshc.cli.console import Console, UsageError
from meshc.diagnostics import Diagnostic, Fix, Label, Severity, diagnose
from meshc.files import read_source
from meshc.frontend import Analysis, analyze, environments
from meshc.load import CONFIG_NAME, Loaded, LoadError, load
from meshc.project_config import Config
from meshc.source import SourceFile, Span
from meshc.suggest import closest

if TYPE_CHECKING:
    from meshc.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A program with its configuration. `directory` holds `meshc.yaml`, or is None where there is none."""

    directory: Path | None
    config: Config
    loaded: Loaded


def target_options(config: Config, target: str) -> Mapping[str, str]:
    """What `meshc.yaml` says to a target."""
    options: dict[str, str] = {"unsupported": config.unsupported}
    match target:
        case "envoy":
            options |= {"certificates": config.envoy.certificates, "tls-directory": config.envoy.tls_directory}
        case "istio":
            options |= {"dataplane": config.istio.dataplane, "root-namespace": config.istio.root_namespace}
        case "linkerd":
            networks = " ".join(config.linkerd.probe_networks)
            options |= {"namespace": config.linkerd.namespace, "probe-networks": networks}
    return options


def chosen_targets(project: Project, named: tuple[str, ...]) -> tuple[str, ...]:
    """The targets that the command line names, or else those of `meshc.yaml`. Raises UsageError for none."""
    names = named or project.config.targets
    if not names:
        raise UsageError("no target; write `--target envoy`, or `targets: [envoy]` in meshc.yaml")
    return names


def say_unread(target: "Target", console: Console) -> None:
    """Say what no proof covers, since the target's reader does not read it."""
    from meshc.reading.model import Aspect  # noqa: PLC0415  most commands prove nothing

    if not target.reads:
        console.say(f"{target.name}: nothing is proven, since it cannot be read back yet")
    elif target.reads != set(Aspect):
        console.say(f"{target.name}: proven is who may call the services, and nothing else yet")


class ProjectInvalidError(Exception):
    """The configuration of a project has mistakes, which have been shown where the console is for people. Exit status 1."""

    def __init__(self, diagnostics: Sequence[Diagnostic], sources: Mapping[str, SourceFile]) -> None:
        super().__init__(CONFIG_NAME)
        self.diagnostics = diagnostics
        self.sources = sources


def open_project(path: Path | None, console: Console | None) -> Project:
    """Find and read the program at `path`, or the project around here. Raises UsageError and ProjectInvalidError.

    Mistakes in `meshc.yaml` are shown on the console, if one is given.
    """
    directory = find_project_directory(path)
    if path is None and directory is None:
        raise UsageError(f"no `{CONFIG_NAME}` here or above; name a program, or start one with `meshc init`")
    config = Config() if directory is None else read_project_config(directory, console)
    program = path
    if directory is not None and (path is None or _is_same(path, directory)):
        program = directory / config.policies
        if not program.exists():
            raise UsageError(
                f"the policies are expected in `{config.policies}`, which does not exist; `{CONFIG_NAME}` can name another place with `policies:`"
            )
    try:
        loaded = load(program or Path())
    except LoadError as error:
        raise UsageError(str(error)) from error
    if directory is not None and program != path:
        loaded = _with_unknown_environments(loaded, config, directory)
    return Project(directory=directory, config=config, loaded=loaded)


def _with_unknown_environments(loaded: Loaded, config: Config, directory: Path) -> Loaded:
    """The program, with what is wrong about the environments that its `meshc.yaml` lists."""
    known = environments(loaded.modules)
    found = []
    for index, name in enumerate(config.environments):
        if name not in known:
            near = closest(name, known)
            advice = f"did you mean `{near}`?" if near else f"declare it: `environment {name} {{ … }}`"
            span = config.places[f"environments.{index}"]
            found.append(diagnose("invalid-config", span, f"the program has no environment `{name}`", advice=advice))
    source = read_source(directory / CONFIG_NAME, CONFIG_NAME) if found else None
    sources = {**loaded.sources, CONFIG_NAME: source} if isinstance(source, SourceFile) else loaded.sources
    return replace(loaded, sources=sources, diagnostics=(*loaded.diagnostics, *found))


def _is_same(path: Path, directory: Path) -> bool:
    return path.is_dir() and path.resolve() == directory.resolve()


def find_project_directory(path: Path | None) -> Path | None:
    """The nearest directory with a `meshc.yaml`, from `path` or from here upwards."""
    start = Path(os.path.realpath(path or Path()))
    for directory in (start, *start.parents):
        if (directory / CONFIG_NAME).is_file():
            return directory
    return None


def read_project_config(directory: Path, console: Console | None) -> Config:
    """Read `meshc.yaml`. Raises ProjectInvalidError, after a report on the console, if it cannot be read or has mistakes."""
    from meshc.config import read_config  # noqa: PLC0415  pydantic is slow to load, and a lone file needs none

    file = directory / CONFIG_NAME
    source = read_source(file, CONFIG_NAME)
    config, diagnostics, sources = Config(), tuple[Diagnostic, ...](), dict[str, SourceFile]()
    if isinstance(source, Diagnostic):
        diagnostics = (source,)
    else:
        config, diagnostics = read_config(source)
        sources = relocate_sources({CONFIG_NAME: source}, directory)
    shown = relocate(diagnostics, directory)
    if shown and console is not None:
        console.report(shown, sources)
    if any(one.severity is Severity.ERROR for one in shown):
        raise ProjectInvalidError(shown, sources)
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
    shown = _shown_from_here(root)

    def moved(span: Span) -> Span:
        return replace(span, path=shown(span.path))

    return tuple(
        replace(
            one,
            span=moved(one.span),
            labels=tuple(Label(span=moved(label.span), text=label.text) for label in one.labels),
            fix=None if one.fix is None else _moved_fix(one.fix, moved),
        )
        for one in diagnostics
    )


def _moved_fix(fix: Fix, moved: Callable[[Span], Span]) -> Fix:
    return replace(fix, edits=tuple(replace(edit, span=moved(edit.span)) for edit in fix.edits))


def relocate_sources(sources: Mapping[str, SourceFile], root: Path) -> dict[str, SourceFile]:
    """The same texts under the paths that `relocate` gives them."""
    shown = _shown_from_here(root)
    return {shown(path): SourceFile(shown(path), source.text) for path, source in sources.items()}


def _shown_from_here(root: Path) -> Callable[[str], str]:
    """What a path within the root is called here: absolute where the working directory has nothing to do with the root."""
    here, top = Path(os.path.realpath(Path())), Path(os.path.realpath(root))
    is_near = here.is_relative_to(top) or top.is_relative_to(here)

    @cache
    def shown(path: str) -> str:
        if path.startswith(("<", "/")):
            return path
        return Path(os.path.relpath(top / path, here)).as_posix() if is_near else (top / path).as_posix()

    return shown


def show(project: Project, diagnostics: Sequence[Diagnostic], console: Console) -> None:
    """Show findings of a project."""
    root = project.loaded.root
    console.report(relocate(diagnostics, root), relocate_sources(project.loaded.sources, root))
