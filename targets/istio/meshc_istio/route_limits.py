"""What one route asks of Istio's VirtualService beyond what it can say, its match aside."""

from collections.abc import Iterator
from typing import Final, assert_never

from meshc import ir
from meshc.source import Span
from meshc_istio.directory import Called, Directory, Owner, covers, is_wildcard
from meshc_istio.external_access import has_rules
from meshc_istio.faults import fault_cases
from meshc_istio.header_changes import header_obstacles
from meshc_istio.obstacles import Obstacle
from meshc_istio.port_limits import Found
from meshc_istio.rewrites import redirect_obstacle, rewrite_obstacle

LARGEST_BODY: Final = 1_000_000
"""The largest body that a proxy answers with by itself, in bytes."""


def route_obstacles(directory: Directory, called: Called, route: ir.Route) -> Iterator[Found]:
    """What a route does that cannot be said."""
    settings = route.settings
    yield from header_changes(settings)
    yield from _faults(route)
    match route.action:
        case ir.Forward(destinations=destinations):
            yield from _forward(directory, called, route, destinations)
        case ir.Redirect():
            problem = redirect_obstacle(route.path, route.action)
            if problem is not None:
                yield problem, route.action.span
        case ir.Respond(body=body):
            if len(body.encode()) > LARGEST_BODY:
                reason = f"answer with {len(body.encode())} bytes by itself, and at most {LARGEST_BODY}"
                yield Obstacle(reason=reason, advice="have a service answer"), route.action.span
        case _:
            assert_never(route.action)


def header_changes(settings: ir.Settings) -> Iterator[Found]:
    """The header changes that cannot be said."""
    for change, problem in header_obstacles(settings.header_changes):
        yield problem, change.span


def _faults(route: ir.Route) -> Iterator[Found]:
    settings = route.settings
    spans = [one.span for one in settings.delays] + [one.span for one in settings.aborts]
    cases = fault_cases(settings)
    if isinstance(cases, Obstacle):
        yield cases, spans[-1]


def spares(route: ir.Route) -> bool:
    """Whether the route answers requests by itself that a fault of its block should strike, which Istio does not."""
    cases = fault_cases(route.settings)
    if isinstance(cases, Obstacle) or isinstance(route.action, ir.Forward):
        return False
    return any(one.delay is not None or one.abort is not one.certain_abort for one in cases)


def _forward(
    directory: Directory, called: Called, route: ir.Route, destinations: tuple[ir.Destination, ...]
) -> Iterator[Found]:
    settings = route.settings
    spans = dict(settings.spans)
    if settings.idle_timeout_ms is not None and called.port.protocol.is_http:
        reason = "end requests on which nothing moves, and knows `idle-timeout` for connections alone"
        yield Obstacle(reason=reason, advice="use `timeout`"), spans.get("idle_timeout_ms", route.span)
    if settings.rewrite_path is not None:
        found = rewrite_obstacle(route.path, settings.rewrite_path)
        if found is not None:
            yield found, spans.get("rewrite_path", route.span)
    yield from _external_destinations(directory, called, route, destinations)


def _external_destinations(
    directory: Directory, called: Called, route: ir.Route, destinations: tuple[ir.Destination, ...]
) -> Iterator[Found]:
    used = [one for one in destinations if one.weight > 0]
    ports = {(one.namespace, one.service, one.port): directory.port(one) for one in used}
    guarded = [key for key, port in ports.items() if port is not None and _asks(directory.owners[key[0], key[1]], port)]
    if guarded and len(ports) > 1:
        reason = "split over externals with rules, which it asks before it chooses"
        yield Obstacle(reason=reason, advice="send the requests to one of them"), route.span
    for one in used:
        owner = directory.owners[one.namespace, one.service]
        if isinstance(owner, ir.External) and (host := _open_host(called, owner, route.settings)) is not None:
            reason = f"choose a host of `{host}` for a request, which goes where the application wanted to"
            yield Obstacle(reason=reason, advice="name the host that is meant in the external"), route.span


def _asks(owner: Owner, port: ir.PortPolicy) -> bool:
    return isinstance(owner, ir.External) and has_rules(port)


def _open_host(called: Called, owner: ir.External, settings: ir.Settings) -> str | None:
    """The wildcard that a route would have to choose a host of."""
    name = settings.rewrite_host
    if owner is called.owner and name is None:
        return None
    hosts = [host for host in owner.hosts if name is not None and covers(host, name)]
    chosen = hosts or ([called.host] if owner is called.owner else list(owner.hosts[:1]))
    return next((host for host in chosen if is_wildcard(host)), None)


def place_of(port: ir.PortPolicy) -> Span:
    """The place to blame for what no route of a port is to blame for alone."""
    return port.routes[-1].span if port.routes else port.span
