"""Lint of routes: two that match one request, of which none is more specific, would be decided by their place in the source."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from meshc import ir
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.lint.access import atoms
from meshc.lower.program import Lowered
from meshc.lower.traffic import path_rank


def ambiguous_route(lowered: Lowered) -> Iterator[Diagnostic]:
    """Pairs of routes that the order of specificity does not decide."""
    owners: tuple[ir.Workload | ir.External, ...] = (*lowered.mesh.workloads, *lowered.mesh.externals)
    for owner in owners:
        for port in owner.ports:
            for first, second in _rivals(port.routes[:-1]):
                from meshc.lint.shared_request import shared_request  # noqa: PLC0415  few programs have rivals

                request = shared_request(first, second)
                if request is not None:
                    yield diagnose(
                        "ambiguous-route",
                        second.span,
                        f"two routes match {request}, and neither is more specific",
                        labels=(Label(span=first.span, text="the other one"),),
                        advice="make one of them more specific, or let them exclude each other, as with `!=`",
                    )


def _rivals(routes: Sequence[ir.Route]) -> Iterator[tuple[ir.Route, ir.Route]]:
    """Pairs of equal rank, from different places; routes for different exact paths never meet."""
    ranked: dict[object, list[ir.Route]] = {}
    for route in routes:
        exact = route.path.path if isinstance(route.path, ir.ExactPath) else None
        ranked.setdefault((_rank(route), exact), []).append(route)
    for same in ranked.values():
        yield from (pair for pair in combinations(same, 2) if pair[0].span != pair[1].span)


def _rank(route: ir.Route) -> tuple[object, ...]:
    kinds = [type(subject_of(part)) for part in parts_of(route.condition)]
    return (
        path_rank(route.path),
        ir.HostIs in kinds,
        bool(route.methods),
        kinds.count(ir.HeaderIs),
        kinds.count(ir.QueryIs),
        route.callers is None,
    )


def parts_of(condition: ir.Condition) -> tuple[ir.Condition, ...]:
    """The tests of a route, which are joined by `and`."""
    return condition.conditions if isinstance(condition, ir.AllOf) else (condition,)


def subject_of(part: ir.Condition) -> ir.Atom:
    return next(atoms(part))
