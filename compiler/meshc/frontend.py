"""The front end: from parsed files to a mesh, its tests and every diagnostic, for one environment.

The order of the stages is here and nowhere else: resolve, lower, lint, prove, suppress. Parsing and reading come before, in
`meshc.load`; targets come after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from meshc import ast
from meshc.collector import uncollected
from meshc.diagnostics import Diagnostic, Severity
from meshc.ir import Mesh
from meshc.lint import lint
from meshc.lower.program import Lowered, lower
from meshc.lower.requests import TestSuite
from meshc.resolve import Module, collect
from meshc.suppress import Comments, suppress


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What a program means, or what is wrong with it. `mesh` is None if any diagnostic is an error."""

    mesh: Mesh | None
    tests: tuple[TestSuite, ...]
    diagnostics: tuple[Diagnostic, ...]
    lowered: Lowered
    """Everything that lowering found, for those who ask further questions in terms of the source."""

    @property
    def has_errors(self) -> bool:
        """Whether the program cannot be compiled."""
        return self.mesh is None


@uncollected()
def analyze(
    modules: Mapping[str, Module],
    inventory: Sequence[ast.Namespace | ast.Service],
    comments: Comments,
    *,
    environment: str | None,
    today: date,
    earlier: Sequence[Diagnostic] = (),
) -> Analysis:
    """Analyze a program for one of its environments, or for none.

    `earlier` are the diagnostics of reading and parsing; they are part of the result. `comments` of each file may silence
    warnings. `today` decides which rules have expired.
    """
    symbols, found = collect(modules, inventory, environment)
    lowered = lower(symbols, today=today)
    known = (*earlier, *found, *lowered.diagnostics)
    failed = any(one.severity is Severity.ERROR for one in known)
    linted = () if failed else (*lint(lowered), *_proven(lowered))
    everything = _ordered(suppress((*known, *linted), comments, complete=not failed))
    failed = failed or any(one.severity is Severity.ERROR for one in everything)
    return Analysis(
        mesh=None if failed else lowered.mesh,
        tests=lowered.tests,
        diagnostics=everything,
        lowered=lowered,
    )


def _proven(lowered: Lowered) -> tuple[Diagnostic, ...]:
    if not lowered.invariants:
        return ()
    from meshc.proofs import prove  # noqa: PLC0415  nothing else needs the regions, which take a while to load

    return prove(lowered)


def environments(modules: Mapping[str, Module]) -> tuple[str, ...]:
    """The names of a program's environments, sorted."""
    found = {
        declaration.name.text
        for module in modules.values()
        for declaration in module.file.declarations
        if isinstance(declaration, ast.Environment)
    }
    return tuple(sorted(found))


def _ordered(diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    distinct = dict.fromkeys(diagnostics)
    return tuple(sorted(distinct, key=lambda one: (one.span.path, one.span.start, one.span.end, one.name)))
