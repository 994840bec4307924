"""`meshc test`: the `test` blocks of a program, in the model or on real sidecars."""

from collections.abc import Sequence
from dataclasses import dataclass

from meshc.cli.arguments import Arguments
from meshc.cli.console import Console
from meshc.cli.project import ProjectInvalidError, analyze_all, merge_findings, open_project, show
from meshc.cli.test_reports import Result, Suite, print_json, print_junit, print_text
from meshc.frontend import Analysis
from meshc.ir import Destination, Mesh
from meshc.lower.requests import (
    AccessExpected,
    Expected,
    RedirectExpected,
    RouteExpected,
    StatusExpected,
    TestCase,
)
from meshc.request import Decision
from meshc.semantics.decide import Evaluator


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What an engine says of a case: whether it is as expected, and in words what it is."""

    is_expected: bool
    words: str
    place: str = ""


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
    suites = [suite for name, analysis in analyses for suite in _run(name, analysis, arguments.engine, console)]
    if arguments.format == "json":
        console.print(print_json(suites))
    elif arguments.format == "junit":
        console.print(print_junit(suites))
    else:
        console.print(print_text(suites, coloured=console.colors("stdout"), verbose=console.verbose))
    return 0 if all(suite.passed for suite in suites) else 1


def _run(environment: str | None, analysis: Analysis, engine: str, console: Console) -> list[Suite]:
    mesh = analysis.mesh
    if mesh is None:
        return []
    cases = [case for suite in analysis.tests for case in suite.cases]
    found = _ask_model(mesh, cases) if engine == "model" else _ask_envoy(mesh, cases, console)
    answers = iter(zip(cases, found, strict=True))
    suites = []
    for suite in analysis.tests:
        results = []
        for _ in suite.cases:
            case, answer = next(answers)
            results.append(_result(case, answer))
        suites.append(Suite(title=suite.title, environment=environment, span=suite.span, results=tuple(results)))
    return suites


def _result(case: TestCase, found: _Found) -> Result:
    return Result(
        span=case.span,
        request=show_request(case),
        expected=_words(case.expected),
        found=found.words,
        place=found.place,
        passed=found.is_expected,
    )


def show_request(case: TestCase) -> str:
    """A case in a few words."""
    request = case.request
    caller = request.identity.rpartition("/")[2] if request.identity else "anyone"
    action = f"{request.method} " if request.method else "TCP "
    return f"{caller} {action}{request.namespace}.{request.service}:{request.port} {request.path or ''}".rstrip()


def _words(expected: Expected) -> str:
    match expected:
        case AccessExpected(allowed=allowed):
            return "allow" if allowed else "deny"
        case RouteExpected(destination=destination):
            return f"sent to {_shown(destination)}"
        case StatusExpected(status=status):
            return f"status {status}"
        case RedirectExpected(target=target):
            return f"redirect to {target}"


def _shown(destination: Destination) -> str:
    version = f"@{destination.version}" if destination.version else ""
    return f"{destination.namespace}.{destination.service}:{destination.port}{version}"


def _ask_model(mesh: Mesh, cases: Sequence[TestCase]) -> list[_Found]:
    evaluator = Evaluator(mesh)
    return [_judge(case.expected, evaluator.decide(case.request)) for case in cases]


def _judge(expected: Expected, decision: Decision) -> _Found:
    place = str(decision.rule) if decision.rule is not None and decision.rule.line else ""
    match expected:
        case AccessExpected(allowed=allowed):
            verdict = {True: "allow", False: "deny", None: f"status {decision.status}"}[decision.allowed]
            words = f"{verdict} ({decision.reason})" if decision.reason else verdict
            return _Found(is_expected=decision.allowed is allowed, words=words, place=place)
        case RouteExpected(destination=destination):
            sent = [one for one in decision.destinations if one.weight > 0]
            words = "sent to " + (", ".join(_shown(one) for one in sent) or "nobody")
            is_expected = any(_is_same(one, destination) for one in sent)
            return _Found(is_expected=is_expected, words=words, place=str(decision.route or ""))
        case StatusExpected(status=status):
            words = f"status {decision.status}" if decision.status else "no answer of a proxy"
            return _Found(is_expected=decision.status == status, words=words, place=place)
        case RedirectExpected(target=target):
            words = f"redirect to {decision.redirect}" if decision.redirect else "no redirect"
            return _Found(is_expected=decision.redirect == target, words=words, place=str(decision.route or ""))


def _is_same(sent: Destination, wanted: Destination) -> bool:
    same = (sent.namespace, sent.service, sent.port) == (wanted.namespace, wanted.service, wanted.port)
    return same and wanted.version in {None, sent.version}


def _ask_envoy(mesh: Mesh, cases: Sequence[TestCase], console: Console) -> list[_Found]:
    from meshc.cli.engines import (  # noqa: PLC0415  needs `meshc[envoy]`
        Errand,
        Observation,
        Way,
        observe_errands,
        way_to_judge,
    )

    callers = {workload.identity for workload in mesh.workloads}
    evaluator = Evaluator(mesh)

    def way(case: TestCase) -> Way:
        """Through the caller's sidecar where routing is asked and the caller has one."""
        if isinstance(case.expected, AccessExpected):
            return way_to_judge(evaluator, case.request)
        return Way.ROUTED if case.request.identity in callers else Way.DIRECT

    def judge(case: TestCase, observed: Observation) -> _Found:
        match case.expected:
            case AccessExpected(allowed=allowed):
                status = f" ({observed.status})" if observed.status else ""
                words = {True: "allow", False: f"deny{status}", None: f"status {observed.status}"}[observed.allowed]
                return _Found(is_expected=observed.allowed is allowed, words=words)
            case RouteExpected(destination=wanted):
                sent = [one for one in evaluator.decide(case.request).destinations if one.weight > 0]
                # One request shows one share of a split: any will do, if what is expected is among them.
                is_expected = any(_is_same(one, wanted) for one in sent) and _is_served_by(observed.served_by, sent)
                return _Found(is_expected=is_expected, words=observed.words)
            case StatusExpected(status=number):
                return _Found(is_expected=observed.shows_status(number), words=observed.words)
            case RedirectExpected(target=target):
                is_there = observed.redirect is not None and observed.redirect.leads_to(target)
                return _Found(is_expected=is_there, words=observed.words)

    errands = [Errand(request=case.request, way=way(case)) for case in cases]
    observations = observe_errands(mesh, errands, console)
    return [judge(case, observed) for case, observed in zip(cases, observations, strict=True)]


def _is_served_by(served_by: str | None, destinations: Sequence[Destination]) -> bool:
    """Whether a stub's name, such as `shop.cart@v1`, is that of one of the destinations."""
    service, _, version = (served_by or "").partition("@")
    return any(service == f"{one.namespace}.{one.service}" and one.version in {None, version} for one in destinations)
