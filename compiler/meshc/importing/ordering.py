"""A first-match list of routes -> the same as a set in which the most specific match wins.

Where a route comes before one that the language would ask first, the later one says that the first one's test does not hold, or a
route for what both match comes to stand before both. Routes that no request reaches are left out.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from typing import Final

from meshc import ir
from meshc.importing.conjunctions import MOST_ROUTES, Entry, UnsayableRouteError
from meshc.importing.meeting import covers, encloses, meet
from meshc.importing.targets import keeps_path
from meshc.importing.unsayable import NotSayableError, parts_of
from meshc.lint.routes import subject_of
from meshc.lint.shared_request import shared_request
from meshc.lower.traffic import path_rank

MOST_STEPS: Final = 300
"""Pairs of routes that may have to be told apart."""


def rank(route: ir.Route) -> tuple[object, ...]:
    """How specific a route is; what compares less is asked first, and what compares equal is not told apart."""
    kinds = [type(subject_of(part)) for part in parts_of(route.condition)]
    return (
        *path_rank(route.path),
        ir.HostIs not in kinds,
        not route.methods,
        -kinds.count(ir.HeaderIs),
        -kinds.count(ir.QueryIs),
        route.callers is None,
    )


def unordered(entries: Sequence[Entry]) -> list[Entry]:
    """The routes of a list whose order means nothing any more. Raises UnsayableRouteError."""
    left = _needed(_reached(entries))
    settled: set[tuple[Entry, Entry]] = set()
    for _ in range(MOST_STEPS):
        pair = _first_wrong(left, settled)
        if pair is None:
            return _reached(left)
        first, second = pair
        try:
            left = _told_apart(left, first, second, settled)
        except NotSayableError as error:
            raise UnsayableRouteError(str(error), left[second].place) from error
        if len(left) > MOST_ROUTES:
            break
    raise UnsayableRouteError("its place among the routes takes too many routes to say", left[0].place)


def _reached(entries: Sequence[Entry]) -> list[Entry]:
    """The routes that no single one before them covers."""
    return [
        one
        for place, one in enumerate(entries)
        if not any(covers(before.route, one.route) for before in entries[:place])
    ]


def _needed(entries: Sequence[Entry]) -> list[Entry]:
    """The routes that do something else than what later ones would do with the same requests."""
    left: list[Entry] = []
    for one in reversed(entries):
        if not _is_repeated(one.route, left):
            left.insert(0, one)
    return left


def _is_repeated(route: ir.Route, later: Sequence[Entry]) -> bool:
    for other in later:
        if _does_the_same(route, other.route):
            if covers(other.route, route):
                return True
        elif _share(_bare(route), _bare(other.route)):
            return False
    return False


def _first_wrong(entries: Sequence[Entry], settled: set[tuple[Entry, Entry]]) -> tuple[int, int] | None:
    """The first pair in the wrong order; `settled` are those for which a route for both comes before both."""
    for first, second in combinations(range(len(entries)), 2):
        pair = (entries[first], entries[second])
        if pair not in settled and _is_wrong(*pair):
            return first, second
    return None


def _is_wrong(first: Entry, second: Entry) -> bool:
    """Whether the language would ask the second first, or could not tell, and it matters."""
    one, other = rank(first.route), rank(second.route)
    if one < other:
        return False
    if _does_the_same(first.route, second.route) and (one != other or _is_one_route(first.route, second.route)):
        return False
    return _share(_bare(first.route), _bare(second.route))


def _does_the_same(first: ir.Route, second: ir.Route) -> bool:
    if first.path != second.path and keeps_path(first):
        return False
    return (first.action, first.settings) == (second.action, second.settings)


def _is_one_route(first: ir.Route, second: ir.Route) -> bool:
    """Whether they can be operations of one route, which may overlap."""
    return (first.condition, first.callers) == (second.condition, second.callers)


def _bare(route: ir.Route) -> ir.Route:
    return replace(route, action=ir.Forward(destinations=()), settings=ir.Settings())


@lru_cache(maxsize=8192)
def _share(first: ir.Route, second: ir.Route) -> bool:
    return shared_request(first, second) is not None


def _told_apart(entries: list[Entry], first: int, second: int, settled: set[tuple[Entry, Entry]]) -> list[Entry]:
    before, after = entries[first].route, entries[second].route
    if covers(before, after):
        return [*entries[:second], *entries[second + 1 :]]
    negated = _negated(before, after)
    if negated is not None:
        others = [Entry(replace(after, condition=one), entries[second].place) for one in negated]
        return [*entries[:second], *others, *entries[second + 1 :]]
    both = meet(before, after)
    if both is None or not rank(both) < rank(after):
        raise NotSayableError("it comes after a route that is less specific, which the language asks later", after.span)
    settled.add((entries[first], entries[second]))
    return [*entries[:first], Entry(both, entries[first].place), *entries[first:]]


def _negated(before: ir.Route, after: ir.Route) -> tuple[ir.Condition] | None:
    """The condition of the later route for what the earlier one leaves, where that is one test less."""
    asked = [one for one in parts_of(before.condition) if one not in parts_of(after.condition)]
    if len(asked) != 1 or not encloses(before, after):
        return None
    contrary = _contrary(asked[0])
    return None if contrary is None else (ir.AllOf((*parts_of(after.condition), *contrary)),)


def _contrary(test: ir.Condition) -> tuple[ir.Condition, ...] | None:
    match test:
        case ir.Not(inner):
            return (inner,)
        case ir.HeaderIs(test=ir.Equals() | ir.IsPresent()) | ir.QueryIs(test=ir.Equals() | ir.IsPresent()):
            return (ir.Not(test),)
        case ir.HostIs(test=ir.Equals()):
            return (ir.Not(test),)
        case ir.AnyOf(parts) if all(_contrary(part) is not None for part in parts):
            return tuple(ir.Not(part) for part in parts)
        case _:
            return None
