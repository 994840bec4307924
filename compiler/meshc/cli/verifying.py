"""`meshc verify`: compiled files, read back, say what the program says."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from meshc.cli.arguments import Arguments
from meshc.cli.console import Console, UsageError
from meshc.cli.project import (
    Project,
    ProjectInvalidError,
    analyze_project,
    chosen_targets,
    merge_findings,
    open_project,
    relocate,
    relocate_sources,
    say_unread,
    target_options,
)
from meshc.diagnostics import Diagnostic
from meshc.errors import InternalError
from meshc.files import configuration_files, read_source, reason
from meshc.frontend import Analysis
from meshc.ir import Mesh
from meshc.lower.groups import groups_of
from meshc.passes.support import has_errors
from meshc.source import SourceFile
from meshc.target import Document, Emission, Target
from meshc.targets import TargetError, find_target
from meshc.verification import ReadBackError, verify, verify_files


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    try:
        project = open_project(arguments.path, console)
    except ProjectInvalidError:
        return 1
    names = chosen_targets(project, arguments.targets)
    analysis = analyze_project(project, arguments.environment)
    verification = _Verification(project=project, analysis=analysis, directory=arguments.out)
    found = list(analysis.diagnostics)
    if not analysis.has_errors:
        for target in _targets(names):
            emission = target.emit(verification.mesh, target_options(project.config, target.name))
            problems = () if has_errors(emission.diagnostics) else verification.of(target, emission)
            found += (*emission.diagnostics, *problems)
            if not has_errors((*emission.diagnostics, *problems)):
                place = verification.place(target)
                console.say(f"{target.name}: {place} says what the program says, for every request")
                say_unread(target, console)
    merged = merge_findings([(arguments.environment, tuple(found))])
    report(project, merged, verification.texts, console)
    return 1 if has_errors(merged) else 0


def _targets(names: Iterable[str]) -> Iterator[Target]:
    for name in names:
        try:
            yield find_target(name)
        except TargetError as error:
            raise UsageError(str(error)) from error


@dataclass(slots=True, kw_only=True)
class _Verification:
    """Verifies targets: what is in their folders below `directory`, or, without one, what a compile would write."""

    project: Project
    analysis: Analysis
    directory: Path | None
    texts: dict[str, SourceFile] = field(default_factory=dict)
    """The compiled files that were read, for messages."""

    @property
    def mesh(self) -> Mesh:
        if self.analysis.mesh is None:
            raise InternalError("a program with errors cannot be verified")
        return self.analysis.mesh

    def place(self, target: Target) -> str:
        return "what a compile writes" if self.directory is None else str(self.directory / target.name)

    def of(self, target: Target, emission: Emission) -> Sequence[Diagnostic]:
        if self.directory is None:
            return prove_compiled(target, self.project, self.analysis, emission.documents)
        options = target_options(self.project.config, target.name)
        read = _texts(self.directory / target.name)
        self.texts |= read
        texts = {path: one.text for path, one in read.items()}
        try:
            return verify_files(target, self.mesh, texts, options, groups_of(self.analysis.lowered))
        except ReadBackError as error:
            return _unread(error)


def prove_compiled(
    target: Target, project: Project, analysis: Analysis, documents: Iterable[Document]
) -> tuple[Diagnostic, ...]:
    """What is wrong with documents that were just emitted, as errors; none if they are proven to say what the program says."""
    if analysis.mesh is None:
        return ()
    options = target_options(project.config, target.name)
    try:
        return verify(target, analysis.mesh, documents, options, groups_of(analysis.lowered))
    except ReadBackError as error:
        return _unread(error)


def report(project: Project, found: Sequence[Diagnostic], texts: Mapping[str, SourceFile], console: Console) -> None:
    """Show findings, some of which are about compiled files."""
    root = project.loaded.root
    ours = [one for one in found if one.span.path not in texts]
    theirs = [one for one in found if one.span.path in texts]
    console.report((*relocate(ours, root), *theirs), {**relocate_sources(project.loaded.sources, root), **texts})


def _unread(error: ReadBackError) -> tuple[Diagnostic, ...]:
    if error.diagnostics:
        return error.diagnostics
    raise UsageError(f"{error} yet") from error


def _texts(folder: Path) -> dict[str, SourceFile]:
    """The configuration files in a folder, by the paths that people know. Raises UsageError if there are none."""
    try:
        files = configuration_files(folder) if folder.is_dir() else ()
    except OSError as error:
        raise UsageError(f"cannot read `{error.filename}`: {reason(error)}") from error
    if not files:
        raise UsageError(f"no compiled files in `{folder}`; `meshc compile` writes them")
    found: dict[str, SourceFile] = {}
    for file in files:
        source = read_source(file, str(file))
        if isinstance(source, Diagnostic):
            raise UsageError(source.message)
        found[str(file)] = source
    return found
