"""What a route does with a request: send it on to clusters, redirect it, or answer it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from meshc import ir
from meshc.target import Json, PortKey
from meshc_envoy.header_changes import header_changes
from meshc_envoy.percentages import fractional_percent, whole_weights
from meshc_envoy.retries import retry_policy
from meshc_envoy.rewrites import redirect_action, rewritten_path
from meshc_envoy.shapes import Object, seconds
from meshc_envoy.upstreams import Held, Upstream, Upstreams

_CREATED: Final = 201


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalRules:
    """The rules of an external's port for one caller: what a route says to the filters of the chain so that they count.

    `patterns` are the query patterns that the rules test.
    """

    overrides: Object
    patterns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """What routes need to know of the caller: the cluster of each destination, and the rules of each external's port."""

    upstreams: Upstreams
    rules: Mapping[PortKey, ExternalRules]

    def upstream(self, held: Held, destination: ir.Destination, settings: ir.Settings) -> Upstream:
        return self.upstreams.of(held, destination, settings)

    def overrides(self, upstream: Upstream) -> Object:
        """The configurations of filters that a request to the upstream needs."""
        rules = self.rules.get(upstream.key)
        return {} if rules is None else dict(rules.overrides)

    def settings(self, upstream: Upstream) -> ir.Settings:
        """Those of the upstream's own port."""
        return self.upstreams.directory.owners[upstream.key][1].settings


def action_fields(resolver: Resolver, held: Held, route: ir.Route) -> Object:
    """All fields of an Envoy route but its match and what faults add."""
    settings = route.settings
    match route.action:
        case ir.Forward(destinations=destinations):
            return {
                **_forward(resolver, held, route, destinations),
                **header_changes(settings.header_changes),
            }
        case ir.Redirect():
            return {"redirect": redirect_action(route.path, route.action), **header_changes(settings.header_changes)}
        case ir.Respond(status=status, body=body):
            # Envoy adds a Location of its own to what it says it created.
            removed = ("location",) if status == _CREATED else ()
            return {
                "direct_response": {"status": status, **({"body": {"inline_string": body}} if body else {})},
                **header_changes(settings.header_changes, also_removed=removed),
            }
        case _:
            assert_never(route.action)


def _forward(resolver: Resolver, held: Held, route: ir.Route, destinations: tuple[ir.Destination, ...]) -> Object:
    settings = route.settings
    upstreams = [resolver.upstream(held, one, settings) for one in destinations]
    overrides = [resolver.overrides(upstream) for upstream in upstreams]
    action: Object = {
        **_clusters(destinations, upstreams, overrides),
        "timeout": seconds(settings.timeout_ms or 0),
        "idle_timeout": seconds(settings.idle_timeout_ms or 0),
        **_rewrites(route),
        **({"retry_policy": retry_policy(settings.retry)} if settings.retry is not None else {}),
        **_mirrors(resolver, held, settings),
        **_hashes(resolver, upstreams),
    }
    only = overrides[0] if len(overrides) == 1 else {}
    return {"route": action, **({"typed_per_filter_config": only} if only else {})}


def _clusters(destinations: tuple[ir.Destination, ...], upstreams: list[Upstream], overrides: list[Object]) -> Object:
    if len(upstreams) == 1:
        return {"cluster": upstreams[0].name}
    weights = whole_weights([one.weight for one in destinations])
    clusters: list[Json] = [
        {"name": upstream.name, "weight": weight, **({"typed_per_filter_config": override} if override else {})}
        for upstream, weight, override in zip(upstreams, weights, overrides, strict=True)
    ]
    return {"weighted_clusters": {"clusters": clusters}}


def _rewrites(route: ir.Route) -> Object:
    path, host = route.settings.rewrite_path, route.settings.rewrite_host
    return {
        **({"regex_rewrite": rewritten_path(route.path, path)} if path is not None else {}),
        **({"host_rewrite_literal": host} if host is not None else {}),
    }


def _mirrors(resolver: Resolver, held: Held, settings: ir.Settings) -> Object:
    policies: list[Json] = [
        {
            "cluster": mirror_upstream(resolver, held, mirror).name,
            "runtime_fraction": {"default_value": fractional_percent(mirror.percent)},
            # A copy has the host of the original, which the rules of its destination may test.
            "disable_shadow_host_suffix_append": True,
        }
        for mirror in settings.mirrors
    ]
    return {"request_mirror_policies": policies} if policies else {}


def mirror_upstream(resolver: Resolver, held: Held, mirror: ir.Mirror) -> Upstream:
    """The cluster of a copy, which is never retried."""
    return resolver.upstream(held, mirror.destination, ir.Settings())


def _hashes(resolver: Resolver, upstreams: list[Upstream]) -> Object:
    policies: list[Json] = []
    for upstream in upstreams:
        policy = hash_policy(resolver.settings(upstream).load_balance)
        if policy is not None and policy not in policies:
            policies.append(policy)
    return {"hash_policy": policies} if policies else {}


def hash_policy(balance: ir.LoadBalance | None) -> Object | None:
    """What of a request is hashed; None for policies that hash nothing. Entries that are not terminal would combine."""
    if balance is None or balance.hash_kind is None:
        return None
    match balance.hash_kind:
        case "header":
            return {"header": {"header_name": balance.hash_name}, "terminal": True}
        case "cookie":
            return {"cookie": {"name": balance.hash_name}, "terminal": True}
        case _:
            return {"connection_properties": {"source_ip": True}, "terminal": True}
