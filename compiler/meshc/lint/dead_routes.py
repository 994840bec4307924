"""Lint of routes that no request ever takes: more specific ones take all that they match, or they match nothing.

Asked over all possible requests, with those to blame that take something of what the route matches. A port that is too complex to
decide says nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from operator import eq
from typing import Final

from meshc import ir
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.lint.routes import ambiguous_route, parts_of, subject_of
from meshc.lower.program import Lowered
from meshc.semantics.regions import PortSide, Space, TooComplexError, sides_of
from meshc.source import Span

_NOWHERE: Final = -1


def dead_route(lowered: Lowered) -> Iterator[Diagnostic]:
    """Routes of which every operation is dead, on every port that they are for."""
    dead: dict[Span, list[Span]] = {}
    # Which of two such routes wins is an error of its own.
    alive = {span for one in ambiguous_route(lowered) for span in (one.span, *(label.span for label in one.labels))}
    for side in sides_of(lowered.mesh).values():
        routes = side.port.routes[:-1]
        asked = set(_candidates(routes))
        alive |= {route.span for place, route in enumerate(routes) if place not in asked}
        for place, takers in _untaken(side, asked) if asked else ():
            if takers is None:
                alive.add(routes[place].span)
            else:
                dead.setdefault(routes[place].span, []).extend(routes[one].span for one in takers)
    for span, places in dead.items():
        if span not in alive:
            yield _report(span, places)


def _candidates(routes: Sequence[ir.Route]) -> Iterator[int]:
    """Routes that may be dead: one before has the same path, or the route tests one thing twice."""
    paths: dict[ir.PathPattern, int] = defaultdict(int)
    for place, route in enumerate(routes):
        subjects = Counter(_subject(part) for part in parts_of(route.condition)) if route.condition != ir.ALWAYS else {}
        if paths[route.path] or any(count > 1 for count in subjects.values()):
            yield place
        paths[route.path] += 1


def _subject(part: ir.Condition) -> object:
    atom = subject_of(part)
    return type(atom), getattr(atom, "name", None)


def _untaken(side: PortSide, asked: set[int]) -> Iterator[tuple[int, tuple[int, ...] | None]]:
    """For each place asked, None if some request takes the route, else the places of those that take what it matches."""
    from meshc.difference.model import Side  # noqa: PLC0415  few programs have candidates
    from meshc.difference.routes import Routes, bare, routes_of  # noqa: PLC0415

    plain = bare(side)
    every = Routes(side=Side(mesh=side.mesh), port=side, bare=plain, routes=routes_of(side))
    try:
        space = Space.of([plain], list(every.questions()))
        taken = every.taken(space)
    except TooComplexError:
        yield from ((place, None) for place in asked)
        return
    by_place = taken.map(lambda one: _NOWHERE if one is None else one.route)
    for place in sorted(asked):
        own = by_place.where(partial(eq, place)) & space.feasible
        if not own.is_empty:
            yield place, None
            continue
        alone = Routes(side=every.side, port=side, bare=plain, routes=(side.port.routes[place],)).taken(space)
        matched = alone.where(lambda one: one is not None) & space.feasible
        yield place, tuple(one for one in range(place) if not (by_place.where(partial(eq, one)) & matched).is_empty)


def _report(span: Span, takers: Sequence[Span]) -> Diagnostic:
    others = sorted({one for one in takers if one != span}, key=lambda one: (one.path, one.start))
    if not others:
        message = "no request ever takes this route: none fits all that it asks"
        return diagnose("dead-route", span, message, advice="mend its condition, or remove the route")
    labels = tuple(Label(span=one, text="this route takes requests that it matches") for one in others[:6])
    message = "no request ever takes this route: more specific ones take all that it matches"
    return diagnose("dead-route", span, message, labels=labels, advice="remove it, or make it more specific")
