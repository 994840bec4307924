"""Routing: the routes of a port -> which of them each kind of call takes.

Linkerd's order of preference is not the language's, so calls are told apart as for access: paths are cut into disjoint classes, all
other tests are closed under "and", and each element is given the route that the language picks for it. No order is ever asked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.semantics.languages import TooComplexError
from meshc_linkerd.closure import (
    MAX_ELEMENTS,
    Ambiguous,
    Closure,
    Implications,
    Tests,
    TooManyElementsError,
    generators,
)
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.match_values import METHODS, decoded_query_match, header_match, method_name
from meshc_linkerd.networks import Networks
from meshc_linkerd.path_classes import path_classes
from meshc_linkerd.path_tree import TooManyPathsError
from meshc_linkerd.predicates import (
    FALSE,
    Every,
    Formula,
    HeaderTest,
    MethodTest,
    OnPath,
    Passes,
    QueryTest,
    Some,
    UntestableError,
    networks_of,
    on_path,
    read_formula,
    tests_of,
)
from meshc_linkerd.regular import MAX_LENGTH, UnprintableError
from meshc_linkerd.resources.gateway import HttpMatch, PathMatch

EVERY_PATH: Final = PathMatch(type="PathPrefix", value="/")

_Table = tuple[tuple[Tests, int], ...]
"""Elements of a class of paths, each with its route; empty where all calls take the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """The matches of routes, by their places in the port; `rest` is the one that takes what none of them matches."""

    matches: Mapping[int, tuple[HttpMatch, ...]]
    rest: int


def routed(port: ir.PortPolicy) -> Routed:
    """Which calls each route of a port takes. Raises InexpressibleError."""
    try:
        return _Planner(port).plan()
    except TooManyElementsError:
        reason = f"the routes of this port tell more than {MAX_ELEMENTS} kinds of calls apart"
        raise InexpressibleError(reason, "test fewer headers, queries and methods") from None
    except TooManyPathsError:
        reason = "the paths of this port combine in too many ways"
        raise InexpressibleError(reason, "use fewer patterns that overlap") from None
    except TooComplexError as error:
        raise InexpressibleError(f"it cannot be told what the routes match: {error.reason}", "simplify them") from None
    except UnprintableError:
        reason = "these paths come to an expression that is too long for Linkerd"
        raise InexpressibleError(reason, "use fewer or shorter patterns") from None
    except UntestableError as error:
        raise InexpressibleError(f"Linkerd's routes cannot test {error}", "test something else") from None


class _Planner:
    def __init__(self, port: ir.PortPolicy) -> None:
        self._last = len(port.routes) - 1
        paths = dict.fromkeys(route.path for route in port.routes if route.path != ir.ANY_PATH)
        self._patterns = {path: number for number, path in enumerate(paths)}
        self._formulas = [self._formula(route) for route in port.routes[:-1]]

    def plan(self) -> Routed:
        classes = path_classes(tuple(self._patterns), {}, self._table, lambda _probed, _common: None)
        if any(len(path.value) > MAX_LENGTH for paths in classes.matches.values() for path in paths):
            raise UnprintableError
        found: dict[int, list[HttpMatch]] = {}
        rest = self._last
        for table, paths in classes.matches.items():
            for tests, route in table:
                if not classes.are_normal and not tests:
                    rest = route
                    continue
                # Where paths do not matter, those count too that are not written as the language normalizes them.
                some = paths if classes.are_normal else (EVERY_PATH,)
                found.setdefault(route, []).extend(_match(tests, path) for path in some)
        return Routed(matches={route: tuple(found[route]) for route in sorted(found)}, rest=rest)

    def _formula(self, route: ir.Route) -> Formula:
        strange = sorted(method for method in route.methods if method not in METHODS)
        if strange:
            reason = f"Linkerd's routes cannot name the method `{strange[0]}`"
            raise InexpressibleError(reason, "name none, or another", route.span)
        if any(not isinstance(atom, ir.HeaderIs | ir.QueryIs) for atom in _atoms(route.condition)):
            reason = "Linkerd's routes for callers test paths, methods, headers and queries"
            raise InexpressibleError(reason, "test a header", route.span)
        parts = [read_formula(route.condition, self._patterns, Networks(()))]
        if route.path != ir.ANY_PATH:
            parts.append(OnPath(self._patterns[route.path]))
        if route.methods:
            parts.append(Some(tuple(Passes(MethodTest(method)) for method in sorted(route.methods))))
        return Every(tuple(parts))

    def _table(self, label: int) -> _Table:
        """What becomes of the paths that match just these patterns."""
        left = [(number, on_path(formula, label)) for number, formula in enumerate(self._formulas)]
        left = [(number, formula) for number, formula in left if formula != FALSE]
        implications = Implications(sorted({test for _, one in left for test in tests_of(one)}, key=repr))
        seeds = [one for _, formula in left for one in generators(formula)]

        def rows(passed: Tests) -> tuple[int]:
            taken = (number for number, formula in left if networks_of(formula, passed, 1))
            return (1 << next(taken, self._last),)

        closure = Closure(seeds, implications, rows)
        for fault in closure.faults():
            # That expressions see ASCII alone, and queries are decoded, is in the support table.
            if isinstance(fault, Ambiguous):
                raise _two_of_one_name(fault)
        lines = ((one.tests, one.rows[0].bit_length() - 1) for one in closure.elements())
        # What passes none of the tests takes the last route by the match of everything.
        return tuple((tests, route) for tests, route in lines if tests or route != self._last)


def _two_of_one_name(fault: Ambiguous) -> InexpressibleError:
    name = next(test.name for test in fault.tests if isinstance(test, HeaderTest | QueryTest))
    reason = f"Linkerd's routes test `{name}` once, and a request with two lines of it would fit several"
    return InexpressibleError(reason, "test one value of it, or have the same happen for all of them")


def _atoms(condition: ir.Condition) -> Iterator[ir.Atom]:
    match condition:
        case ir.AllOf(parts) | ir.AnyOf(parts):
            for part in parts:
                yield from _atoms(part)
        case ir.Not(inner):
            yield from _atoms(inner)
        case _:
            yield condition


def _match(tests: Tests, path: PathMatch) -> HttpMatch:
    ordered = sorted(tests, key=repr)
    headers = tuple(header_match(one, refuses=False) for one in ordered if isinstance(one, HeaderTest))
    queries = tuple(decoded_query_match(one) for one in ordered if isinstance(one, QueryTest))
    methods = [method_name(one.method) for one in ordered if isinstance(one, MethodTest)]
    return HttpMatch(
        path=path,
        headers=headers or None,
        query_params=queries or None,
        method=methods[0] if methods else None,
    )
