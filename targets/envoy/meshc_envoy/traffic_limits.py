"""What only the spelling of routes and settings decides about Envoy."""

from collections.abc import Iterator

from meshc import ir
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.source import Span
from meshc_envoy.atom_limits import check_atom
from meshc_envoy.conditions import atoms_of
from meshc_envoy.egress import is_wildcard
from meshc_envoy.faults import MAX_CONDITIONS, fault_conditions
from meshc_envoy.reach import route_destinations
from meshc_envoy.route_matches import MAX_ALTERNATIVES, is_expressible, is_testable, normal_form
from meshc_envoy.route_sizes import check_sizes
from meshc_envoy.upstreams import host_of

_ERROR = "unsupported-by-target"


def check_traffic_limits(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """What Envoy would refuse or do otherwise in the traffic of the mesh."""
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    by_key = {(owner.namespace, owner.name): owner for owner in owners}
    for owner in owners:
        for port in owner.ports:
            if isinstance(owner, ir.External) and any(is_wildcard(host) for host in owner.hosts):
                yield from _wildcard(port)
            yield from _bounds(port)
            yield from _locality(owner, port)
            for route in port.routes:
                yield from _route(port, route, by_key)
                yield from _wildcard_destinations(owner, route, by_key)


def _route(
    port: ir.PortPolicy, route: ir.Route, owners: dict[tuple[str, str], ir.Workload | ir.External]
) -> Iterator[Diagnostic]:
    yield from _condition(route.condition, route.span, "a route")
    yield from _faults(route)
    yield from _versions(route, owners)
    if len(normal_form(route.condition)) <= MAX_ALTERNATIVES and is_expressible(route.condition):
        yield from check_sizes(route)
    if isinstance(route.action, ir.Redirect) and "#" in route.action.target:
        # Of a URL Envoy is told without it; behind that of a path, Envoy puts the query of the request.
        message = "envoy cannot redirect to a fragment"
        yield diagnose(_ERROR, route.action.span, message, advice="leave out the `#` and what follows it")
    if isinstance(route.action, ir.Redirect) and "{" in route.action.target.partition("://")[2].partition("/")[0]:
        message = "envoy cannot redirect to a host that is captured from the path"
        yield diagnose(_ERROR, route.action.span, message, advice="write a route for each host")
    if isinstance(route.action, ir.Redirect) and "{" in route.action.target and "?" in route.action.target:
        # Envoy appends the request's query to what it makes of captures, so there would be two.
        message = "envoy cannot redirect to a path with captures and a query of its own"
        yield diagnose(_ERROR, route.action.span, message, advice="leave the query out; that of the request is kept")
    if not port.protocol.is_http and len(route_destinations(route)) > 1:
        outside = [owners[one.namespace, one.service] for one in route_destinations(route)]
        if any(isinstance(owner, ir.External) for owner in outside):
            message = "envoy cannot split connections over externals, whose rules it asks before it chooses"
            yield diagnose(_ERROR, route.span, message, advice="send them to one external")


def _wildcard_destinations(
    owner: ir.Workload | ir.External, route: ir.Route, owners: dict[tuple[str, str], ir.Workload | ir.External]
) -> Iterator[Diagnostic]:
    """Envoy connects to the host that a request to a wildcard names when it comes: no route can choose another."""
    name = route.settings.rewrite_host
    for destination in route_destinations(route):
        external = owners[destination.namespace, destination.service]
        if not isinstance(external, ir.External) or (external is owner and name is None):
            continue
        # Without a rewrite, the host is one of the service's own.
        found = host_of(external, name or "")
        hosts = (found,) if found is not None else external.hosts if external is owner else external.hosts[:1]
        if wildcard := next((host for host in hosts if is_wildcard(host)), None):
            message = f"envoy cannot choose a host of `{wildcard}` for a request: it goes to the one that it names"
            yield diagnose(_ERROR, route.span, message, advice="name the host that is meant in the external")


def _condition(condition: ir.Condition, span: Span, what: str) -> Iterator[Diagnostic]:
    for atom in atoms_of(condition):
        yield from check_atom(atom, span)
    literals = normal_form(condition)
    if len(literals) > MAX_ALTERNATIVES:
        message = f"the condition of {what} has more than {MAX_ALTERNATIVES} alternatives for envoy"
        yield diagnose(_ERROR, span, message, advice="split it into several")
    for atom, holds in (literal for alternative in literals for literal in alternative):
        if isinstance(atom, ir.QueryIs) and not is_testable(atom, holds=holds):
            message = f"envoy cannot test that the query parameter `{atom.name}` does not match a pattern"
            yield diagnose(_ERROR, span, message, advice="use `!=`, or tests of how it starts or ends")


def _faults(route: ir.Route) -> Iterator[Diagnostic]:
    settings = route.settings
    conditions = fault_conditions(settings)
    if len(conditions) > MAX_CONDITIONS:
        places = [*(one.span for one in settings.delays), *(one.span for one in settings.aborts)]
        message = f"envoy can keep at most {MAX_CONDITIONS} conditions of faults of one route apart"
        yield diagnose(_ERROR, places[-1], message, advice="give other routes some of them")
        return
    for fault in settings.delays:
        yield from _condition(fault.condition, fault.span, "a fault")
    for abort in settings.aborts:
        yield from _condition(abort.condition, abort.span, "a fault")
    if len(normal_form(ir.AllOf((route.condition, *conditions)))) > MAX_ALTERNATIVES:
        message = (
            f"with its faults, the condition of this route has more than {MAX_ALTERNATIVES} alternatives for envoy"
        )
        yield diagnose(_ERROR, route.span, message, advice="test less in one condition")


def _versions(route: ir.Route, owners: dict[tuple[str, str], ir.Workload | ir.External]) -> Iterator[Diagnostic]:
    mirrored = [(one.destination, one.span) for one in route.settings.mirrors]
    for destination, span in (*((one, route.span) for one in route_destinations(route)), *mirrored):
        owner = owners[destination.namespace, destination.service]
        if destination.version is not None and isinstance(owner, ir.Workload) and _is_found_by_name(owner):
            message = f"envoy cannot tell versions of `{owner.name}` apart, all of which `{owner.dns_name}` names"
            advice = "declare an endpoint for each version"
            yield diagnose(
                _ERROR, span, message, labels=(Label(span=owner.span, text="found by this name"),), advice=advice
            )


def _is_found_by_name(owner: ir.Workload) -> bool:
    return owner.discovery is ir.Discovery.DNS and not owner.endpoints


def _bounds(port: ir.PortPolicy) -> Iterator[Diagnostic]:
    breaker = port.settings.circuit_breaker
    budgets = [
        route.settings.retry
        for route in port.routes
        if route.settings.retry is not None and route.settings.retry.budget_percent is not None
    ]
    if breaker is not None and breaker.retries is not None and budgets:
        message = "envoy bounds retries by their number or by a budget, and not by both"
        labels = (Label(span=breaker.span, text="the number"),)
        yield diagnose(_ERROR, budgets[0].span, message, labels=labels, advice="leave out one of the two")


def _locality(owner: ir.Workload | ir.External, port: ir.PortPolicy) -> Iterator[Diagnostic]:
    locality = port.settings.locality
    if locality is not None and (isinstance(owner, ir.External) or _is_looked_up(owner)):
        message = f"envoy is not told where endpoints of `{owner.name}` are, so none of them is near"
        advice = "declare its endpoints, each with a `zone`" if isinstance(owner, ir.Workload) else "leave it out"
        label = Label(span=owner.span, text="looked up by name")
        yield diagnose(_ERROR, locality.span, message, labels=(label,), advice=advice)


def _is_looked_up(owner: ir.Workload) -> bool:
    return not owner.endpoints and owner.discovery in {ir.Discovery.DNS, ir.Discovery.KUBERNETES}


def _wildcard(port: ir.PortPolicy) -> Iterator[Diagnostic]:
    settings = port.settings
    found = [
        (what, setting.span)
        for what, setting in (
            ("load-balance", settings.load_balance),
            ("outlier-detection", settings.outlier_detection),
            ("health-check", settings.health_check),
        )
        if setting is not None
    ]
    for what, span in found:
        message = f"envoy cannot apply `{what}` to a wildcard host, behind which servers are found as requests come"
        yield diagnose(_ERROR, span, message, advice="name each host")
