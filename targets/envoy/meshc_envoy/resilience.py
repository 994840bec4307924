"""What a cluster does about trouble: bounds, ejection of failing endpoints, active health checks."""

from typing import Final

from meshc import ir
from meshc.target import Json
from meshc_envoy.retries import BUDGET_FLOOR
from meshc_envoy.shapes import Object, seconds

_UNBOUNDED: Final = 4_294_967_295
_ALL: Final = 100


def circuit_breakers(bounds: ir.CircuitBreaker, budget: float | None) -> Object:
    """The bounds of a cluster. What the program leaves out is unbounded: Envoy's own defaults are 1024, and 3 retries."""
    threshold: Object = {
        "priority": "DEFAULT",
        "max_connections": _bound(bounds.connections),
        "max_pending_requests": _bound(bounds.pending),
        "max_requests": _bound(bounds.requests),
    }
    if budget is None:
        threshold["max_retries"] = _bound(bounds.retries)
    else:
        threshold["retry_budget"] = {"budget_percent": {"value": budget}, "min_retry_concurrency": BUDGET_FLOOR}
    return {"thresholds": [threshold]}


def _bound(value: int | None) -> int:
    return _UNBOUNDED if value is None else value


def health_fields(settings: ir.Settings, protocol: ir.Protocol, host: str) -> Object:
    """Ejection and health checks of a cluster whose requests carry `host`.

    An endpoint known to be bad gets nothing: Envoy's panic mode, which would use all of them when half are bad, is off.
    """
    outlier, check = settings.outlier_detection, settings.health_check
    if outlier is None and check is None:
        return {}
    return {
        # Envoy would gather changes of health for a second before it acts on them.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        **({"outlier_detection": _outlier_detection(outlier)} if outlier is not None else {}),
        **({"health_checks": [_health_check(check, protocol, host)]} if check is not None else {}),
    }


def _outlier_detection(outlier: ir.OutlierDetection) -> Object:
    """Only what the program counts is counted, an ejection lasts as long each time, and a health check does not end it.

    One endpoint may be ejected whatever its share is, unless the program allows none.
    """
    gateway = outlier.consecutive_gateway_errors
    counted: Object = {
        "enforcing_consecutive_5xx": 0 if outlier.consecutive_5xx is None else _ALL,
        "enforcing_consecutive_gateway_failure": 0 if gateway is None else _ALL,
        "enforcing_success_rate": 0,
    }
    if outlier.consecutive_5xx is not None:
        counted["consecutive_5xx"] = outlier.consecutive_5xx
    if gateway is not None:
        counted["consecutive_gateway_failure"] = gateway
    return {
        **counted,
        "interval": seconds(outlier.interval_ms),
        "base_ejection_time": seconds(outlier.ejection_ms),
        "max_ejection_time": seconds(outlier.ejection_ms),
        "max_ejection_percent": int(outlier.max_ejected),
        "always_eject_one_host": outlier.max_ejected > 0,
        "successful_active_health_check_uneject_host": False,
    }


def _health_check(check: ir.HealthCheck, protocol: ir.Protocol, host: str) -> Object:
    is_http2 = protocol in {ir.Protocol.HTTP2, ir.Protocol.GRPC}
    everything: Json = [{"start": 100, "end": 600}]
    return {
        "timeout": seconds(check.timeout_ms),
        "interval": seconds(check.interval_ms),
        # Without traffic Envoy would ask once a minute only.
        "no_traffic_interval": seconds(check.interval_ms),
        "healthy_threshold": check.healthy,
        "unhealthy_threshold": check.unhealthy,
        "http_health_check": {
            "host": host,
            "path": check.path,
            "expected_statuses": [{"start": 200, "end": 300}],
            # Any other status would make the endpoint unhealthy at once, whatever the threshold.
            "retriable_statuses": everything,
            **({"codec_client_type": "HTTP2"} if is_http2 else {}),
        },
    }
