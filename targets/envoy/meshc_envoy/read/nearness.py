"""Locality read back: from the priorities of endpoints, as sidecars of several zones have them, to what was asked for.

Several wishes may order the same endpoints alike for all callers that there are; of these one is chosen, always the same, and
it is taken only if it gives every sidecar the priorities that it has.
"""

from collections.abc import Iterable, Mapping

from meshc import ir
from meshc.source import BUILTIN, Span
from meshc_envoy.balancing import Address, localities

Groups = tuple[tuple[str, ...], ...]
"""The zones of endpoints by priority, sorted within each; an endpoint without a zone has the empty one."""

Orders = Mapping[tuple[str, str | None], Groups]
"""Groups by the zone of the caller, and the version of the service that they are of."""


def wished(orders: Orders, span: Span) -> ir.Locality | None:
    """The wish behind priorities; None if there is none that gives them all."""
    for prefer in (False, True):
        found = ir.Locality(prefer=prefer, failover=_failover(orders), span=span)
        if all(groups_for(found, zone, _zones(groups)) == groups for (zone, _), groups in orders.items()):
            return found
    return None


def groups_for(locality: ir.Locality, caller_zone: str, zones: Iterable[str]) -> Groups:
    """The groups that a wish makes of endpoints in these zones, for a caller in its own."""
    addresses = [Address(host=zone, port=1, zone=zone or None) for zone in zones]
    found: dict[int, set[str]] = {}
    for group in localities(addresses, locality, caller_zone):
        place = group.get("locality") if isinstance(group, Mapping) else None
        priority = group.get("priority") if isinstance(group, Mapping) else None
        found.setdefault(priority if isinstance(priority, int) else 0, set()).add(_zone(place))
    return tuple(tuple(sorted(found[one])) for one in sorted(found))


def settled(locality: ir.Locality | None, orders: Orders) -> ir.Locality | None:
    """The wish as reading finds it: the one that is chosen of those that come to the same."""
    return None if locality is None or not orders else wished(orders, BUILTIN) or locality


def _zone(place: object) -> str:
    if not isinstance(place, Mapping):
        return ""
    zone = place.get("zone")
    return f"{place.get('region')}/{zone}" if zone else str(place.get("region"))


def _zones(groups: Groups) -> list[str]:
    return [zone for group in groups for zone in group]


def _failover(orders: Orders) -> tuple[tuple[str, str], ...]:
    """What each caller's zone falls over to: the groups beyond its own region, in their order."""
    pairs: dict[tuple[str, str], None] = {}
    for (caller, _), groups in sorted(orders.items(), key=lambda one: (one[0][0], one[0][1] or "")):
        home = caller.partition("/")[0]
        for place, group in enumerate(groups):
            regions = {zone.partition("/")[0] for zone in group}
            if home in regions or len(regions) > 1 or "" in regions:
                continue
            [region] = regions
            elsewhere = {zone for other in groups[:place] + groups[place + 1 :] for zone in other}
            whole = not any(zone.partition("/")[0] == region for zone in elsewhere)
            targets = (region,) if whole or region in group else group
            pairs |= dict.fromkeys((caller, target) for target in targets)
    return tuple(pairs)
