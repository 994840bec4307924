"""Routes: the routes of a held port, in the order in which Envoy tries them."""

from collections.abc import Iterable

from meshc import ir
from meshc.semantics.show import show_condition, show_operation
from meshc.target import Json
from meshc_envoy.faults import FaultCase, fault_cases
from meshc_envoy.queries import routes_by_patterns
from meshc_envoy.reach import route_destinations, visible_routes
from meshc_envoy.route_actions import Resolver, action_fields, mirror_upstream
from meshc_envoy.route_matches import route_matches
from meshc_envoy.shapes import Object
from meshc_envoy.upstreams import Held, Upstream


def envoy_routes(resolver: Resolver, held: Held, identity: str) -> list[Json]:
    """The routes of a port for a caller of this identity."""
    return [
        entry
        for route in visible_routes(held.owner, held.port, identity)
        for case in fault_cases(route.settings)
        for entry in _entries(resolver, held, route, case)
    ]


def _entries(resolver: Resolver, held: Held, route: ir.Route, case: FaultCase) -> Iterable[Json]:
    fields = action_fields(resolver, held, route)
    configs = fields.pop("typed_per_filter_config", None)
    overrides = {**(configs if isinstance(configs, dict) else {}), **case.configs}
    for match in route_matches(route, case.condition):
        entry: Object = {
            **route_name(route),
            "match": match,
            **fields,
            **({"typed_per_filter_config": overrides} if overrides else {}),
        }
        yield from routes_by_patterns(entry, _patterns(resolver, held, route))


def _patterns(resolver: Resolver, held: Held, route: ir.Route) -> tuple[tuple[str, str], ...]:
    """The query patterns that the rules of the route's externals test."""
    keys = {resolver.upstream(held, one, route.settings).key for one in route_destinations(route)}
    found = {pattern for key in keys if key in resolver.rules for pattern in resolver.rules[key].patterns}
    return tuple(sorted(found))


def route_name(route: ir.Route) -> Object:
    """The name of a route, for access logs; none for the one that takes the rest."""
    if route.path == ir.ANY_PATH and not route.methods and route.condition == ir.ALWAYS and route.callers is None:
        return {}
    condition = "" if route.condition == ir.ALWAYS else f" when {show_condition(route.condition)}"
    return {"name": show_operation(route.methods, route.path) + condition}


def used_upstreams(resolver: Resolver, held: Held, identity: str) -> list[Upstream]:
    """The clusters that the routes of a port send to, copies included, each once."""
    found: dict[Upstream, None] = {}
    for route in visible_routes(held.owner, held.port, identity):
        for one in route_destinations(route):
            found[resolver.upstream(held, one, route.settings)] = None
        for mirror in route.settings.mirrors if route_destinations(route) else ():
            found[mirror_upstream(resolver, held, mirror)] = None
    return list(found)
