"""Conditions of routes as the language has them: tests joined by `and`, each route with one path and its methods.

The intermediate form is more general. Alternatives become routes of their own; what a route excludes, and the language cannot
negate, becomes routes before it that send those requests where the later routes would.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

from meshc import ir
from meshc.importing.meeting import meet
from meshc.importing.unsayable import NotSayableError

MOST_ROUTES: Final = 120
"""Routes that the routes of one port may become."""

Tests = tuple[ir.Condition, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A route of which the condition is `AllOf` tests, and the place of the one that it comes from."""

    route: ir.Route
    place: int


@dataclass(frozen=True, slots=True)
class _Alternative:
    """A route without what it excludes, and that."""

    route: ir.Route
    excluded: tuple[ir.Route, ...]


def spread(routes: Sequence[ir.Route]) -> list[Entry]:
    """The same first-match list, of routes that the language can say. Raises UnsayableRouteError."""
    later: list[Entry] = []
    for place, route in reversed(tuple(enumerate(routes))):
        try:
            for one in reversed(list(_alternatives(route))):
                skipped = [
                    Entry(met, other.place)
                    for excluded in one.excluded
                    for other in later
                    if (both := meet(one.route, excluded)) is not None and (met := meet(other.route, both)) is not None
                ]
                later = [*skipped, Entry(one.route, place), *later]
        except NotSayableError as error:
            raise UnsayableRouteError(str(error), place) from error
        if len(later) > MOST_ROUTES:
            raise UnsayableRouteError(f"more than {MOST_ROUTES} routes", place)
    return later


class UnsayableRouteError(Exception):
    """A route that the language cannot say: its place, and why."""

    def __init__(self, reason: str, place: int) -> None:
        super().__init__(reason)
        self.place = place


def _alternatives(route: ir.Route) -> Iterator[_Alternative]:
    for literals in _conjunctions(route.condition, route, is_positive=True):
        found = _alternative(route, literals)
        if found is not None:
            yield found


def _alternative(route: ir.Route, literals: Tests) -> _Alternative | None:
    """None where nothing can match."""
    whole = replace(route, condition=ir.ALWAYS)
    tests: list[ir.Condition] = []
    excluded: list[ir.Route] = []
    everything = replace(whole, methods=(), path=ir.ANY_PATH, callers=None)
    for literal in literals:
        match literal:
            case ir.MethodIs() | ir.PathIs():
                both = meet(whole, _about(everything, literal))
                if both is None:
                    return None
                whole = both
            case _ if is_test(literal):
                tests.append(literal)
            case ir.Not(inner) if is_test(inner) or isinstance(inner, ir.MethodIs | ir.PathIs):
                excluded.append(_about(everything, inner))
            case _:
                raise NotSayableError("a route that is chosen by more than path, header, query and host", route.span)
    if route.callers is not None and route.callers.exclude:
        excluded.append(replace(everything, callers=ir.Principals(route.callers.exclude)))
        included = ir.Principals(route.callers.include)
        anyone = any(isinstance(one, ir.AnyPeer | ir.AnyIdentity) for one in included.include)
        whole = replace(whole, callers=None if anyone else included)
    whole = replace(whole, condition=ir.AllOf(tuple(dict.fromkeys(tests))))
    return _Alternative(whole, tuple(excluded))


def _about(everything: ir.Route, literal: ir.Condition) -> ir.Route:
    match literal:
        case ir.MethodIs(methods):
            return replace(everything, methods=methods)
        case ir.PathIs(pattern):
            return replace(everything, path=pattern)
        case _:
            return replace(everything, condition=ir.AllOf((literal,)))


def is_test(literal: ir.Condition) -> bool:
    """Whether it is one test of a header, a parameter or the host, as routes may have it."""
    match literal:
        case ir.HeaderIs() | ir.QueryIs() | ir.HostIs():
            return True
        case ir.AnyOf():
            return _is_listed(literal)
        case ir.Not(ir.HeaderIs(test=test) | ir.QueryIs(test=test) | ir.HostIs(test=test)):
            return isinstance(test, ir.Equals | ir.IsPresent)
        case _:
            return False


def _is_listed(condition: ir.AnyOf) -> bool:
    """Whether it is what `in (…)` says."""
    subjects = {
        (type(one), None if isinstance(one, ir.HostIs) else one.name)
        for one in condition.conditions
        if isinstance(one, ir.HeaderIs | ir.QueryIs | ir.HostIs) and isinstance(one.test, ir.Equals)
    }
    is_equals = all(
        isinstance(one, ir.HeaderIs | ir.QueryIs | ir.HostIs) and isinstance(one.test, ir.Equals)
        for one in condition.conditions
    )
    return is_equals and len(subjects) == 1 and len(condition.conditions) > 1


def _conjunctions(condition: ir.Condition, route: ir.Route, *, is_positive: bool) -> list[Tests]:
    """Alternatives, each of tests and negated tests that must hold together."""
    match condition:
        case ir.Not(inner):
            return _conjunctions(inner, route, is_positive=not is_positive)
        case ir.AnyOf() if is_positive and _is_listed(condition):
            return [(condition,)]
        case ir.AllOf(parts) | ir.AnyOf(parts):
            each = [_conjunctions(part, route, is_positive=is_positive) for part in parts]
            if isinstance(condition, ir.AllOf) != is_positive:
                found = [one for some in each for one in some]
            else:
                found = _products(each, route)
            return found
        case _:
            return [(condition if is_positive else ir.Not(condition),)]


def _products(each: list[list[Tests]], route: ir.Route) -> list[Tests]:
    found: list[Tests] = [()]
    for some in each:
        found = [(*left, *right) for left, right in product(found, some)]
        if len(found) > MOST_ROUTES:
            raise NotSayableError(f"more than {MOST_ROUTES} routes", route.span)
    return found
