"""The operands of `meshc diff`: from `PATH` or `git:REV[:PATH]` to a program that can be lowered for each environment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from meshc.cli.console import Console, UsageError
from meshc.cli.project import ProjectInvalidError, open_project, relocate_sources
from meshc.diagnostics import Diagnostic, Label, Severity
from meshc.difference.model import Side
from meshc.files import read_source
from meshc.frontend import environments
from meshc.load import CONFIG_NAME, Loaded, LoadError, load
from meshc.lower.groups import groups_of
from meshc.lower.program import lower
from meshc.project_config import Config
from meshc.resolve import collect
from meshc.revisions import PREFIX, Extracted, Revision, RevisionError, extract, read_revision
from meshc.source import Span


class SideInvalidError(Exception):
    """A program has mistakes, which have been shown. Exit status 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One operand, read and parsed. `files` says how people know each of its files; `config` is that of its project."""

    loaded: Loaded
    files: Mapping[str, str]
    config: Config = field(default_factory=Config)
    revision: str | None = None

    @property
    def environments(self) -> tuple[str, ...]:
        """The names of its environments."""
        return environments(self.loaded.modules)

    def side(self, environment: str | None, console: Console) -> Side:
        """The program for one of its environments. Raises SideInvalidError, after a report.

        Nothing expires here: what differs must not depend on the day. What is well formed but perhaps not meant is no matter.
        """
        symbols, found = collect(self.loaded.modules, self.loaded.inventory, environment)
        lowered = lower(symbols, today=date.min)
        everything = (*self.loaded.diagnostics, *found, *lowered.diagnostics)
        errors = [one for one in dict.fromkeys(everything) if one.severity is Severity.ERROR]
        if errors:
            self._report(errors, console)
            raise SideInvalidError
        return Side(mesh=lowered.mesh, groups=groups_of(lowered), revision=self.revision, files=self.files)

    def _report(self, errors: Iterable[Diagnostic], console: Console) -> None:
        sources = {self._shown(path): replace(one, path=self._shown(path)) for path, one in self.loaded.sources.items()}
        console.report(_moved(errors, {path: self._shown(path) for path in self.loaded.sources}), sources)

    def _shown(self, path: str) -> str:
        shown = self.files.get(path, path)
        return shown if self.revision is None else f"{self.revision}:{shown}"


def read_program(text: str, console: Console) -> Program:
    """Read an operand. Raises UsageError, and SideInvalidError after a report."""
    if text.startswith(PREFIX):
        try:
            return _read_revision(read_revision(text), console)
        except RevisionError as error:
            raise UsageError(str(error)) from error
    try:
        project = open_project(Path(text), console)
    except ProjectInvalidError as error:
        raise SideInvalidError from error
    shown = relocate_sources(project.loaded.sources, project.loaded.root)
    return Program(
        loaded=project.loaded, files=dict(zip(project.loaded.sources, shown, strict=True)), config=project.config
    )


# ---- revisions ------------------------------------------------------------------------------------------------------


def _read_revision(revision: Revision, console: Console) -> Program:
    with TemporaryDirectory(prefix="meshc-") as folder:
        extracted = extract(revision, Path(), Path(folder))
        program = _program_path(extracted, revision, console)
        try:
            loaded = load(program)
        except LoadError as error:
            raise UsageError(_renamed(str(error), extracted, revision)) from error
        inside = loaded.root.relative_to(extracted.root.resolve())
        files = {path: (inside / path).as_posix() for path in loaded.sources if not path.startswith("<")}
        return Program(loaded=loaded, files=files, revision=revision.name)


def _program_path(extracted: Extracted, revision: Revision, console: Console) -> Path:
    """The program that is meant, as `open_project` finds it, but never above the revision's own root."""
    place = extracted.root / extracted.path
    directory = next((one for one in _upwards(place, extracted.root) if (one / CONFIG_NAME).is_file()), None)
    if directory is None:
        # An empty file makes this directory the root, whatever lies above it on this machine.
        (extracted.root / CONFIG_NAME).touch()
        return place
    if extracted.is_named and place != directory:
        return place
    config = _read_config(directory, extracted, revision, console)
    return directory / config.policies


def _upwards(place: Path, root: Path) -> Iterable[Path]:
    return (one for one in (place, *place.parents) if one.is_relative_to(root))


def _read_config(directory: Path, extracted: Extracted, revision: Revision, console: Console) -> Config:
    from meshc.config import read_config  # noqa: PLC0415  pydantic is slow to load, and a lone file needs none

    path = (directory.relative_to(extracted.root) / CONFIG_NAME).as_posix()
    shown = f"{revision.name}:{path}"
    source = read_source(directory / CONFIG_NAME, shown)
    if isinstance(source, Diagnostic):
        console.report([source], {})
        raise SideInvalidError
    config, diagnostics = read_config(source)
    if any(one.severity is Severity.ERROR for one in diagnostics):
        console.report(diagnostics, {shown: source})
        raise SideInvalidError
    return config


def _renamed(message: str, extracted: Extracted, revision: Revision) -> str:
    """A message that does not speak of the directory that the files were written to."""
    for root in (str(extracted.root.resolve()), str(extracted.root)):
        message = message.replace(f"{root}/", f"{revision.name}:").replace(root, revision.name)
    return message


def _moved(diagnostics: Iterable[Diagnostic], shown: Mapping[str, str]) -> Sequence[Diagnostic]:
    def moved(span: Span) -> Span:
        return replace(span, path=shown.get(span.path, span.path))

    return [
        replace(
            one,
            span=moved(one.span),
            labels=tuple(Label(span=moved(label.span), text=label.text) for label in one.labels),
        )
        for one in diagnostics
    ]
