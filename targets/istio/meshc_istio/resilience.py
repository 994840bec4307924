"""What callers do about trouble: bounds of connections and requests, and ejection of failing endpoints.

What is left out is unbounded in Istio as it is in the language, and a count that is off is written as 0.
"""

from typing import Final

from meshc import ir
from meshc_istio.durations import duration
from meshc_istio.resources.networking import ConnectionPool, HttpPool, Outliers, RetryBudget, TcpPool
from meshc_istio.shares import percent

BUDGET_FLOOR: Final = 3
"""How many retries a budget always lets run at once."""


def connection_pool(port: ir.PortPolicy) -> ConnectionPool | None:
    """The bounds of a port; None without any. The silence of connections counts where there are no requests."""
    settings, bounds = port.settings, port.settings.circuit_breaker
    idle = None if port.protocol.is_http else settings.idle_timeout_ms
    tcp = TcpPool(
        max_connections=None if bounds is None else bounds.connections,
        connect_timeout=None if settings.connect_timeout_ms is None else duration(settings.connect_timeout_ms),
        idle_timeout=None if idle is None else duration(idle),
    )
    http = HttpPool(
        http1_max_pending_requests=None if bounds is None else bounds.pending,
        http2_max_requests=None if bounds is None else bounds.requests,
        max_retries=None if bounds is None else bounds.retries,
    )
    has_tcp, has_http = tcp != TcpPool(), http != HttpPool()
    return (
        ConnectionPool(tcp=tcp if has_tcp else None, http=http if has_http else None) if has_tcp or has_http else None
    )


def outliers(detection: ir.OutlierDetection | None) -> Outliers | None:
    """Ejection; with a minimum health of 0 an endpoint known to be bad is never used all the same."""
    if detection is None:
        return None
    return Outliers(
        consecutive5xx_errors=detection.consecutive_5xx or 0,
        consecutive_gateway_errors=detection.consecutive_gateway_errors or 0,
        interval=duration(detection.interval_ms),
        base_ejection_time=duration(detection.ejection_ms),
        max_ejection_percent=int(detection.max_ejected),
        min_health_percent=0,
    )


def retry_budget(share: float | None) -> RetryBudget | None:
    """The budget of a host."""
    if share is None:
        return None
    return RetryBudget(percent=percent(share).value, min_retry_concurrency=BUDGET_FLOOR)
