"""Settings of one port, from all clusters that lead there: they must agree."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from meshc import ir
from meshc.reading import Aspect
from meshc.target import PortKey
from meshc_envoy.read.clusters import Upstream
from meshc_envoy.read.messages import NotUnderstoodError
from meshc_envoy.read.nearness import wished
from meshc_envoy.read.notes import Notes

Hash = tuple[str, str | None]


def settings_of(
    upstreams: Sequence[Upstream], hashes: AbstractSet[tuple[Hash, ...]], key: PortKey, notes: Notes
) -> ir.Settings:
    """The settings of connections and endpoints; what clusters differ in is noted."""
    first = upstreams[0]
    bounds = next(
        (one.settings.circuit_breaker for one in upstreams if _has_retries(one)), first.settings.circuit_breaker
    )
    names = {one.settings.tls_sni for one in upstreams} - {None}
    for one in upstreams:
        for unsaid in one.unsaid:
            notes.unknown(unsaid, (Aspect.SETTINGS,), (key,))
        same = replace(one.settings, circuit_breaker=_less(one, bounds), tls_sni=first.settings.tls_sni)
        wanted = replace(first.settings, circuit_breaker=_less(one, bounds))
        if (same, one.balance) != (wanted, first.balance) or one.settings.circuit_breaker != _less(one, bounds):
            error = NotUnderstoodError("clusters of one port have different settings", one.span)
            notes.unknown(error, (Aspect.SETTINGS,), (key,))
    return replace(
        first.settings,
        circuit_breaker=bounds,
        tls_sni=next(iter(names), None) if len(names) <= 1 else first.settings.tls_sni,
        load_balance=_balance(first, hashes, key, notes),
        locality=_locality(upstreams, key, notes),
    )


def _locality(upstreams: Sequence[Upstream], key: PortKey, notes: Notes) -> ir.Locality | None:
    orders = {(one.zone, one.version): one.groups for one in upstreams if one.groups}
    if not orders:
        return None
    found = wished(orders, upstreams[0].span)
    if found is None or any(orders.get((one.zone, one.version), one.groups) != one.groups for one in upstreams):
        error = NotUnderstoodError("these priorities of endpoints are not understood", upstreams[0].span)
        notes.unknown(error, (Aspect.SETTINGS,), (key,))
    return found


def _has_retries(upstream: Upstream) -> bool:
    bounds = upstream.settings.circuit_breaker
    return bounds is not None and bounds.retries is not None


def _less(upstream: Upstream, bounds: ir.CircuitBreaker | None) -> ir.CircuitBreaker | None:
    """The bounds without that of retries, where a budget stands in its place."""
    if bounds is None or upstream.budget is None:
        return bounds
    less = replace(bounds, retries=None)
    return None if (less.connections, less.pending, less.requests) == (None, None, None) else less


def _balance(
    upstream: Upstream, hashes: AbstractSet[tuple[Hash, ...]], key: PortKey, notes: Notes
) -> ir.LoadBalance | None:
    if upstream.balance is ir.BalancePolicy.ROUND_ROBIN:
        return None
    plain = ir.LoadBalance(policy=upstream.balance, span=upstream.span)
    if upstream.balance not in {ir.BalancePolicy.RING_HASH, ir.BalancePolicy.MAGLEV}:
        return plain
    first = {one[0] if one else None for one in hashes}
    found = next(iter(first)) if len(first) == 1 else None
    if len(first) > 1 or any(len(one) > 1 for one in hashes):
        error = NotUnderstoodError("routes to one port hash differently", upstream.span)
        notes.unknown(error, (Aspect.SETTINGS,), (key,))
    return plain if found is None else replace(plain, hash_kind=found[0], hash_name=found[1])
