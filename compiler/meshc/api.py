"""The library's public functions, for those who embed meshc. `import meshc` re-exports them; nothing else is stable."""

from datetime import date, datetime
from pathlib import Path

from meshc.diagnostics import Diagnostic, Severity
from meshc.frontend import Analysis, analyze, environments
from meshc.load import load
from meshc.target import Document
from meshc.targets import find_target


class PolicyError(Exception):
    """A program has errors; `diagnostics` are all findings, warnings included."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        errors = [one for one in diagnostics if one.severity is Severity.ERROR]
        super().__init__(f"{errors[0].span}: {errors[0].message}" if errors else "the program has errors")
        self.diagnostics = diagnostics


def check_policy(path: Path, *, environment: str | None = None, today: date | None = None) -> tuple[Diagnostic, ...]:
    """Every finding of the program at `path` (a file or a directory), errors and warnings, in the order of the source.

    `today` decides which rules have expired, and defaults to this day. Raises `meshc.load.LoadError` if there is no program
    there, and ValueError for an environment that it does not have.
    """
    return _analyze(path, environment, today).diagnostics


def compile_policy(
    path: Path, target: str, *, environment: str | None = None, today: date | None = None
) -> tuple[Document, ...]:
    """The configuration of one target, sorted by path; nothing is written.

    Raises PolicyError for a program with errors or one that the target cannot express, `meshc.targets.TargetError` for a
    target that is not installed, and what `check_policy` raises.
    """
    analysis = _analyze(path, environment, today)
    if analysis.mesh is None:
        raise PolicyError(analysis.diagnostics)
    emission = find_target(target).emit(analysis.mesh, {})
    if any(one.severity is Severity.ERROR for one in emission.diagnostics):
        raise PolicyError((*analysis.diagnostics, *emission.diagnostics))
    return emission.documents


def _analyze(path: Path, environment: str | None, today: date | None) -> Analysis:
    loaded = load(path)
    if environment is not None and environment not in environments(loaded.modules):
        raise ValueError(f"the program has no environment `{environment}`")
    return analyze(
        loaded.modules,
        loaded.inventory,
        loaded.comments,
        environment=environment,
        today=today or datetime.now().astimezone().date(),
        earlier=loaded.diagnostics,
    )
