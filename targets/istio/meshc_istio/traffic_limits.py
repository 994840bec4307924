"""What only the spelling of routes, settings and rules of externals decides about Istio."""

from collections.abc import Iterator

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc.passes.support import has_errors
from meshc.source import Span
from meshc_istio.callers import Census, take_census
from meshc_istio.directory import Called, Directory, Owner, called_hosts, called_ports, make_directory
from meshc_istio.external_access import line_obstacle
from meshc_istio.host_limits import host_obstacles
from meshc_istio.http_routes import leads_out, route_leads_out, route_obstacle
from meshc_istio.listener_limits import listener_obstacles
from meshc_istio.obstacles import Obstacle
from meshc_istio.port_limits import port_obstacles
from meshc_istio.route_limits import place_of, route_obstacles, spares
from meshc_istio.route_matches import matches_of
from meshc_istio.virtual_services import port_routes

_ERROR = "unsupported-by-target"


def check_traffic(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """What Istio would refuse or do otherwise in the traffic of the mesh."""
    directory, census = make_directory(mesh), take_census(mesh)
    everything: tuple[Owner, ...] = (*mesh.workloads, *mesh.externals)
    for owner in everything:
        for host in called_hosts(directory, owner):
            for called in called_ports(owner, host):
                yield from _called(directory, census, called)
    yield from host_obstacles(directory)
    yield from listener_obstacles(mesh)


def _report(obstacle: Obstacle, span: Span) -> Diagnostic:
    return diagnose(_ERROR, span, f"istio cannot {obstacle.reason}", advice=obstacle.advice)


def _called(directory: Directory, census: Census, called: Called) -> Iterator[Diagnostic]:
    found = list(_port(directory, census, called)) if _is_first(called) else []
    yield from found
    if has_errors(tuple(found)) or not (isinstance(called.owner, ir.External) or leads_out(directory, called.port)):
        return
    made = port_routes(directory, census, called)
    if isinstance(made, Obstacle):
        yield _report(made, _asking_place(directory, called))


def _is_first(called: Called) -> bool:
    """What is wrong about a port is wrong for each host of its external, and told once."""
    return not isinstance(called.owner, ir.External) or called.host == called.owner.hosts[0]


def _port(directory: Directory, census: Census, called: Called) -> Iterator[Diagnostic]:
    for obstacle, span in port_obstacles(directory, called):
        yield _report(obstacle, span)
    for route in called.port.routes:
        for obstacle, span in route_obstacles(directory, called, route):
            yield _report(obstacle, span)
        if spares(route):
            message = "faults do not strike what istio answers by itself, as it does for this route"
            yield diagnose("target-differs", route.span, message)
        problem = route_obstacle(census, called, route) if called.port.protocol.is_http else None
        if problem is not None:
            yield _report(problem, route.span)
    if isinstance(called.owner, ir.External):
        yield from _rules(called)


# ---- externals ------------------------------------------------------------------------------------------------------


def _rules(called: Called) -> Iterator[Diagnostic]:
    for stage in called.port.access:
        for rule in stage.rules:
            if stage.shadow:
                reason = "log what a shadow rule of an external would refuse"
                yield _report(Obstacle(reason=reason, advice="leave the rule out"), rule.span)
            elif called.port.protocol.is_http:
                made = matches_of(rule.condition, called.number)
                lines = line_obstacle(rule.condition, refuses=stage.effect is ir.Effect.DENY)
                problem = made if isinstance(made, Obstacle) else lines
                if problem is not None:
                    yield _report(problem, rule.span)


def _asking_place(directory: Directory, called: Called) -> Span:
    """The place to blame for what routes and rules of an external ask together."""
    if isinstance(called.owner, ir.External):
        rules = (rule.span for stage in called.port.access for rule in stage.rules)
        return next(rules, place_of(called.port))
    return next(
        (route.span for route in called.port.routes if route_leads_out(directory, route)), place_of(called.port)
    )
