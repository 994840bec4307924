"""Refusals by callers' proxies as rules: what routes of an external answer with 403, or send to a subset that nothing defines.

Istio has no rules for what leaves the mesh. People write them as routes, and so they are read: the requests that get a bare 403 are refused
by a rule, and their routes say nothing more of them.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.semantics.principals import principals_check
from meshc.source import Span

_FORBIDDEN: Final = 403
_ELSEWHERE: Final = " "
"""No service account is called so: it stands for all whom nothing names."""


def as_access(external: ir.External, port: ir.PortPolicy) -> ir.PortPolicy:
    """The port with rules in the place of refusals; as it is where it has none."""
    if not any(_refuses(one) for one in port.routes):
        return port
    itself = ir.Destination(namespace=external.namespace, service=external.name, port=port.number)
    plain = ir.Forward(destinations=(itself,))
    routes = tuple(replace(one, action=plain, settings=ir.Settings()) if _refuses(one) else one for one in port.routes)
    span = next(one.span for one in port.routes if _refuses(one))
    rules = tuple(
        ir.Rule(identifier=f"routes.{number}", principals=principals, condition=condition, span=span)
        for number, (principals, condition) in enumerate(_passing(port.routes), start=1)
    )
    return replace(port, routes=routes, access=(ir.Stage(effect=ir.Effect.ALLOW, rules=rules, span=span),))


def refusal(span: Span) -> ir.Route:
    """A route that refuses whatever gets to it."""
    action = ir.Respond(status=_FORBIDDEN, body="", span=span)
    return ir.Route(
        methods=(),
        path=ir.ANY_PATH,
        condition=ir.ALWAYS,
        callers=None,
        action=action,
        settings=ir.Settings(),
        span=span,
    )


def only_of(route: ir.Route, trust_domain: str, namespace: str) -> ir.Route | None:
    """The route for those of its callers who are of a namespace; None if there are none."""
    prefix = f"spiffe://{trust_domain}/ns/{namespace}/sa/"
    if route.callers is None:
        return replace(route, callers=ir.Principals((ir.IdentityPrefix(prefix),)))
    mine = tuple(one for one in route.callers.include if _is_of(one, prefix))
    return replace(route, callers=replace(route.callers, include=mine)) if mine else None


def _is_of(caller: ir.Principal, prefix: str) -> bool:
    match caller:
        case ir.ExactIdentity(identity=text) | ir.IdentityPrefix(prefix=text):
            return text.startswith(prefix)
        case _:
            return False


def _refuses(route: ir.Route) -> bool:
    action = route.action
    return isinstance(action, ir.Respond) and action.status == _FORBIDDEN and not action.body


def _passing(routes: tuple[ir.Route, ...]) -> Iterator[tuple[ir.Principals, ir.Condition]]:
    """Each class of callers with the requests that its own first route does not refuse."""
    for principals, identity in _classes(routes):
        mine = [one for one in routes if one.callers is None or principals_check(one.callers)(identity)]
        condition = _not_refused(mine)
        if condition is not None:
            yield principals, condition


def _not_refused(routes: list[ir.Route]) -> ir.Condition | None:
    """When the first route that matches is no refusal; None if it always is one."""
    found: list[ir.Condition] = []
    refused: list[ir.Condition] = []
    for route in routes:
        matched = _match(route)
        if _refuses(route):
            refused.append(matched)
        else:
            found.append(ir.AllOf((matched, *map(ir.Not, refused))) if refused else matched)
        if matched == ir.ALWAYS:
            break
    else:
        found.append(ir.AllOf(tuple(map(ir.Not, refused))))
    if not refused:
        return ir.ALWAYS
    return ir.AnyOf(tuple(found)) if found else None


def _match(route: ir.Route) -> ir.Condition:
    parts: list[ir.Condition] = [] if route.condition == ir.ALWAYS else [route.condition]
    if route.methods:
        parts.append(ir.MethodIs(route.methods))
    if route.path != ir.ANY_PATH:
        parts.append(ir.PathIs(route.path))
    return ir.AllOf(tuple(parts)) if parts else ir.ALWAYS


def _classes(routes: tuple[ir.Route, ...]) -> Iterator[tuple[ir.Principals, str]]:
    """All callers in classes that routes treat alike, each with one of them: named ones, those of a prefix, everybody else."""
    named = [
        one for route in routes if route.callers is not None for one in (*route.callers.include, *route.callers.exclude)
    ]
    exact = sorted({one.identity for one in named if isinstance(one, ir.ExactIdentity)})
    prefixes = sorted({one.prefix for one in named if isinstance(one, ir.IdentityPrefix)}, key=len, reverse=True)
    for identity in exact:
        yield ir.Principals((ir.ExactIdentity(identity),)), identity
    taken: tuple[ir.Principal, ...] = tuple(map(ir.ExactIdentity, exact))
    for prefix in prefixes:
        within = tuple(one for one in taken if _is_of(one, prefix))
        yield ir.Principals((ir.IdentityPrefix(prefix),), within), f"{prefix}{_ELSEWHERE}"
        taken = (*taken, ir.IdentityPrefix(prefix))
    yield ir.Principals((ir.AnyPeer(),), taken), f"spiffe://{_ELSEWHERE}/ns/{_ELSEWHERE}/sa/{_ELSEWHERE}"
