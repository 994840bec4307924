"""What a route matches: conditions as alternatives of Istio's `HTTPMatchRequest`, each a conjunction of tests.

A conjunction holds one test of a header that must hold, one that must not, and so on, so what it cannot hold together is
an `Obstacle`. Headers are tested line by line, as the language means it (since Envoy's fix of CVE-2026-26308).
"""

from collections.abc import Iterable
from typing import Final

from meshc import ir
from meshc.semantics.texts import text_check
from meshc_istio.callers import Source
from meshc_istio.conjunctions import Conjunction, conjunction_matches
from meshc_istio.obstacles import Obstacle
from meshc_istio.resources.networking import HttpMatch
from meshc_istio.texts import quote

MAX_ALTERNATIVES: Final = 64
"""How many alternatives the condition of one route may have."""

Literal = tuple[ir.Atom, bool]
"""An atom, and whether it must hold or must not."""

Alternatives = tuple[tuple[Literal, ...], ...]


def matches_of(
    condition: ir.Condition, port: int, sources: tuple[Source, ...] = ()
) -> tuple[HttpMatch, ...] | Obstacle:
    """The requests to the port for which the condition holds, from one of the sources, if any are given.

    Without any result there is no such request.
    """
    found: list[HttpMatch] = []
    alternatives = _alternatives(_merged(condition), holds=True)
    if len(alternatives) > MAX_ALTERNATIVES:
        return Obstacle(
            reason=f"hold a condition of more than {MAX_ALTERNATIVES} alternatives in one route",
            advice="split it into several",
        )
    for literals in alternatives:
        conjunction = Conjunction()
        for atom, holds in literals:
            problem = conjunction.take(atom, holds=holds)
            if problem is not None:
                return problem
        made = conjunction_matches(conjunction, port, sources)
        if isinstance(made, Obstacle):
            return made
        found += made
    return tuple(found)


def request_condition(methods: tuple[str, ...], path: ir.PathPattern, *conditions: ir.Condition) -> ir.Condition:
    """Methods (none: any), a path and conditions as one condition."""
    parts: list[ir.Condition] = [ir.MethodIs(methods)] if methods else []
    if path != ir.ANY_PATH:
        parts.append(ir.PathIs(path))
    return ir.AllOf((*parts, *(one for one in conditions if one != ir.ALWAYS)))


# ---- normal form ----------------------------------------------------------------------------------------------------


def _alternatives(condition: ir.Condition, *, holds: bool) -> Alternatives:
    """The disjunctive normal form. Where it has more than `MAX_ALTERNATIVES`, some number above that is returned."""
    match condition:
        case ir.Not(inner):
            return _alternatives(inner, holds=not holds)
        case ir.AllOf(conditions) | ir.AnyOf(conditions):
            parts = [_alternatives(part, holds=holds) for part in conditions]
            if isinstance(condition, ir.AllOf) is holds:
                return _products(parts)
            return tuple(alternative for part in parts for alternative in part)
        case ir.HeaderIs(name, test) if not holds and not isinstance(test, ir.IsPresent) and text_check(test)(""):
            # An inverted test takes a header that is not there for an empty one.
            present = ir.HeaderIs(name, ir.IsPresent())
            literals: Alternatives = (((present, False),), ((present, True), (condition, False)))
            return literals
        case _:
            return (((condition, holds),),)


def _products(parts: Iterable[Alternatives]) -> Alternatives:
    found: Alternatives = ((),)
    for part in parts:
        found = tuple(one + other for one in found for other in part)
        if len(found) > MAX_ALTERNATIVES:
            break
    return found


def _merged(condition: ir.Condition) -> ir.Condition:
    """The same condition with `in` over one header as one pattern."""
    match condition:
        case ir.Not(inner):
            return ir.Not(_merged(inner))
        case ir.AllOf(conditions):
            return ir.AllOf(tuple(_merged(part) for part in conditions))
        case ir.AnyOf(conditions):
            return _one_pattern(conditions) or ir.AnyOf(tuple(_merged(part) for part in conditions))
        case _:
            return condition


def _one_pattern(conditions: tuple[ir.Condition, ...]) -> ir.Condition | None:
    tests = [part for part in conditions if isinstance(part, ir.HeaderIs)]
    values = [part.test.value for part in tests if isinstance(part.test, ir.Equals) and part.test.value]
    names = {part.name for part in tests}
    if len(names) != 1 or len(values) != len(conditions) or len(values) < 2:
        return None
    return ir.HeaderIs(names.pop(), ir.Matches("|".join(quote(value) for value in values)))
