"""Load balancing and locality, always written out: Istio's own default is not the language's."""

from typing import Final, Literal, assert_never

from meshc import ir
from meshc_istio.resources.networking import (
    ConsistentHash,
    Failover,
    HttpCookie,
    LoadBalancer,
    LocalityBalancing,
    Maglev,
    RingHash,
)

_RING_SIZE: Final = 1024
_TABLE_SIZE: Final = 65_537


def load_balancer(settings: ir.Settings) -> LoadBalancer:
    """Which of a host's endpoints gets a request."""
    locality = _locality(settings)
    balance = settings.load_balance
    if balance is None:
        return LoadBalancer(simple="ROUND_ROBIN", locality_lb_setting=locality)
    simple = _simple(balance.policy)
    if simple is not None:
        return LoadBalancer(simple=simple, locality_lb_setting=locality)
    return LoadBalancer(consistent_hash=_consistent_hash(balance), locality_lb_setting=locality)


def _simple(policy: ir.BalancePolicy) -> Literal["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"] | None:
    match policy:
        case ir.BalancePolicy.ROUND_ROBIN:
            return "ROUND_ROBIN"
        case ir.BalancePolicy.LEAST_REQUEST:
            return "LEAST_REQUEST"
        case ir.BalancePolicy.RANDOM:
            return "RANDOM"
        case ir.BalancePolicy.RING_HASH | ir.BalancePolicy.MAGLEV:
            return None
        case _:
            assert_never(policy)


def _consistent_hash(balance: ir.LoadBalance) -> ConsistentHash:
    is_ring = balance.policy is ir.BalancePolicy.RING_HASH
    return ConsistentHash(
        http_header_name=balance.hash_name if balance.hash_kind == "header" else None,
        http_cookie=HttpCookie(name=balance.hash_name or "") if balance.hash_kind == "cookie" else None,
        use_source_ip=True if balance.hash_kind == "source-ip" else None,
        ring_hash=RingHash(minimum_ring_size=_RING_SIZE) if is_ring else None,
        maglev=None if is_ring else Maglev(table_size=_TABLE_SIZE),
    )


def _locality(settings: ir.Settings) -> LocalityBalancing | None:
    """Istio prefers near endpoints wherever it detects outliers, unless it is told not to."""
    locality = settings.locality
    if locality is None:
        return LocalityBalancing(enabled=False) if settings.outlier_detection is not None else None
    pairs = tuple(Failover(from_=source, to=target) for source, target in locality.failover)
    return LocalityBalancing(enabled=True, failover=pairs or None)
