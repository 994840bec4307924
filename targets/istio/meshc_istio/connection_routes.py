"""Routes of connections: tcp ports, and the tls ports of externals, which Istio tells apart by the server's name.

A connection that no route takes would go to the service all the same, so where rules refuse some, the last route leads to a
subset that nothing defines: Istio knows no cluster for it, and the sidecar closes the connection. One that is defined would not
do behind a wildcard, where Istio connects to wherever the application wanted to, whatever the labels of the subset.
"""

from typing import Final

from meshc import ir
from meshc.semantics.texts import text_check
from meshc_istio.callers import CallerClass, Census, caller_classes
from meshc_istio.directory import Called, Directory, is_wildcard
from meshc_istio.external_access import Verdicts, has_rules, rule_principals, verdicts
from meshc_istio.obstacles import Obstacle
from meshc_istio.resources.networking import (
    PortNumber,
    Target,
    TcpMatch,
    TcpRoute,
    TlsMatch,
    TlsRoute,
    WeightedTarget,
)
from meshc_istio.route_actions import weighted_targets

REFUSED: Final = "refused"
"""The subset that no DestinationRule defines; it has another name for a service with a version that is called so."""

_Part = tuple[CallerClass, tuple[WeightedTarget, ...]]


def tcp_routes(directory: Directory, census: Census, called: Called) -> tuple[TcpRoute, ...] | Obstacle:
    """The routes of a tcp port; none where connections go to the port itself and nothing is asked."""
    parts = _parts(directory, census, called)
    if isinstance(parts, Obstacle):
        return parts
    return tuple(
        TcpRoute(
            match=tuple(
                TcpMatch(port=called.number, source_namespace=name, source_labels=labels)
                for name, labels in _places(callers)
            ),
            route=targets,
        )
        for callers, targets in parts
    )


def tls_routes(directory: Directory, census: Census, called: Called) -> tuple[TlsRoute, ...] | Obstacle:
    """The same for a tls port of an external."""
    parts = _parts(directory, census, called)
    if isinstance(parts, Obstacle):
        return parts
    return tuple(
        TlsRoute(
            match=tuple(
                TlsMatch(sni_hosts=(called.host,), port=called.number, source_namespace=name, source_labels=labels)
                for name, labels in _places(callers)
            ),
            route=targets,
        )
        for callers, targets in parts
    )


def _places(callers: CallerClass) -> tuple[tuple[str | None, dict[str, str] | None], ...]:
    found = tuple((source.namespace, dict(source.labels) or None) for source in callers.sources)
    return found or ((None, None),)


def _parts(directory: Directory, census: Census, called: Called) -> tuple[_Part, ...] | Obstacle:
    destinations = _destinations(called)
    guarded = _guarded(directory, destinations)
    own = ir.Destination(namespace=called.owner.namespace, service=called.owner.name, port=called.port.number)
    if guarded is None:
        if destinations == (own,):
            return ()
        everybody = CallerClass(sources=(), identity="")
        return ((everybody, weighted_targets(directory, called, destinations, ir.Settings())),)
    classes = caller_classes(census, rule_principals(guarded))
    if isinstance(classes, Obstacle):
        return classes
    found: list[_Part] = []
    for one in classes:
        passes = _passes(verdicts(guarded, one.identity), called.host)
        if isinstance(passes, Obstacle):
            return passes
        targets = weighted_targets(directory, called, destinations, ir.Settings()) if passes else _nowhere(called)
        found.append((one, targets))
    plain = weighted_targets(directory, called, (own,), ir.Settings())
    return () if all(targets == plain for _, targets in found) else tuple(found)


def _destinations(called: Called) -> tuple[ir.Destination, ...]:
    for route in called.port.routes:
        if isinstance(route.action, ir.Forward):
            return route.action.destinations
    return (ir.Destination(namespace=called.owner.namespace, service=called.owner.name, port=called.port.number),)


def _guarded(directory: Directory, destinations: tuple[ir.Destination, ...]) -> ir.PortPolicy | None:
    for one in destinations:
        port = directory.port(one)
        if (
            isinstance(directory.owners[one.namespace, one.service], ir.External)
            and port is not None
            and has_rules(port)
        ):
            return port
    return None


def _nowhere(called: Called) -> tuple[WeightedTarget, ...]:
    defined = {version.name for version in called.owner.versions} if isinstance(called.owner, ir.Workload) else set()
    subset = REFUSED
    while subset in defined:
        subset = f"not-{subset}"
    target = Target(host=called.host, subset=subset, port=PortNumber(number=called.number))
    return (WeightedTarget(destination=target),)


# ---- rules of connections -------------------------------------------------------------------------------------------


def _passes(asked: Verdicts, host: str) -> bool | Obstacle:
    """Whether connections to the host pass; the server name, which the route has matched, is the host."""
    refused = [_holds(condition, host) for condition in asked.refused]
    passed = [_holds(condition, host) for condition in asked.passed]
    problem = next((one for one in (*refused, *passed) if isinstance(one, Obstacle)), None)
    return problem or (any(passed) and not any(refused))


def _holds(condition: ir.Condition, host: str) -> bool | Obstacle:
    match condition:
        case ir.Not(inner):
            found = _holds(inner, host)
            return found if isinstance(found, Obstacle) else not found
        case ir.AllOf(conditions) | ir.AnyOf(conditions):
            parts = [_holds(part, host) for part in conditions]
            problem = next((one for one in parts if isinstance(one, Obstacle)), None)
            return problem or (all(parts) if isinstance(condition, ir.AllOf) else any(parts))
        case ir.SniIs(test) if not is_wildcard(host):
            return text_check(test)(host)
        case _:
            return Obstacle(
                reason="ask anything of a connection to this external but who calls", advice="name the callers instead"
            )
