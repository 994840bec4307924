"""`meshc test`: the `test` blocks of a program, in the model or on real sidecars."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from meshc.cli.arguments import Arguments, via_of
from meshc.cli.console import Console
from meshc.cli.project import Project, ProjectInvalidError, analyze_all, merge_findings, open_project, show
from meshc.cli.test_reports import Result, Suite, print_report
from meshc.frontend import Analysis
from meshc.ir import Destination, Mesh
from meshc.lower.requests import AccessExpected, RedirectExpected, RouteExpected, StatusExpected, TestCase
from meshc.semantics.decide import Evaluator
from meshc.source import SourceFile
from meshc.verdicts import Verdict, is_same, judge, show_expected
from meshc.written import written


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    try:
        project = open_project(arguments.path, console)
    except ProjectInvalidError:
        return 1
    analyses = analyze_all(project, arguments.environment)
    if any(analysis.has_errors for _, analysis in analyses):
        show(project, merge_findings([(name, one.diagnostics) for name, one in analyses]), console)
        return 1
    via = via_of(arguments)
    programs = dict(analyses)
    if via is not None:
        from meshc.cli.via import NotCompiledError, mesh_via  # noqa: PLC0415  not often asked for

        try:
            analyses = tuple(
                (name, replace(one, mesh=one.mesh and mesh_via(via, project, one.mesh, console)))
                for name, one in analyses
            )
        except NotCompiledError:
            return 1
    suites = [
        suite
        for name, analysis in analyses
        for suite in _run(name, analysis, project.loaded.sources, arguments.engine, console)
    ]
    if via is not None:
        suites = _expected(suites, programs, via, project, console)
    status = 0 if all(suite.passed for suite in suites) else 1
    if not (arguments.coverage or arguments.suggest or arguments.min_coverage is not None):
        print_report(suites, arguments, console)
        return status
    from meshc.cli.covering import cover  # noqa: PLC0415  the regions take a while to load

    return max(status, cover(suites, analyses, project, arguments, console))


def _expected(
    suites: Sequence[Suite], programs: Mapping[str | None, Analysis], via: str, project: Project, console: Console
) -> list[Suite]:
    """The suites without the cases that fail because the target was told to leave out what they are about, which is said."""
    from meshc.cli.via import left_out  # noqa: PLC0415  not often asked for

    kept: list[Suite] = []
    for environment, program in programs.items():
        asked = [one for one in suites if one.environment == environment]
        failed = {one.span for suite in asked for one in suite.results if not one.passed}
        cases = [case for suite in program.tests for case in suite.cases if case.span in failed]
        missing = left_out(via, project, program.mesh, cases) if cases and program.mesh is not None else frozenset()
        for suite in asked:
            gone = [one for one in suite.results if not one.passed and one.span in missing]
            for one in gone:
                console.say(f"{via}: {one.span}: not expected there, since it is left out or differs: {one.request}")
            kept.append(replace(suite, results=tuple(one for one in suite.results if one not in gone)))
    return [suite for suite in kept if suite.results]


def _run(
    environment: str | None, analysis: Analysis, sources: Mapping[str, SourceFile], engine: str, console: Console
) -> list[Suite]:
    mesh = analysis.mesh
    cases = [case for suite in analysis.tests for case in suite.cases]
    if mesh is None:
        return []
    found = _ask_model(mesh, cases) if engine == "model" or not cases else _ask_sidecars(mesh, engine, cases, console)
    answers = iter(zip(cases, found, strict=True))
    suites = []
    for suite in analysis.tests:
        results = []
        for _ in suite.cases:
            case, answer = next(answers)
            results.append(_result(case, answer, sources))
        suites.append(Suite(title=suite.title, environment=environment, span=suite.span, results=tuple(results)))
    return suites


def _result(case: TestCase, found: Verdict, sources: Mapping[str, SourceFile]) -> Result:
    return Result(
        span=case.span,
        request=written(case.request_span, sources) or str(case.request_span),
        expected=show_expected(case.expected),
        found=found.words,
        place=found.place,
        passed=found.is_expected,
    )


def _ask_model(mesh: Mesh, cases: Sequence[TestCase]) -> list[Verdict]:
    evaluator = Evaluator(mesh)
    return [judge(case.expected, evaluator.decide(case.request)) for case in cases]


def _ask_sidecars(mesh: Mesh, engine: str, cases: Sequence[TestCase], console: Console) -> list[Verdict]:
    from meshc.cli.engines import (  # noqa: PLC0415  needs `meshc[envoy]`
        Observation,
        errands_of,
        observe_errands,
    )

    evaluator = Evaluator(mesh)

    def compare(case: TestCase, observed: Observation) -> Verdict:
        match case.expected:
            case AccessExpected(allowed=allowed):
                status = f" ({observed.status})" if observed.status else ""
                words = {True: "allow", False: f"deny{status}", None: f"status {observed.status}"}[observed.allowed]
                return Verdict(is_expected=observed.allowed is allowed, words=words)
            case RouteExpected(destination=wanted):
                sent = [one for one in evaluator.decide(case.request).destinations if one.weight > 0]
                # One request shows one share of a split: any will do, if what is expected is among them.
                is_expected = any(is_same(one, wanted) for one in sent) and _is_served_by(observed.served_by, sent)
                return Verdict(is_expected=is_expected, words=observed.words)
            case StatusExpected(status=number):
                return Verdict(is_expected=observed.shows_status(number), words=observed.words)
            case RedirectExpected(target=target):
                is_there = observed.redirect is not None and observed.redirect.leads_to(target)
                return Verdict(is_expected=is_there, words=observed.words)

    observations = observe_errands(mesh, engine, errands_of(mesh, cases), console)
    return [compare(case, observed) for case, observed in zip(cases, observations, strict=True)]


def _is_served_by(served_by: str | None, destinations: Sequence[Destination]) -> bool:
    """Whether a stub's name, such as `shop.cart@v1`, is that of one of the destinations."""
    service, _, version = (served_by or "").partition("@")
    return any(service == f"{one.namespace}.{one.service}" and one.version in {None, version} for one in destinations)
