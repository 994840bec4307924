"""Routing: what the caller's proxy does with a request, route by route, and what leaves it.

Routes, fault conditions and redirects see the request as the caller sent it; rewrites and header changes come after, so
access is judged on their result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from meshc.ir import (
    ANY_PATH,
    FaultAbort,
    FaultDelay,
    HeaderChange,
    PathPattern,
    Principals,
    Route,
    Settings,
)
from meshc.semantics.conditions import Check, condition_check
from meshc.semantics.facts import Facts
from meshc.semantics.normalize import BLANKS, Malformed, normalize_host
from meshc.semantics.paths import RefusedError, capture, normalize_path, path_matcher, substitute
from meshc.semantics.principals import principals_check

FaultCheck = tuple[Check, FaultDelay | FaultAbort]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRoute:
    """A route with its match as a function, and its faults with theirs."""

    route: Route
    matches: Check
    faults: tuple[FaultCheck, ...]


def compile_route(route: Route) -> CompiledRoute:
    """Raises ValueError for a pattern that is not RE2 syntax."""
    return CompiledRoute(route=route, matches=_route_check(route), faults=compile_faults(route.settings))


def compile_faults(settings: Settings) -> tuple[FaultCheck, ...]:
    """The faults of some settings, delays first."""
    faults: tuple[FaultDelay | FaultAbort, ...] = (*settings.delays, *settings.aborts)
    return tuple((condition_check(fault.condition), fault) for fault in faults)


def _route_check(route: Route) -> Check:
    checks = [
        check
        for check in (
            method_check(route.methods),
            route_path_check(route.path),
            condition_check(route.condition),
            caller_check(route.callers),
        )
        if check is not None
    ]
    return lambda facts: all(check(facts) for check in checks)


def method_check(methods: tuple[str, ...]) -> Check | None:
    """Whether the method is one of these; None where every method is."""
    if not methods:
        return None
    wanted = frozenset(methods)
    return lambda facts: facts.method in wanted


def route_path_check(pattern: PathPattern) -> Check | None:
    """Whether the path matches; None for every path, connections without one included."""
    if pattern == ANY_PATH:
        return None
    matches = path_matcher(pattern)
    return lambda facts: facts.path is not None and matches(facts.path)


def caller_check(callers: Principals | None) -> Check | None:
    """Whether the caller is meant; None where every caller is."""
    if callers is None:
        return None
    is_meant = principals_check(callers)
    return lambda facts: is_meant(facts.identity)


def active_faults(faults: tuple[FaultCheck, ...], facts: Facts) -> tuple[FaultDelay | FaultAbort, ...]:
    """The faults whose condition holds; each still strikes only its share of requests."""
    return tuple(fault for check, fault in faults if check(facts))


def redirect_target(target: str, pattern: PathPattern, facts: Facts) -> str:
    """A redirect's target with its captures filled in. The query, which a proxy keeps, is left out."""
    return substitute(target, capture(pattern, facts.path or "/"))


def leaving_request(settings: Settings, pattern: PathPattern, facts: Facts) -> Facts | Malformed:
    """The request as it leaves the caller's proxy, and as the server normalizes it again if its path was rewritten."""
    if facts.path is None:
        return facts
    try:
        if settings.rewrite_path is not None:
            path = normalize_path(substitute(settings.rewrite_path, capture(pattern, facts.path)))
            facts = replace(facts, path=path)
        if settings.rewrite_host is not None:
            facts = replace(facts, host=normalize_host(settings.rewrite_host))
    except RefusedError as refused:
        return Malformed(reason=f"{refused} after the rewrite")
    if settings.header_changes:
        facts = replace(facts, headers=_change_headers(settings.header_changes, facts.headers))
    return facts


def _change_headers(
    changes: tuple[HeaderChange, ...], headers: Mapping[str, tuple[str, ...]]
) -> Mapping[str, tuple[str, ...]]:
    changed = dict(headers)
    for change in changes:
        if change.direction != "request":
            continue
        value = (change.value or "").strip(BLANKS)
        if change.operation == "remove":
            changed.pop(change.name, None)
        elif change.operation == "add":
            changed[change.name] = (*changed.get(change.name, ()), value)
        else:
            changed[change.name] = (value,)
    return changed
