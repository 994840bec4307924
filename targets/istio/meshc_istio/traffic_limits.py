"""What only the spelling of a program decides about traffic on Istio."""

from collections.abc import Callable, Iterator
from functools import partial

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc.source import Span
from meshc_istio.egress import guarded_routes
from meshc_istio.route_actions import action_of
from meshc_istio.route_matches import matches_of
from meshc_istio.shapes import callers
from meshc_istio.terms import InexpressibleError


def check_traffic(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """What Istio cannot say of routes, settings and externals, at its place."""
    for workload in mesh.workloads:
        for port in workload.ports:
            for route in port.routes:
                yield from _tried(route.span, "this route", partial(_route, mesh, port, route))
    for external in mesh.externals:
        for port in external.ports:
            yield from _external(mesh, external, port)


def _tried(span: Span, what: str, attempt: Callable[[], object]) -> Iterator[Diagnostic]:
    try:
        attempt()
    except InexpressibleError as error:
        message = f"istio cannot express {what}: {error.reason}"
        yield diagnose("unsupported-by-target", span, message, advice=error.instead or ())


def _route(mesh: ir.Mesh, port: ir.PortPolicy, route: ir.Route) -> None:
    matches_of(port.number, route.methods, route.path, route.condition, callers(mesh, route.callers))
    if port.protocol.is_http:
        action_of(mesh, route)


def _external(mesh: ir.Mesh, external: ir.External, port: ir.PortPolicy) -> Iterator[Diagnostic]:
    rules = [rule for stage in port.access for rule in stage.rules]
    for rule in rules:
        yield from _tried(rule.span, "this rule", partial(callers, mesh, rule.principals))
    for route in port.routes:
        yield from _tried(route.span, "this route", partial(_route, mesh, port, route))
    is_wildcard = any(host.startswith("*") for host in external.hosts)
    if is_wildcard and (port.protocol is ir.Protocol.HTTPS or any(rule.condition != ir.ALWAYS for rule in rules)):
        message = "istio cannot decide requests to a wildcard host: its routes are for hosts by name"
        yield diagnose("unsupported-by-target", external.span, message, advice="name the hosts one by one")
    if port.protocol.is_http:
        place = rules[0].span if rules else external.span
        yield from _tried(place, "the rules of this external", lambda: list(guarded_routes(mesh, port)))
