"""The routes that Istio is to run of a port: with the rules of externals among them, and every setting spelled in one way."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from meshc import ir
from meshc.semantics.principals import principals_check
from meshc_istio.faults import FaultCase, fault_cases
from meshc_istio.obstacles import Obstacle

Budgets = Mapping[tuple[str, str], float]
"""The smallest share of retries, in percent, of all routes that lead to a service."""

_CAPTURE: Final = re.compile(r"\{([^{}]*)\}")
_CREATED: Final = 201
_FORBIDDEN: Final = 403
_LONGEST: Final = 10
_ALL: Final = 100
_NO_FAULTS: Final = FaultCase(condition=ir.ALWAYS, delay=None, abort=None)


def budgets_of(mesh: ir.Mesh) -> Budgets:
    """The budgets of retries by destination."""
    found: dict[tuple[str, str], float] = {}
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    for route in (route for owner in owners for port in owner.ports for route in port.routes):
        retry = route.settings.retry
        if retry is not None and retry.budget_percent is not None and isinstance(route.action, ir.Forward):
            for one in route.action.destinations:
                key = (one.namespace, one.service)
                found[key] = min(retry.budget_percent, found.get(key, retry.budget_percent))
    return found


def expressed_routes(port: ir.PortPolicy, mesh: ir.Mesh, budgets: Budgets) -> tuple[ir.Route, ...]:
    """The routes of a port, in order. Those of connections have a destination and nothing else."""
    if not port.protocol.is_http:
        return tuple(_connections(port, mesh))
    return tuple(
        one
        for written in port.routes
        for route in _told_apart(_numbered(written))
        for case in _cases(route)
        for one in _guarded(_route(route, case, budgets, mesh), mesh)
    )


def _numbered(route: ir.Route) -> ir.Route:
    """The route with captures called by their places: Istio keeps no names. Most routes then read back as the same value."""
    path, settings, action = route.path, route.settings, route.action
    if not isinstance(path, ir.TemplatePath) or not path.names:
        return route
    places = [place for place, one in enumerate(path.segments, start=1) if one is None]
    names = {name: f"p{place}" for name, place in zip(path.names, places, strict=True)}

    def renamed(target: str) -> str:
        return _CAPTURE.sub(lambda found: f"{{{names.get(found[1], found[1])}}}", target)

    if settings.rewrite_path is not None:
        settings = replace(settings, rewrite_path=renamed(settings.rewrite_path))
    if isinstance(action, ir.Redirect):
        action = replace(action, target=renamed(action.target))
    numbered = replace(path, names=tuple(names.values()))
    return replace(route, path=numbered, settings=settings, action=action)


def _told_apart(route: ir.Route) -> Iterator[ir.Route]:
    """A redirect that keeps the rest of a path, apart for the path that has none: what is left of it is `/`."""
    action, path = route.action, route.path
    if not isinstance(action, ir.Redirect) or not action.target.endswith("/**"):
        yield route
        return
    fixed = replace(action, target=_url(action.target.removesuffix("/**") or "/"))
    if not isinstance(path, ir.TemplatePath) or not path.rest:
        yield replace(route, action=fixed)
        return
    if path.segments and None not in path.segments:
        alone = ir.ExactPath("".join(f"/{one}" for one in path.segments))
        yield replace(route, path=alone, action=fixed)
    yield route


def _connections(port: ir.PortPolicy, mesh: ir.Mesh) -> Iterator[ir.Route]:
    forwarded = [route for route in port.routes if isinstance(route.action, ir.Forward)]
    for route in forwarded[:1]:
        plain = replace(route, settings=ir.Settings(idle_timeout_ms=port.settings.idle_timeout_ms))
        yield from _guarded(plain, mesh)


# ---- settings -------------------------------------------------------------------------------------------------------


def _cases(route: ir.Route) -> tuple[FaultCase, ...]:
    """What faults do, by their conditions; one that Istio cannot tell apart is an error of emission."""
    found = fault_cases(route.settings)
    return (_NO_FAULTS,) if isinstance(found, Obstacle) else found


def _route(route: ir.Route, case: FaultCase, budgets: Budgets, mesh: ir.Mesh) -> ir.Route:
    """A route for the requests that faults treat alike."""
    condition = route.condition if case.condition == ir.ALWAYS else ir.AllOf((route.condition, case.condition))
    settings, action = route.settings, route.action
    if not isinstance(action, ir.Forward):
        return _answered(replace(route, condition=condition), case)
    externals = {(one.namespace, one.name) for one in mesh.externals}
    kept = ir.Settings(
        timeout_ms=settings.timeout_ms,
        retry=_retry(settings.retry, action, budgets),
        delays=() if case.delay is None else (replace(case.delay, condition=ir.ALWAYS),),
        aborts=() if case.abort is None else (replace(case.abort, condition=ir.ALWAYS),),
        mirrors=tuple(
            one
            for one in settings.mirrors
            if one.percent > 0 and (one.destination.namespace, one.destination.service) not in externals
        ),
        header_changes=_changes(settings.header_changes),
        rewrite_path=settings.rewrite_path,
        rewrite_host=settings.rewrite_host,
        spans=settings.spans,
    )
    return replace(route, condition=condition, settings=kept)


def _answered(route: ir.Route, case: FaultCase) -> ir.Route:
    """Faults do not strike what Istio answers by itself, unless they strike everything."""
    if case.certain_abort is not None:
        action = ir.Respond(status=case.certain_abort.status, body="", span=route.span)
        return replace(route, action=action, settings=ir.Settings())
    changes, answer = route.settings.header_changes, route.action
    if isinstance(answer, ir.Respond) and answer.status == _CREATED:
        located = ir.HeaderChange(operation="remove", direction="response", name="location", span=route.span)
        changes = (located, *changes)
    if isinstance(answer, ir.Redirect):
        answer = replace(answer, target=_url(answer.target))
    return replace(route, action=answer, settings=ir.Settings(header_changes=_changes(changes)))


def _retry(retry: ir.Retry | None, action: ir.Forward, budgets: Budgets) -> ir.Retry | None:
    if retry is None:
        return None
    shares = [budgets[key] for one in action.destinations if (key := (one.namespace, one.service)) in budgets]
    longest = None if retry.backoff_ms is None else (retry.backoff_ms[0], _LONGEST * retry.backoff_ms[0])
    return replace(retry, backoff_ms=longest, budget_percent=min(shares, default=None))


def _url(target: str) -> str:
    if target.startswith("/"):
        return target
    parts = urlsplit(target)
    host = parts.hostname or ""
    port = "" if parts.port is None else f":{parts.port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path or '/'}{query}"


def _changes(changes: tuple[ir.HeaderChange, ...]) -> tuple[ir.HeaderChange, ...]:
    """Changes header by header: it is removed, or set, and then perhaps added to."""
    found: dict[tuple[str, str], list[ir.HeaderChange]] = {}
    for one in changes:
        key = (one.direction, one.name)
        before = found.get(key, [])
        value = (one.value or "").strip(" \t")
        if one.operation == "add" and before:
            replaced = len(before) == 1 and before[0].operation == "remove"
            more = replace(one, operation="set", value=value) if replaced else replace(one, value=value)
            found[key] = [more] if replaced else [*before, more]
        else:
            found[key] = [one if one.operation == "remove" else replace(one, value=value)]
    return tuple(each for some in found.values() for each in some)


# ---- rules of externals ---------------------------------------------------------------------------------------------


def _guarded(route: ir.Route, mesh: ir.Mesh) -> Iterator[ir.Route]:
    """The route with what the rules of the external that it leads to refuse answered 403."""
    guard = _guard(route, mesh)
    aborted = any(one.percent >= _ALL for one in route.settings.aborts)
    if guard is None or aborted:
        yield route
        return
    for stage in guard.access:
        if stage.shadow:
            continue
        if stage.effect is ir.Effect.DENY:
            yield from (_refused(route, rule.principals, rule.condition, mesh) for rule in stage.rules)
            continue
        passing = [(rule.principals, rule.condition) for rule in stage.rules]
        yield from _all_but(route, passing, mesh)
    yield route


def _guard(route: ir.Route, mesh: ir.Mesh) -> ir.PortPolicy | None:
    for one in route.action.destinations if isinstance(route.action, ir.Forward) else ():
        for external in mesh.externals:
            if (external.namespace, external.name) == (one.namespace, one.service) and one.weight > 0:
                ports = [port for port in external.ports if port.number == one.port]
                if ports and any(not stage.shadow for stage in ports[0].access):
                    return ports[0]
    return None


def _all_but(route: ir.Route, passing: list[tuple[ir.Principals, ir.Condition]], mesh: ir.Mesh) -> Iterator[ir.Route]:
    """Refusals of all that none of the rules lets pass: caller by caller of those that rules name, then of everybody else."""
    named = _named(passing, route.callers)
    for identity in named:
        mine = tuple(condition for principals, condition in passing if principals_check(principals)(identity))
        yield _refused(route, ir.Principals((ir.ExactIdentity(identity),)), ir.Not(ir.AnyOf(mine)), mesh)
    yield from _rest(route, passing, named, mesh)


def _named(passing: list[tuple[ir.Principals, ir.Condition]], callers: ir.Principals | None) -> list[str]:
    asked = [principals for principals, _ in passing] + ([] if callers is None else [callers])
    every = (one for each in asked for one in (*each.include, *each.exclude))
    return sorted({one.identity for one in every if isinstance(one, ir.ExactIdentity)})


def _rest(
    route: ir.Route, passing: list[tuple[ir.Principals, ir.Condition]], named: list[str], mesh: ir.Mesh
) -> Iterator[ir.Route]:
    """Those whom no rule names by themselves: by the prefixes that rules name, longest first, then everybody."""
    exclude = tuple(map(ir.ExactIdentity, named))
    every = (one for each, _ in passing for one in (*each.include, *each.exclude))
    prefixes = sorted({one.prefix for one in every if isinstance(one, ir.IdentityPrefix)}, key=len, reverse=True)
    taken: tuple[ir.Principal, ...] = exclude
    for prefix in prefixes:
        mine = tuple(condition for principals, condition in passing if principals_check(principals)(f"{prefix} "))
        yield _refused(route, ir.Principals((ir.IdentityPrefix(prefix),), taken), ir.Not(ir.AnyOf(mine)), mesh)
        taken = (*taken, ir.IdentityPrefix(prefix))
    unknown = f"spiffe://{mesh.trust_domain}/ns/ /sa/ "
    mine = tuple(condition for principals, condition in passing if principals_check(principals)(unknown))
    yield _refused(route, ir.Principals((ir.AnyPeer(),), taken), ir.Not(ir.AnyOf(mine)), mesh)


def _refused(route: ir.Route, who: ir.Principals, condition: ir.Condition, mesh: ir.Mesh) -> ir.Route:
    """A refusal of those of the route's requests that these callers send and for which the condition holds."""
    callers = _shared(route.callers, who, mesh)
    action = ir.Respond(status=_FORBIDDEN, body="", span=route.span)
    both = ir.AllOf((route.condition, condition))
    return replace(route, callers=callers, condition=both, action=action, settings=ir.Settings())


def _shared(callers: ir.Principals | None, who: ir.Principals, mesh: ir.Mesh) -> ir.Principals:
    """Who is meant by both."""
    if callers is None:
        return who
    check, other = principals_check(callers), principals_check(who)
    both = [one.identity for one in mesh.workloads if check(one.identity) and other(one.identity)]
    return ir.Principals(tuple(map(ir.ExactIdentity, dict.fromkeys(both))))
