"""Routes and tokens: what a server reads tokens from must arrive as the caller's application sent it.

A token's claims are said of the request as a whole, so a route that took the token away, or put another in its place, would
have rules judge claims that the server never sees.
"""

from collections.abc import Iterator, Mapping

from meshc import ir
from meshc.diagnostics import Label
from meshc.lower.context import Report


def check_token_headers(report: Report, mesh: ir.Mesh) -> None:
    """Report changes of headers from which a destination of the route, or of its copies, reads tokens; each change once."""
    jwts = {
        (workload.namespace, workload.name, port.number): port.jwts
        for workload in mesh.workloads
        for port in workload.ports
        if port.jwts
    }
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    seen: set[tuple[str, int]] = set()
    for route in (route for owner in owners if jwts for port in owner.ports for route in port.routes):
        for change in route.settings.header_changes:
            found = _reader(route, change, jwts)
            if found is not None and (change.span.path, change.span.start) not in seen:
                seen.add((change.span.path, change.span.start))
                service, jwt = found
                message = f"`{service}` reads tokens from `{change.name}`, which no route changes"
                label = Label(span=jwt.span, text="tokens are read from there")
                advice = "leave it to the application, or choose another header"
                report.add("invalid-header", change.span, message, labels=(label,), advice=advice)


def _reader(
    route: ir.Route, change: ir.HeaderChange, jwts: Mapping[tuple[str, str, int], tuple[ir.Jwt, ...]]
) -> tuple[str, ir.Jwt] | None:
    """Whom the change would rob of tokens: the destination's name, and what reads them."""
    if change.direction == "request":
        for one in _destinations(route):
            for jwt in jwts.get((one.namespace, one.service, one.port), ()):
                if change.name in {name.lower() for name, _ in jwt.from_headers}:
                    return one.service, jwt
    return None


def _destinations(route: ir.Route) -> Iterator[ir.Destination]:
    if isinstance(route.action, ir.Forward):
        yield from route.action.destinations
        yield from (mirror.destination for mirror in route.settings.mirrors)
