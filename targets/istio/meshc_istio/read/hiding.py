"""What it changes that callers do not know a service: nothing where the service refuses them anyway, and its routes lead nowhere else.

What a proxy does not know it refuses, or lets through as it is: without TLS of the mesh, so that nobody knows who calls.
"""

from collections.abc import Iterable, Iterator

from meshc import ir
from meshc.semantics.principals import principals_check
from meshc_istio.directory import Owner


def is_refused(caller: ir.Workload, owner: Owner, port: ir.PortPolicy) -> bool:
    """Whether nothing of what a caller sends to a port arrives, or is answered, whether or not its proxy knows the port."""
    itself = (owner.namespace, owner.name)
    stays = all(
        isinstance(route.action, ir.Forward)
        and not route.settings.mirrors
        and not route.settings.aborts
        and all((one.namespace, one.service) == itself for one in route.action.destinations)
        for route in port.routes
    )
    return stays and refuses(caller, owner, port)


def refuses(caller: ir.Workload, owner: Owner, port: ir.PortPolicy) -> bool:
    """Whether the rules of a port let in nothing of a caller, with its identity and without."""
    lists = [stage.rules for stage in port.access if stage.effect is ir.Effect.ALLOW and not stage.shadow]
    is_plain = isinstance(owner, ir.Workload) and port.mtls is not ir.MtlsMode.STRICT
    seen = (caller.identity, None) if is_plain else (caller.identity,)
    return all(any(not _lets_in(rules, identity) for rules in lists) for identity in seen)


def led_to(route: ir.Route) -> Iterator[ir.Destination]:
    """Where requests of a route, or copies of them, go."""
    if isinstance(route.action, ir.Forward):
        yield from route.action.destinations
        yield from (one.destination for one in route.settings.mirrors)


def is_for(route: ir.Route, caller: ir.Workload) -> bool:
    """Whether a route may take requests of a caller."""
    return route.callers is None or principals_check(route.callers)(caller.identity)


def _lets_in(rules: Iterable[ir.Rule], identity: str | None) -> bool:
    return any(principals_check(one.principals)(identity) for one in rules)
