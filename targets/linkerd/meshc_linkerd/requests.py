"""The requests of one http port: its rules -> routes, each with the clients that may send what it matches.

First paths are cut into classes that no rule tells apart; then, for each class, all other tests are closed under `and`. What
becomes of a class is a table of elements; classes with the same table share their matches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc.semantics.languages import TooComplexError
from meshc_linkerd.clients import Callers, Rows, both, union, without
from meshc_linkerd.closure import (
    MAX_ELEMENTS,
    Ambiguous,
    Closure,
    Element,
    Fault,
    Implications,
    Tests,
    TooManyElementsError,
    Wider,
    generators,
)
from meshc_linkerd.identities import group_of
from meshc_linkerd.match_values import check_test, header_match, method_name, query_match
from meshc_linkerd.path_classes import path_classes
from meshc_linkerd.path_tree import TooManyPathsError
from meshc_linkerd.predicates import (
    FALSE,
    Formula,
    HeaderTest,
    HostTest,
    MethodTest,
    Passes,
    QueryTest,
    TabledError,
    Test,
    UntestableError,
    networks_of,
    on_path,
    read_formula,
    tests_of,
)
from meshc_linkerd.regular import MAX_LENGTH, UnprintableError
from meshc_linkerd.resources.gateway import HttpMatch, PathMatch

MAX_MATCHES: Final = 4_096
"""The most matches of one port: hundreds of objects."""

_HINT: Final = "split the service into several ports, or test fewer things on this one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Matches of one hostname (None: any), and who may send what they match."""

    hostname: str | None
    rows: Rows
    matches: tuple[HttpMatch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """The routes of a port. `are_normal` is set where paths that are not in normal form match none of them."""

    routes: tuple[Route, ...] = ()
    are_normal: bool = False
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule with its callers as classes and its condition as a formula, and the patterns in it, as bits."""

    rule: ir.Rule
    classes: int
    formula: Formula
    patterns: int
    remembered: dict[int, Formula] = field(default_factory=dict)

    def on(self, label: int) -> Formula:
        """What is left of the formula for paths that match just these patterns."""
        seen = label & self.patterns
        found = self.remembered.get(seen)
        if found is None:
            found = self.remembered[seen] = on_path(self.formula, seen)
        return found


@dataclass(frozen=True, slots=True)
class _Line:
    """One element, and those of its tests that some request is refused for, which are spelled with more care."""

    element: Element
    refusing: frozenset[Test]


_Left = tuple[tuple[ir.Effect, tuple[tuple[int, Formula], ...]], ...]
"""What is left of the stages on some paths: callers, and a formula without paths, of each rule that can match there."""

_Table = tuple[_Line, ...]
"""What becomes of the paths of a class; empty where nobody is let in."""


def plan_requests(
    port: ir.PortPolicy, callers: Callers, probes: Sequence[tuple[str, str]], probe_networks: tuple[ir.IpBlock, ...]
) -> Requests:
    """The routes of a port, or diagnostics at what stands in their way.

    `probes` are pairs of method and path, which anybody at `probe_networks` may ask.
    """
    planner = _Planner(port, callers, probes, probe_networks)
    try:
        return planner.plan()
    except TooManyElementsError:
        message = f"the rules of port {port.number} combine in more than {MAX_ELEMENTS} ways, too many for linkerd"
    except TooManyPathsError:
        message = f"the paths of port {port.number} combine in too many ways for linkerd"
    except TooComplexError as error:
        message = f"linkerd cannot be told what the rules of port {port.number} match: {error.reason}"
    except UnprintableError:
        message = f"the paths of port {port.number} make an expression that is too long for linkerd"
    return Requests(diagnostics=(diagnose("unsupported-by-target", port.span, message, advice=_HINT),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Who may connect to a port on which no requests are seen."""

    rows: Rows
    diagnostics: tuple[Diagnostic, ...] = ()


def plan_connections(port: ir.PortPolicy, callers: Callers) -> Connections:
    """Who may connect to a tcp or tls port, or diagnostics at what stands in the way."""
    return _Planner(port, callers, (), ()).plan_connections()


class _Planner:
    def __init__(
        self,
        port: ir.PortPolicy,
        callers: Callers,
        probes: Sequence[tuple[str, str]],
        probe_networks: tuple[ir.IpBlock, ...],
    ) -> None:
        self._port = port
        self._callers = callers
        self._probes = probes
        self._stages = [stage for stage in port.access if not stage.shadow]
        self._patterns = _patterns(self._stages, probes)
        self._probing = callers.product(-1, callers.networks.bits(probe_networks)) if probes else callers.nobody
        self._found: dict[Diagnostic, None] = {}
        self._is_whole = True
        self._rules = [[rule for one in stage.rules for rule in self._read(one)] for stage in self._stages]
        self._tables: dict[tuple[tuple[int, ...], tuple[Passes, ...]], _Table] = {}

    def plan(self) -> Requests:
        if not self._is_whole:
            return Requests(diagnostics=tuple(self._found))
        numbers = {path: self._patterns[ir.ExactPath(path)] for _, path in self._probes}
        classes = path_classes(tuple(self._patterns), numbers, self._table, _added)
        if any(len(path.value) > MAX_LENGTH for paths in classes.matches.values() for path in paths):
            raise UnprintableError
        if sum(len(table) * len(paths) for table, paths in classes.matches.items()) > MAX_MATCHES:
            raise TooManyPathsError
        routes: dict[tuple[str | None, Rows], list[HttpMatch]] = {}
        for table, paths in classes.matches.items():
            for line in table:
                place = (_hostname(line.element.tests), line.element.rows)
                routes.setdefault(place, []).extend(_match(line, path) for path in paths)
        if not routes:
            # Without any route, Linkerd would let the pods' own probes through.
            routes[None, self._callers.nobody] = [HttpMatch(path=PathMatch(type="PathPrefix", value="/"))]
        found = tuple(
            Route(hostname=hostname, rows=rows, matches=tuple(matches)) for (hostname, rows), matches in routes.items()
        )
        return Requests(routes=found, are_normal=classes.are_normal, diagnostics=tuple(self._found))

    def plan_connections(self) -> Connections:
        if not self._is_whole:
            return Connections(rows=self._callers.nobody, diagnostics=tuple(self._found))
        rows = [line.element.rows for line in self._table(0)]
        return Connections(rows=rows[0] if rows else self._callers.nobody)

    # ---- rules ------------------------------------------------------------------------------------------------------

    def _read(self, rule: ir.Rule) -> Iterator[_Rule]:
        """The rule, if it can be read. Without it the rest would mean something else, so that there are no routes then."""
        try:
            _check_principals(rule.principals)
            formula = read_formula(rule.condition, self._patterns, self._callers.networks)
            for test in tests_of(formula):
                check_test(test)
        except TabledError:
            self._is_whole = False
        except UntestableError as error:
            self._is_whole = False
            message = f"linkerd cannot test {error}"
            self._report("unsupported-by-target", rule, message, "leave it out, or let the application decide")
        else:
            patterns = sum(1 << number for number in {self._patterns[one] for one in _named(rule)})
            yield _Rule(rule, self._callers.identities.meant(rule.principals), formula, patterns)

    def _report(self, name: str, rule: ir.Rule, message: str, advice: str) -> None:
        self._found[diagnose(name, rule.span, message, advice=advice)] = None

    # ---- tables -----------------------------------------------------------------------------------------------------

    def _table(self, label: int) -> _Table:
        """What becomes of the paths that match just these patterns."""
        probes = tuple(
            Passes(MethodTest(method))
            for method, path in self._probes
            if label >> self._patterns[ir.ExactPath(path)] & 1
        )
        key = (tuple(label & rule.patterns for stage in self._rules for rule in stage), probes)
        known = self._tables.get(key)
        if known is None:
            known = self._tables[key] = self._new_table(self._left(label), probes)
        return known

    def _left(self, label: int) -> _Left:
        found: list[tuple[ir.Effect, tuple[tuple[int, Formula], ...]]] = []
        for stage, rules in zip(self._stages, self._rules, strict=True):
            left = [(rule.classes, formula) for rule in rules if (formula := rule.on(label)) != FALSE]
            found.append((stage.effect, tuple(left)))
        return tuple(found)

    def _new_table(self, left: _Left, probes: tuple[Passes, ...]) -> _Table:
        formulas = [*(formula for _, rules in left for _, formula in rules), *probes]
        implications = Implications(sorted({test for one in formulas for test in tests_of(one)}, key=repr))
        found = [one for formula in formulas for one in generators(formula)]
        closure = Closure(found, implications, lambda passed: self._rows(left, probes, passed))
        for fault in closure.faults():
            self._explain(fault)
        return tuple(_Line(one, one.tests & closure.refusing) for one in closure.elements())

    def _rows(self, left: _Left, probes: tuple[Passes, ...], passed: Tests) -> Rows:
        """Who is let in with a request that passes just these tests."""
        callers = self._callers
        allowed = callers.connected
        for effect, rules in left:
            matched = callers.nobody
            for classes, formula in rules:
                networks = networks_of(formula, passed, callers.networks.everywhere)
                if networks:
                    matched = union(matched, callers.product(classes, networks))
            allowed = without(allowed, matched) if effect is ir.Effect.DENY else both(allowed, matched)
        return union(allowed, self._probing) if any(probe.test in passed for probe in probes) else allowed

    # ---- faults -----------------------------------------------------------------------------------------------------

    def _explain(self, fault: Fault) -> None:
        match fault:
            case Ambiguous(tests):
                rule = self._first_with(tests)
                names = " and ".join(dict.fromkeys(_shown(test) for test in tests))
                message = f"linkerd cannot tell apart requests that pass several different tests of {names}"
                advice = "test it for the same values in every rule of this port"
                self._report("unsupported-by-target", rule, message, advice)
            case Wider(HeaderTest() as test):
                message = f"linkerd would let requests through whose {_shown(test)} holds a value beyond ASCII"
                advice = "turn it around: allow what has the header, or refuse single values with `==`"
                self._report("unsupported-by-target", self._first_with((test,)), message, advice)
            case Wider(HostTest() as test):
                message = f"linkerd would let requests through that spell the {_shown(test)} in other letters"
                advice = "older proxies compare hosts letter by letter: allow the hosts that may be asked for instead"
                self._report("unsupported-by-target", self._first_with((test,)), message, advice)
            case Wider(test):
                message = f"linkerd would let requests through in which {_shown(test)} stands twice, or escaped"
                advice = "linkerd looks at every value of a parameter: only denies can depend on one"
                self._report("unsupported-by-target", self._first_with((test,)), message, advice)
            case _:
                assert_never(fault)

    def _first_with(self, tests: tuple[Test, ...]) -> ir.Rule:
        rules = (rule for stage in self._rules for rule in stage)
        return next(one.rule for one in rules if not set(tests).isdisjoint(tests_of(one.formula)))


def _check_principals(principals: ir.Principals) -> None:
    if any(group_of(one) is None for one in principals.include + principals.exclude):
        raise UntestableError("identities by a prefix other than a namespace's or a trust domain's")


def _added(probed: _Table, common: _Table) -> _Table | None:
    """What a probe adds to the paths that it is among. Its lines name a method, and so win over those that name none."""
    if any(isinstance(test, MethodTest) for line in common for test in line.element.tests):
        return None
    return tuple(line for line in probed if line not in common)


def _patterns(stages: Sequence[ir.Stage], probes: Sequence[tuple[str, str]]) -> dict[ir.PathPattern, int]:
    """The path patterns of all rules and probes, numbered; that of every path is none."""
    found: dict[ir.PathPattern, int] = {}
    named = [one for stage in stages for rule in stage.rules for one in _named(rule)]
    for pattern in (*named, *(ir.ExactPath(path) for _, path in probes)):
        found.setdefault(pattern, len(found))
    return found


def _named(rule: ir.Rule) -> Iterator[ir.PathPattern]:
    """The patterns of a rule, but that of every path."""
    return (one for one in _paths_in(rule.condition) if one != ir.ANY_PATH)


def _paths_in(condition: ir.Condition) -> Iterator[ir.PathPattern]:
    match condition:
        case ir.AllOf(conditions) | ir.AnyOf(conditions):
            for one in conditions:
                yield from _paths_in(one)
        case ir.Not(inner):
            yield from _paths_in(inner)
        case ir.PathIs(pattern):
            yield pattern
        case _:
            return


def _shown(test: Test) -> str:
    match test:
        case HeaderTest(name):
            return f"header `{name}`"
        case QueryTest(name):
            return f"query parameter `{name}`"
        case MethodTest(method):
            return f"method `{method}`"
        case HostTest(name):
            return f"host `{name}`"
        case _:
            assert_never(test)


# ---- matches --------------------------------------------------------------------------------------------------------


def _hostname(tests: Tests) -> str | None:
    hosts = (f"*.{test.name}" if test.is_suffix else test.name for test in tests if isinstance(test, HostTest))
    return next(hosts, None)


def _match(line: _Line, path: PathMatch) -> HttpMatch:
    tests = sorted(line.element.tests, key=repr)
    headers = [header_match(one, refuses=one in line.refusing) for one in tests if isinstance(one, HeaderTest)]
    queries = [query_match(one) for one in tests if isinstance(one, QueryTest)]
    methods = [one.method for one in tests if isinstance(one, MethodTest)]
    return HttpMatch(
        path=path,
        headers=tuple(headers) or None,
        query_params=tuple(queries) or None,
        method=method_name(methods[0]) if methods else None,
    )
