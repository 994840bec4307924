"""HTTP routes: the routes of a called port, in the order in which Istio tries them.

A route by sources carries them in its matches. Where a route leads to an external with rules, callers are told apart first:
each class of callers has a list of its own, with the rules as they concern it.
"""

from collections.abc import Iterator
from typing import Final

from meshc import ir
from meshc.semantics.principals import principals_check
from meshc.semantics.show import show_condition, show_operation
from meshc_istio.callers import CallerClass, Census, Source, caller_classes
from meshc_istio.directory import Called, Directory
from meshc_istio.external_access import PASS, Verdicts, has_rules, rule_principals, verdicts
from meshc_istio.faults import FaultCase, fault_cases
from meshc_istio.obstacles import Obstacle
from meshc_istio.resources.networking import HttpMatch, HttpRoute, StringMatch
from meshc_istio.route_actions import Entry, action_routes, answer, refusal
from meshc_istio.route_matches import matches_of, request_condition

_ESCAPES: Final = StringMatch(regex=".*%(00|2[fF]|5[cC]).*")
"""Paths that the language answers with 400, and that Istio would send on. Behind an external, no other sidecar looks at them."""

_BAD_REQUEST: Final = 400


def http_routes(directory: Directory, census: Census, called: Called) -> tuple[HttpRoute, ...] | Obstacle:
    """The routes of a port that speaks HTTP; the last one takes every request that is left."""
    guarded = _guarded_ports(directory, called)
    found = _of_classes(directory, census, called, guarded) if guarded else _listed(directory, census, called)
    if isinstance(found, Obstacle) or not leads_out(directory, called.port):
        return found
    return (answer(_BAD_REQUEST, (HttpMatch(uri=_ESCAPES, port=called.number),)), *found)


def leads_out(directory: Directory, port: ir.PortPolicy) -> bool:
    """Whether some route of the port leads to an external."""
    return any(route_leads_out(directory, route) for route in port.routes)


def route_leads_out(directory: Directory, route: ir.Route) -> bool:
    """Whether some requests of the route go to an external."""
    destinations = route.action.destinations if isinstance(route.action, ir.Forward) else ()
    return any(isinstance(directory.owners[one.namespace, one.service], ir.External) for one in destinations)


def _guarded_ports(directory: Directory, called: Called) -> tuple[ir.PortPolicy, ...]:
    """The ports of externals that routes of the port lead to, and that have rules."""
    ports = (guarded_port(directory, route) for route in called.port.routes)
    return tuple({id(port): port for port in ports if port is not None}.values())


def guarded_port(directory: Directory, route: ir.Route) -> ir.PortPolicy | None:
    """The port whose rules a route's requests must pass: that of the external with rules that it leads to first."""
    for one in route.action.destinations if isinstance(route.action, ir.Forward) else ():
        port = directory.port(one)
        owner = directory.owners[one.namespace, one.service]
        if isinstance(owner, ir.External) and port is not None and one.weight > 0 and has_rules(port):
            return port
    return None


def route_obstacle(census: Census, called: Called, route: ir.Route) -> Obstacle | None:
    """What keeps a route from being matched, its faults and the rules of externals aside."""
    sources = _sources(census, route.callers)
    if isinstance(sources, Obstacle):
        return sources
    cases = fault_cases(route.settings)
    if isinstance(cases, Obstacle):
        return None
    wholes = (_whole(route, case, ir.ALWAYS) for case in cases)
    tried = (matches_of(whole, called.number, sources or ()) for whole in wholes)
    return next((one for one in tried if isinstance(one, Obstacle)), None)


# ---- routes that ask no rules ---------------------------------------------------------------------------------------


def _listed(directory: Directory, census: Census, called: Called) -> tuple[HttpRoute, ...] | Obstacle:
    found: list[HttpRoute] = []
    for route in called.port.routes:
        sources = _sources(census, route.callers)
        if isinstance(sources, Obstacle):
            return sources
        if sources is None:
            continue
        made = _entries(directory, called, route, sources, PASS)
        if isinstance(made, Obstacle):
            return made
        found += made
    return tuple(found)


def _sources(census: Census, callers: ir.Principals | None) -> tuple[Source, ...] | Obstacle | None:
    """The sources of a route, empty for everybody; None for nobody."""
    if callers is None:
        return ()
    classes = caller_classes(census, (callers,))
    if isinstance(classes, Obstacle):
        return classes
    check = principals_check(callers)
    meant = [one for one in classes if check(one.identity)]
    if any(not one.sources for one in meant):
        return ()
    return tuple(source for one in meant for source in one.sources) or None


# ---- routes that lead to externals with rules -----------------------------------------------------------------------


def _of_classes(
    directory: Directory, census: Census, called: Called, guarded: tuple[ir.PortPolicy, ...]
) -> tuple[HttpRoute, ...] | Obstacle:
    principals = (
        *(route.callers for route in called.port.routes if route.callers is not None),
        *(one for asked in guarded for one in rule_principals(asked)),
    )
    classes = caller_classes(census, principals)
    if isinstance(classes, Obstacle):
        return classes
    found: list[HttpRoute] = []
    for one in classes:
        listed = _of_class(directory, called, one)
        if isinstance(listed, Obstacle):
            return listed
        found += _without_repeats(listed)
    return tuple(found)


def _of_class(directory: Directory, called: Called, callers: CallerClass) -> list[HttpRoute] | Obstacle:
    found: list[HttpRoute] = []
    for route in called.port.routes:
        if route.callers is not None and not principals_check(route.callers)(callers.identity):
            continue
        guarded = guarded_port(directory, route)
        asked = PASS if guarded is None else verdicts(guarded, callers.identity)
        made = _entries(directory, called, route, callers.sources, asked)
        if isinstance(made, Obstacle):
            return made
        found += made
    return found


def _without_repeats(routes: list[HttpRoute]) -> list[HttpRoute]:
    """The routes without those before the last one that do just what that does with all requests."""
    last = routes[-1]
    kept = len(routes) - 1
    while kept > 0 and _effect(routes[kept - 1]) == _effect(last):
        kept -= 1
    return [*routes[:kept], last]


def _effect(route: HttpRoute) -> HttpRoute:
    return route.model_copy(update={"name": None, "match": ()})


# ---- one route ------------------------------------------------------------------------------------------------------


def _entries(
    directory: Directory, called: Called, route: ir.Route, sources: tuple[Source, ...], asked: Verdicts
) -> list[HttpRoute] | Obstacle:
    """What a route of the program becomes for callers of whom its destination says `asked`."""
    cases = fault_cases(route.settings)
    if isinstance(cases, Obstacle):
        return cases
    found: list[HttpRoute] = []
    for case in cases:
        known: list[HttpMatch] = []
        for condition, passes in _steps(case, asked):
            matches = matches_of(_whole(route, case, condition), called.number, sources)
            if isinstance(matches, Obstacle):
                return matches
            if not asked.passes_all:
                # What an earlier step has matched to the letter never gets here.
                matches = tuple(one for one in matches if one not in known)
                known += matches
            if not matches:
                continue
            name = _name(route)
            if passes:
                found += action_routes(directory, called, Entry(route=route, case=case, matches=matches, name=name))
            else:
                found.append(refusal(matches, name))
    return found


def _whole(route: ir.Route, case: FaultCase, condition: ir.Condition) -> ir.Condition:
    return request_condition(route.methods, route.path, route.condition, case.condition, condition)


def _steps(case: FaultCase, asked: Verdicts) -> Iterator[tuple[ir.Condition, bool]]:
    """Conditions to try in order, each with whether requests pass; the last one always holds."""
    if case.certain_abort is not None or asked.passes_all:
        yield ir.ALWAYS, True
        return
    if asked.refuses_all:
        yield ir.ALWAYS, False
        return
    for condition in asked.refused:
        yield condition, False
    for condition in asked.passed:
        yield condition, True
    if ir.ALWAYS not in asked.passed:
        yield ir.ALWAYS, False


def _name(route: ir.Route) -> str | None:
    """The name of a route, for access logs and readers; none for the one that takes the rest."""
    if route.condition == ir.ALWAYS and route.path == ir.ANY_PATH and not route.methods:
        return None
    condition = "" if route.condition == ir.ALWAYS else f" when {show_condition(route.condition)}"
    return show_operation(route.methods, route.path) + condition
