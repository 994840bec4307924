"""Destination rules: versions, balancing, breakers, ejection -> one DestinationRule for a host, in its own namespace.

`tls` is left out for peers, so that Istio's own mTLS stays on. Settings of a port replace all that stands above them, so every
port has all of its own. Ejection would switch Istio's locality failover on; it is switched off unless the program asks for it.
"""

from collections.abc import Iterator
from typing import Final

from meshc import ir
from meshc.kubernetes import Placed, metadata
from meshc_istio.resources.networking import (
    ConnectionPool,
    ConsistentHash,
    Cookie,
    DestinationRule,
    DestinationRuleSpec,
    Failover,
    HttpPool,
    LoadBalancer,
    LocalitySetting,
    OutlierDetection,
    PortPolicy,
    PortSelector,
    Subset,
    TcpPool,
    Tls,
    TrafficPolicy,
)
from meshc_istio.shapes import duration, service_host
from meshc_istio.virtual_services import anchors_of

_SIMPLE: Final = {
    ir.BalancePolicy.ROUND_ROBIN: "ROUND_ROBIN",
    ir.BalancePolicy.LEAST_REQUEST: "LEAST_REQUEST",
    ir.BalancePolicy.RANDOM: "RANDOM",
}
_RING: Final = {"minimumRingSize": 1024}
_TABLE: Final = {"tableSize": 65537}


def destination_rule(mesh: ir.Mesh, workload: ir.Workload) -> Iterator[Placed]:
    """The object of a workload that has ports."""
    if not workload.ports:
        return
    settings = tuple(port_policy(port, _peer_tls(port)) for port in workload.ports)
    subsets = tuple(Subset(name=one.name, labels=dict(sorted(one.labels.items()))) for one in workload.versions)
    spans = tuple(dict.fromkeys(span for port in workload.ports for _, span in port.settings.spans))
    yield Placed(
        owner=(workload.namespace, workload.name),
        resource=DestinationRule(
            metadata=metadata(workload.name, workload.namespace, anchors_of(workload, spans)),
            spec=DestinationRuleSpec(
                host=service_host(mesh, workload.namespace, workload.name),
                traffic_policy=TrafficPolicy(port_level_settings=settings),
                subsets=subsets or None,
            ),
        ),
        sources=spans or (workload.span,),
    )


def _peer_tls(port: ir.PortPolicy) -> Tls | None:
    return Tls(mode="DISABLE") if port.mtls is ir.MtlsMode.OFF else None


def port_policy(port: ir.PortPolicy, tls: Tls | None) -> PortPolicy:
    """All settings of one port."""
    settings = port.settings
    return PortPolicy(
        port=PortSelector(number=port.number),
        load_balancer=_load_balancer(settings.load_balance, settings.locality),
        connection_pool=_pool(port, settings),
        outlier_detection=None if settings.outlier_detection is None else _outlier(settings.outlier_detection),
        tls=tls,
    )


def _load_balancer(balance: ir.LoadBalance | None, locality: ir.Locality | None) -> LoadBalancer:
    failover = tuple(Failover(from_=start, to=end) for start, end in locality.failover) if locality else ()
    setting = LocalitySetting(enabled=locality is not None, failover=failover or None)
    if balance is None:
        return LoadBalancer(simple="ROUND_ROBIN", locality_lb_setting=setting)
    if balance.policy in _SIMPLE:
        return LoadBalancer(simple=_SIMPLE[balance.policy], locality_lb_setting=setting)
    is_ring = balance.policy is ir.BalancePolicy.RING_HASH
    return LoadBalancer(
        consistent_hash=ConsistentHash(
            http_header_name=balance.hash_name if balance.hash_kind == "header" else None,
            http_cookie=Cookie(name=balance.hash_name or "") if balance.hash_kind == "cookie" else None,
            use_source_ip=True if balance.hash_kind == "source-ip" else None,
            ring_hash=_RING if is_ring else None,
            maglev=None if is_ring else _TABLE,
        ),
        locality_lb_setting=setting,
    )


def _pool(port: ir.PortPolicy, settings: ir.Settings) -> ConnectionPool | None:
    breaker = settings.circuit_breaker
    idle = None if settings.idle_timeout_ms is None else duration(settings.idle_timeout_ms)
    tcp = TcpPool(
        max_connections=breaker.connections if breaker else None,
        connect_timeout=None if settings.connect_timeout_ms is None else duration(settings.connect_timeout_ms),
        idle_timeout=None if port.protocol.is_http else idle,
    )
    http = HttpPool(
        http1_max_pending_requests=breaker.pending if breaker else None,
        http2_max_requests=breaker.requests if breaker else None,
        max_retries=breaker.retries if breaker else None,
        idle_timeout=idle if port.protocol.is_http else None,
    )
    found = ConnectionPool(tcp=None if tcp == TcpPool() else tcp, http=None if http == HttpPool() else http)
    return None if found == ConnectionPool() else found


def _outlier(outlier: ir.OutlierDetection) -> OutlierDetection:
    """Both counters are written: one that is left out would count to Envoy's five."""
    return OutlierDetection(
        consecutive_5xx_errors=outlier.consecutive_5xx or 0,
        consecutive_gateway_errors=outlier.consecutive_gateway_errors or 0,
        interval=duration(outlier.interval_ms),
        base_ejection_time=duration(outlier.ejection_ms),
        max_ejection_percent=round(outlier.max_ejected),
    )
