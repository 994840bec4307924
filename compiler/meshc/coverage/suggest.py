"""Suggest: the fewest tests, greedily, that show what no test shows yet; in `.mesh` text, checked before it is handed out.

The text went through the formatter and was read again as the program's own tests are, and every case holds in every
environment in which it would run.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from meshc import ast
from meshc.coverage.clauses import show_rpc
from meshc.coverage.measure import Measured
from meshc.coverage.model import Entry, Kind, Point
from meshc.coverage.placing import Placed
from meshc.coverage.wording import describe
from meshc.errors import InternalError
from meshc.format import format_source
from meshc.ir import ExactPath, Protocol
from meshc.lower.context import Report
from meshc.lower.program import Lowered
from meshc.lower.requests import lower_tests
from meshc.parse import parse
from meshc.semantics.decide import Evaluator, PortKey
from meshc.semantics.regions.ports import sides_of
from meshc.semantics.show import Names, identity_names, show_destination, show_text
from meshc.semantics.show_request import show_request
from meshc.source import SourceFile
from meshc.verdicts import judge

_TOLD: Final = 4
"""How many points of one place a comment names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """One request to test, and the points that no test before it shows."""

    test: Placed
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """Tests in the order in which they were chosen, and their text; `untestable` is what no test can show."""

    tests: tuple[Suggested, ...]
    text: str
    untestable: tuple[Entry, ...]


def suggest(measured: Measured, programs: Mapping[str | None, Lowered]) -> Suggestions:
    """Tests for what is missing. `programs` are all environments that were measured.

    Raises InternalError if the text does not say what it should: then nothing may be shown.
    """
    tests = tuple(_chosen(measured))
    writer = _Writer(programs)
    text = writer.text(tests)
    _check(text, tests, programs)
    return Suggestions(tests=tests, text=text, untestable=measured.coverage.untestable)


def _chosen(measured: Measured) -> Iterator[Suggested]:
    """The test that shows most of what is left, again and again; tests just outside of a clause are taken before others."""
    left = {Point(one.item, edge): None for one in measured.coverage.missing for edge in one.unshown}
    tests = (*measured.boundaries, *measured.tests)
    waiting = [(-len(test.shown & left.keys()), place) for place, test in enumerate(tests)]
    heapq.heapify(waiting)
    while waiting:
        gain, place = heapq.heappop(waiting)
        points = tuple(point for point in left if point in tests[place].shown)
        if not points:
            continue
        if len(points) < -gain:  # others took some of it since it was counted
            heapq.heappush(waiting, (-len(points), place))
            continue
        yield Suggested(test=tests[place], points=points)
        for point in points:
            del left[point]


# ---- text -----------------------------------------------------------------------------------------------------------


class _Writer:
    def __init__(self, programs: Mapping[str | None, Lowered]) -> None:
        self._names: dict[str | None, Names] = {name: identity_names(one.mesh) for name, one in programs.items()}
        self._protocols: dict[str | None, dict[PortKey, Protocol]] = {
            name: {key: side.port.protocol for key, side in sides_of(one.mesh).items()}
            for name, one in programs.items()
        }

    def text(self, tests: Sequence[Suggested]) -> str:
        """All tests, laid out: those of the program, then those of each environment; in each, a block for a service."""
        ordered = sorted(tests, key=lambda one: (one.test.environment or "", _service(one), _first_place(one)))
        blocks: list[str] = []
        for environment, inside in groupby(ordered, key=lambda one: one.test.environment):
            found = [self._block(service, list(some)) for service, some in groupby(inside, key=_service)]
            blocks += found if environment is None else [f"environment {environment} {{", *found, "}"]
        return _laid_out("\n".join(blocks)) if blocks else ""

    def _block(self, service: str, tests: Sequence[Suggested]) -> str:
        lines = [f"test {show_text(f'boundaries of {service}')} {{"]
        for one in tests:
            lines += (f"# {line}" for line in _comments(one.points))
            lines += self._cases(one)
        return "\n".join((*lines, "}"))

    def _cases(self, one: Suggested) -> Iterator[str]:
        """What is to be expected: the answer where rules are shown, the way where a route is, unless the request is refused."""
        decision = one.test.decision
        request = self._request(one.test)
        is_routed = any(point.item.kind is Kind.ROUTE for point in one.points)
        is_judged = any(point.item.kind is not Kind.ROUTE for point in one.points)
        if decision.allowed is False:
            yield f"deny {request}"
        if decision.allowed and is_judged:
            yield f"allow {request}"
        if decision.allowed is None or (decision.allowed and is_routed):
            yield _way(one.test, request)

    def _request(self, test: Placed) -> str:
        request = test.request
        protocol = self._protocols[test.environment][request.namespace, request.service, request.port]
        if protocol is Protocol.GRPC and request.method == "POST" and show_rpc(ExactPath(request.path or "/")):
            request = replace(request, method="GRPC", path=(request.path or "/")[1:])
        return show_request(request, protocol, self._names[test.environment])


def _way(test: Placed, request: str) -> str:
    decision = test.decision
    if decision.redirect is not None:
        return f"expect {request} -> redirect {show_text(decision.redirect)}"
    if decision.allowed is None:
        return f"expect {request} -> status {decision.status}"
    sent = next(one for one in decision.destinations if one.weight > 0)
    return f"route {request} -> {show_destination(sent)}"


def _first_place(one: Suggested) -> tuple[str, int]:
    return min((point.item.span.path, point.item.span.start) for point in one.points)


def _service(one: Suggested) -> str:
    return f"{one.test.request.namespace}.{one.test.request.service}"


def _comments(points: Sequence[Point]) -> Iterator[str]:
    """What a test covers: a line for each place in the source."""
    ordered = sorted(points, key=lambda point: (point.item.span.path, point.item.span.start))
    for place, found in groupby(ordered, key=lambda point: str(point.item.span)):
        told = list(dict.fromkeys(describe(point.item, (point.edge,)) for point in found))
        more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        yield f"{place}: {', '.join(told[:_TOLD])}{more}"


def _laid_out(text: str) -> str:
    formatted = format_source(SourceFile("<suggested>", text))
    if formatted.text is None:
        problems = "; ".join(one.message for one in formatted.diagnostics)
        raise InternalError(f"suggested tests cannot be read: {problems}")
    return formatted.text


# ---- check ----------------------------------------------------------------------------------------------------------


def _check(text: str, tests: Sequence[Suggested], programs: Mapping[str | None, Lowered]) -> None:
    """Read the text as a program's tests are read, and decide every case. Raises InternalError unless all hold."""
    declarations = parse(SourceFile("<suggested>", text)).file.declarations
    asked: dict[str | None, list[object]] = {}
    for name, lowered in programs.items():
        evaluator = Evaluator(lowered.mesh)
        report = Report()
        module = next(iter(lowered.context.symbols.visibility.own), "")
        context = replace(lowered.context.inside(module), report=report)
        for environment, node in _tests(declarations):
            if environment not in {None, name}:
                continue
            for case in lower_tests(context, lowered.world, node).cases:
                verdict = judge(case.expected, evaluator.decide(case.request))
                if not verdict.is_expected:
                    raise InternalError(f"a suggested test fails: {case.request} is {verdict.words}")
                asked.setdefault(name, []).append(case.request)
        if report.found:
            raise InternalError(f"a suggested test is refused: {next(iter(report.found)).message}")
    for one in tests:
        if one.test.request not in asked.get(one.test.environment, []):
            raise InternalError(f"a suggested test says something else than {one.test.request}")


def _tests(declarations: Sequence[ast.Declaration]) -> Iterator[tuple[str | None, ast.TestDecl]]:
    for one in declarations:
        match one:
            case ast.TestDecl():
                yield None, one
            case ast.Environment(name=name, declarations=inner):
                yield from ((name.text, test) for test in inner if isinstance(test, ast.TestDecl))
            case _:
                continue
