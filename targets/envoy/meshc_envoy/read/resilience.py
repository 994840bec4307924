"""Bounds, ejection and health checks of a cluster as settings of the language."""

from typing import Final

from meshc import ir
from meshc_envoy.read.messages import Message
from meshc_envoy.retries import BUDGET_FLOOR

_UNBOUNDED: Final = 4_294_967_295
_DEFAULT_BOUND: Final = 1024
_DEFAULT_RETRIES: Final = 3
_LONGEST_MS: Final = 300_000
"""Envoy's own `max_ejection_time`."""


def breaker(cluster: Message) -> tuple[ir.CircuitBreaker | None, float | None]:
    """The bounds of a cluster, and the share of retries in percent."""
    breakers = cluster.message("circuit_breakers")
    thresholds = () if breakers is None else breakers.messages("thresholds")
    found = [one for one in thresholds if one.text("priority", "DEFAULT") == "DEFAULT"]
    if breakers is not None:
        breakers.finish()
    if len(found) != 1:
        bound = _DEFAULT_BOUND
        plain = ir.CircuitBreaker(
            connections=bound, pending=bound, requests=bound, retries=_DEFAULT_RETRIES, span=cluster.span
        )
        return plain, None
    one = found[0]
    budget = one.message("retry_budget")
    share = None
    if budget is not None:
        if budget.whole("min_retry_concurrency") not in {None, BUDGET_FLOOR}:
            raise budget.error("retries that a budget grants whatever the load cannot be said", "min_retry_concurrency")
        share = budget.need("budget_percent").number("value")
        budget.finish()
    one.ignore("track_remaining")
    bounds = ir.CircuitBreaker(
        connections=_bound(one, "max_connections", _DEFAULT_BOUND),
        pending=_bound(one, "max_pending_requests", _DEFAULT_BOUND),
        requests=_bound(one, "max_requests", _DEFAULT_BOUND),
        retries=None if budget is not None else _bound(one, "max_retries", _DEFAULT_RETRIES),
        span=one.span,
    )
    one.finish()
    is_open = all(value is None for value in (bounds.connections, bounds.pending, bounds.requests, bounds.retries))
    return (None if is_open else bounds), None if share is None else float(share)


def _bound(message: Message, name: str, default: int) -> int | None:
    found = message.whole(name)
    value = default if found is None else found
    return None if value >= _UNBOUNDED else value


def ejection(cluster: Message) -> ir.OutlierDetection | None:
    """Ejection of failing endpoints: by consecutive failures alone, always for the same time."""
    found = cluster.message("outlier_detection")
    if found is None:
        return None
    if found.whole("enforcing_success_rate") != 0:
        raise found.error("ejection by success rate is not understood")
    base = found.milliseconds("base_ejection_time")
    interval = found.milliseconds("interval")
    share = found.whole("max_ejection_percent")
    result = ir.OutlierDetection(
        consecutive_5xx=_counter(found, "consecutive_5xx", default_enforced=100),
        consecutive_gateway_errors=_counter(found, "consecutive_gateway_failure", default_enforced=0),
        interval_ms=10_000 if interval is None else interval,
        ejection_ms=30_000 if base is None else base,
        max_ejected=10.0 if share is None else float(share),
        span=found.span,
    )
    _check_ejection(found, result)
    found.finish()
    return result


def _check_ejection(found: Message, read: ir.OutlierDetection) -> None:
    """An ejection lasts as long each time, a health check does not end it, and one endpoint may be ejected if any may."""
    longest = found.milliseconds("max_ejection_time")
    if (_LONGEST_MS if longest is None else longest) != read.ejection_ms:
        raise found.error("ejections that grow longer are not understood")
    if found.flag("successful_active_health_check_uneject_host", default=True):
        raise found.error("ejections that a health check ends are not understood")
    if found.flag("always_eject_one_host") is not (read.max_ejected > 0):
        raise found.error("`always_eject_one_host` is not as the share of ejections says")


def check_panic(cluster: Message) -> None:
    """Raises NotUnderstoodError if endpoints that are known to be bad may be asked again, or not at once left."""
    common = cluster.message("common_lb_config")
    if not (cluster.has("outlier_detection") or cluster.has("health_checks")):
        return
    panic = None if common is None else common.message("healthy_panic_threshold")
    if common is None or panic is None or (panic.number("value") or 0) != 0:
        raise cluster.error("bad endpoints that are asked when too many are bad are not understood")
    if common.milliseconds("update_merge_window") != 0:
        raise cluster.error("changes of health that are gathered first are not understood")
    common.finish()


def _counter(found: Message, name: str, *, default_enforced: int) -> int | None:
    enforced, count = found.whole(f"enforcing_{name}"), found.whole(name)
    share = default_enforced if enforced is None else enforced
    if share not in {0, 100}:
        raise found.error(f"`enforcing_{name}` for some failures alone is not understood")
    return None if share == 0 else 5 if count is None else count


def health_check(cluster: Message) -> ir.HealthCheck | None:
    """The active check of endpoints; a GET of a path."""
    checks = cluster.messages("health_checks")
    if not checks:
        return None
    if len(checks) > 1:
        raise cluster.error("several health checks are not understood", "health_checks")
    one = checks[0]
    if one.milliseconds("no_traffic_interval") != one.milliseconds("interval"):
        raise one.error("health that is checked more seldom without calls cannot be said", "no_traffic_interval")
    asked = one.need("http_health_check")
    asked.ignore("host", "codec_client_type")
    borne = [(each.whole("start"), each.whole("end")) for each in asked.messages("retriable_statuses")]
    if borne != [(100, 600)]:
        raise asked.error("endpoints that some statuses take out at once cannot be said")
    statuses = [(each.whole("start"), each.whole("end")) for each in asked.messages("expected_statuses")]
    if statuses != [(200, 300)]:
        raise asked.error("a check for other statuses than 2xx is not understood")
    result = ir.HealthCheck(
        path=asked.text("path"),
        interval_ms=one.milliseconds("interval") or 0,
        timeout_ms=one.milliseconds("timeout") or 0,
        healthy=one.whole("healthy_threshold") or 0,
        unhealthy=one.whole("unhealthy_threshold") or 0,
        span=one.span,
    )
    asked.finish()
    one.finish()
    return result
