"""Coverage for `meshc test`: what the tests exercise, and tests for what they do not."""

from collections.abc import Sequence

from meshc.cli.arguments import Arguments
from meshc.cli.console import Console
from meshc.cli.project import Project
from meshc.cli.test_reports import Extras, Suite, print_report
from meshc.coverage import Coverage, Kind, Program, count, measure, suggest
from meshc.coverage.render import coverage_to_json, render_suggestions, render_text, suggestions_to_json
from meshc.frontend import Analysis

Analyses = Sequence[tuple[str | None, Analysis]]


def cover(suites: Sequence[Suite], analyses: Analyses, project: Project, arguments: Arguments, console: Console) -> int:
    """Print the results of tests with what they exercise; returns the exit status as far as coverage goes."""
    measured = measure(_programs(analyses, project), boundaries=arguments.suggest)
    coverage = measured.coverage
    extras = Extras(properties=_properties(coverage))
    if arguments.coverage or not arguments.suggest:
        text = render_text(coverage, everything=console.verbose)
        extras = Extras(coverage=text, coverage_data=coverage_to_json(coverage), properties=_properties(coverage))
    if arguments.suggest:
        found = suggest(measured, {name: analysis.lowered for name, analysis in analyses})
        if not found.tests:
            console.say("nothing to suggest: tests exercise all that they can")
        extras = Extras(
            coverage=extras.coverage,
            coverage_data=extras.coverage_data,
            suggestions=render_suggestions(found),
            suggestions_data=suggestions_to_json(found),
            properties=extras.properties,
        )
    print_report(suites, arguments, console, extras)
    least = arguments.min_coverage
    if least is None or coverage.percent >= least:
        return 0
    console.complain(f"tests exercise {coverage.percent:.1f} %, and at least {least:g} % is asked for")
    return 1


def _programs(analyses: Analyses, project: Project) -> list[Program]:
    return [
        Program(
            environment=name,
            mesh=analysis.mesh,
            requests=tuple(case.request for suite in analysis.tests for case in suite.cases),
            sources=project.loaded.sources,
        )
        for name, analysis in analyses
        if analysis.mesh is not None
    ]


def _properties(coverage: Coverage) -> dict[str, str]:
    """The counts, for reports that have names and values."""
    found = {"coverage.percent": f"{coverage.percent:.2f}"}
    for kind in Kind:
        one = count(coverage.entries, kind)
        found[f"coverage.{kind.value}s"] = f"{one.exercised}/{one.total}"
    return found
