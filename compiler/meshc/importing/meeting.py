"""What two routes match together, as a route, and whether one matches all that another does."""

from dataclasses import replace
from functools import lru_cache
from itertools import zip_longest

from meshc import ir
from meshc.importing.targets import retargeted
from meshc.importing.unsayable import NotSayableError, parts_of
from meshc.semantics.languages import TooComplexError, path_signatures

_FIRST, _SECOND, _BOTH = 0b01, 0b10, 0b11


def meet(first: ir.Route, second: ir.Route) -> ir.Route | None:
    """A route that matches what both do and does what the first does; None if there is no such request.

    Raises NotSayableError where no path of the language is what both paths match.
    """
    methods = tuple(one for one in first.methods if one in second.methods or not second.methods)
    if first.methods and not methods:
        return None
    path = meet_paths(first.path, second.path, first)
    if path is None:
        return None
    if path != first.path:
        first = retargeted(first, path)
    callers = meet_callers(first.callers, second.callers)
    if callers is not None and not callers.include:
        return None
    return replace(
        first,
        methods=methods or second.methods,
        path=path,
        condition=_together(first.condition, second.condition),
        callers=callers,
    )


def covers(wide: ir.Route, narrow: ir.Route) -> bool:
    """Whether one plainly matches all that the other does: part by part, so that yes is always right."""
    if wide.methods and not (narrow.methods and set(narrow.methods) <= set(wide.methods)):
        return False
    if not set(parts_of(wide.condition)) <= set(parts_of(narrow.condition)):
        return False
    return encloses(wide, narrow)


def encloses(wide: ir.Route, narrow: ir.Route) -> bool:
    """Whether all methods, paths and callers of one are those of the other; conditions aside."""
    if wide.methods and not (narrow.methods and set(narrow.methods) <= set(wide.methods)):
        return False
    callers = meet_callers(narrow.callers, wide.callers)
    return callers == narrow.callers and _FIRST not in _relation(narrow.path, wide.path)


def meet_paths(first: ir.PathPattern, second: ir.PathPattern, route: ir.Route) -> ir.PathPattern | None:
    """A pattern for the paths that both match; None if there is none. Raises NotSayableError."""
    try:
        relation = _relation(first, second)
    except TooComplexError as error:
        raise NotSayableError(error.reason, route.span) from error
    if _BOTH not in relation:
        return None
    if _FIRST not in relation:
        return first
    if _SECOND not in relation:
        return second
    if isinstance(first, ir.TemplatePath) and isinstance(second, ir.TemplatePath):
        return _meet_templates(first, second)
    raise NotSayableError("two paths that overlap, one a regular expression, in an order of their own", route.span)


@lru_cache(maxsize=4096)
def _relation(first: ir.PathPattern, second: ir.PathPattern) -> frozenset[int]:
    """Which paths there are: those of the first alone, of the second alone, of both. Raises TooComplexError."""
    if first == second:
        return frozenset({_BOTH})
    return frozenset(one.holds for one in path_signatures((first, second)))


def _meet_templates(first: ir.TemplatePath, second: ir.TemplatePath) -> ir.PathPattern:
    segments = tuple(one if one is not None else other for one, other in zip_longest(first.segments, second.segments))
    rest = first.rest and second.rest
    if not rest and None not in segments:
        return ir.ExactPath("".join(f"/{one}" for one in segments))
    names = tuple(f"p{number}" for number, one in enumerate((one for one in segments if one is None), 1))
    return ir.TemplatePath(segments, names, rest)


def _together(first: ir.Condition, second: ir.Condition) -> ir.Condition:
    parts = dict.fromkeys((*parts_of(first), *parts_of(second)))
    tested = {_subject(one) for one in parts if not _is_presence(one)}
    return ir.AllOf(tuple(one for one in parts if not (_is_presence(one) and _subject(one) in tested)))


def _is_presence(one: ir.Condition) -> bool:
    return isinstance(one, ir.HeaderIs | ir.QueryIs) and isinstance(one.test, ir.IsPresent)


def _subject(one: ir.Condition) -> object:
    """What a test that only a present value passes looks at."""
    match one:
        case ir.HeaderIs(name=name) | ir.QueryIs(name=name):
            return type(one), name
        case ir.AnyOf((ir.HeaderIs() | ir.QueryIs() as part, *_)):
            return type(part), part.name
        case _:
            return None


def meet_callers(first: ir.Principals | None, second: ir.Principals | None) -> ir.Principals | None:
    """The callers that both name; none at all is an empty list."""
    if first is None or second is None:
        return first or second
    if first == second:
        return first
    kept = [
        one if _holds(other, one) else other
        for one in first.include
        for other in second.include
        if _holds(other, one) or _holds(one, other)
    ]
    return ir.Principals(tuple(dict.fromkeys(kept)))


def _holds(wide: ir.Principal, narrow: ir.Principal) -> bool:
    match wide, narrow:
        case ir.AnyPeer(), _:
            return True
        case ir.AnyIdentity(), _:
            return not isinstance(narrow, ir.AnyPeer)
        case ir.IdentityPrefix(prefix), ir.ExactIdentity(text) | ir.IdentityPrefix(text):
            return text.startswith(prefix)
        case _:
            return wide == narrow
