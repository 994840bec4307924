"""Load balancing and locality: which of a cluster's endpoints gets a request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.target import Json
from meshc_envoy.shapes import Object, socket_address

_POLICIES: Final = {
    ir.BalancePolicy.ROUND_ROBIN: "ROUND_ROBIN",
    ir.BalancePolicy.LEAST_REQUEST: "LEAST_REQUEST",
    ir.BalancePolicy.RANDOM: "RANDOM",
    ir.BalancePolicy.RING_HASH: "RING_HASH",
    ir.BalancePolicy.MAGLEV: "MAGLEV",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One endpoint of a cluster; `zone` is `region` or `region/zone`, None where that is not known."""

    host: str
    port: int
    weight: int = 1
    zone: str | None = None


def balance_fields(balance: ir.LoadBalance | None) -> Object:
    """The cluster's policy; round robin, Envoy's and the language's own, is not written."""
    if balance is None or balance.policy is ir.BalancePolicy.ROUND_ROBIN:
        return {}
    return {"lb_policy": _POLICIES[balance.policy]}


def localities(addresses: Sequence[Address], locality: ir.Locality | None, caller_zone: str | None) -> list[Json]:
    """The endpoints in groups of one priority each, or all in one where the caller has no zone to compare with."""
    if not addresses:
        return []
    if locality is None or caller_zone is None:
        return [{"lb_endpoints": [lb_endpoint(one) for one in addresses]}]
    ranks = {one: _rank(one.zone, locality, caller_zone) for one in addresses}
    order = sorted(set(ranks.values()))
    groups: dict[tuple[int, str], list[Address]] = {}
    for one in addresses:
        groups.setdefault((order.index(ranks[one]), one.zone or ""), []).append(one)
    return [
        {
            **({"locality": locality_of(zone)} if zone else {}),
            "priority": priority,
            "lb_endpoints": [lb_endpoint(one) for one in members],
        }
        for (priority, zone), members in sorted(groups.items())
    ]


def _rank(zone: str | None, locality: ir.Locality, caller_zone: str) -> int:
    """How far an endpoint is from the caller: same zone, same region, then failover regions in their order, then others."""
    home, region = _region(caller_zone), _region(zone or "")
    if locality.prefer and zone == caller_zone:
        return 0
    if region == home and (locality.prefer or locality.failover):
        return 1
    targets = [target for source, target in locality.failover if source in {home, caller_zone}]
    for number, target in enumerate(targets):
        if target in {region, zone}:
            return 2 + number
    return 2 + len(targets)


def _region(zone: str) -> str:
    return zone.partition("/")[0]


def locality_of(zone: str) -> Object:
    """A zone as Envoy's `Locality`."""
    region, _, inner = zone.partition("/")
    return {"region": region, **({"zone": inner} if inner else {})}


def lb_endpoint(address: Address) -> Object:
    endpoint: Object = {"endpoint": {"address": socket_address(address.host, address.port)}}
    return endpoint | {"load_balancing_weight": address.weight} if address.weight != 1 else endpoint
