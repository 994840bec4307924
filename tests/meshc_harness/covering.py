"""A program as text -> its coverage, and the same program with all tests that are suggested for it."""

from dataclasses import dataclass

from meshc.coverage import Coverage, Entry, Measured, Program, Suggestions, measure, suggest
from meshc.frontend import Analysis, environments
from meshc.lower.requests import TestCase
from meshc.parse import parse
from meshc.resolve import Module
from meshc.semantics.decide import Evaluator
from meshc.source import SourceFile
from meshc.verdicts import judge
from meshc_harness.compare import analyze_text

PATH = "policy.mesh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A program with what its tests exercise."""

    text: str
    analyses: dict[str | None, Analysis]
    measured: Measured

    @property
    def coverage(self) -> Coverage:
        return self.measured.coverage

    @property
    def suggestions(self) -> Suggestions:
        return suggest(self.measured, {name: one.lowered for name, one in self.analyses.items()})

    @property
    def cases(self) -> list[tuple[str | None, TestCase]]:
        """The tests in each environment in which they run."""
        return [(name, case) for name, one in self.analyses.items() for suite in one.tests for case in suite.cases]

    def failures(self) -> list[str]:
        """The tests that do not hold."""
        evaluators = {name: Evaluator(one.lowered.mesh) for name, one in self.analyses.items()}
        return [
            f"{case.request}: {verdict.words}"
            for name, case in self.cases
            if not (verdict := judge(case.expected, evaluators[name].decide(case.request))).is_expected
        ]

    def entry(self, text: str, kind: str = "clause") -> Entry:
        """The one entry of a kind whose text begins so."""
        found = [one for one in self.coverage.entries if one.item.kind.value == kind and one.item.text.startswith(text)]
        assert len(found) == 1, [(one.item.kind.value, one.item.text) for one in self.coverage.entries]
        return found[0]


def covered(text: str, *, boundaries: bool = True) -> Covered:
    """Measure a program of one file in all of its environments."""
    file = parse(SourceFile(PATH, text)).file
    names = (None, *environments({PATH: Module(file=file, imports={})}))
    analyses = {name: analyze_text(text, PATH, name) for name in names}
    sources = {PATH: SourceFile(PATH, text)}
    programs = []
    for name, one in analyses.items():
        assert one.mesh is not None, [f"{found.span}: {found.message}" for found in one.diagnostics]
        requests = tuple(case.request for suite in one.tests for case in suite.cases)
        programs.append(Program(environment=name, mesh=one.mesh, requests=requests, sources=sources))
    return Covered(text=text, analyses=analyses, measured=measure(programs, boundaries=boundaries))


def completed(before: Covered) -> Covered:
    """The program with all that is suggested for it."""
    return covered(f"{before.text}\n{before.suggestions.text}")
