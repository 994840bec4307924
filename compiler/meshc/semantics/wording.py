"""Settings as `.mesh` text, for people to read; `none` where there is none."""

from collections.abc import Iterable
from typing import Final

from meshc.ir import (
    ALWAYS,
    AccessLog,
    CircuitBreaker,
    Condition,
    Endpoint,
    FaultAbort,
    FaultDelay,
    HeaderChange,
    HealthCheck,
    LoadBalance,
    Locality,
    Mirror,
    OutlierDetection,
    Probe,
    RateLimit,
    Retry,
    Trace,
)
from meshc.semantics.show import show_condition, show_destination, show_text

NONE: Final = "none"
_UNITS: Final = ((3_600_000, "h"), (60_000, "m"), (1_000, "s"))
_PER: Final = {1_000: "s", 60_000: "m", 3_600_000: "h"}
_HASHES: Final = {"header": "header", "cookie": "cookie", "source-ip": "source ip"}


def duration(milliseconds: int | None) -> str:
    """`250ms`, `2s`, `5m`, `1h`: the largest unit that leaves no rest."""
    if milliseconds is None:
        return NONE
    for size, unit in _UNITS:
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def percent(share: float) -> str:
    return f"{share:.12g}%"


def text(value: str | None) -> str:
    """A string literal."""
    return NONE if value is None else show_text(value)


def retry(value: Retry | None) -> str:
    if value is None:
        return "never"
    details = (
        None if value.per_try_ms is None else f"per-try {duration(value.per_try_ms)}",
        None if value.backoff_ms is None else f"backoff {'..'.join(map(duration, value.backoff_ms))}",
        None if value.budget_percent is None else f"budget {percent(value.budget_percent)}",
    )
    conditions = ", ".join(sorted({*value.conditions, *map(str, value.statuses)}))
    return f"{value.attempts} on {conditions}{_block(details)}"


def load_balance(value: LoadBalance | None) -> str:
    if value is None:
        return NONE
    if value.hash_kind is None:
        return value.policy.value
    name = "" if value.hash_name is None else f" {show_text(value.hash_name)}"
    return f"{value.policy.value} by {_HASHES.get(value.hash_kind, value.hash_kind)}{name}"


def circuit_breaker(value: CircuitBreaker | None) -> str:
    if value is None:
        return NONE
    parts = (
        ("connections", value.connections),
        ("pending", value.pending),
        ("requests", value.requests),
        ("retries", value.retries),
    )
    return " ".join(f"{name} {bound}" for name, bound in parts if bound is not None) or NONE


def outlier_detection(value: OutlierDetection | None) -> str:
    if value is None:
        return NONE
    parts = (
        ("consecutive-5xx", value.consecutive_5xx),
        ("consecutive-gateway-errors", value.consecutive_gateway_errors),
        ("interval", duration(value.interval_ms)),
        ("ejection", duration(value.ejection_ms)),
        ("max-ejected", percent(value.max_ejected)),
    )
    return " ".join(f"{name} {bound}" for name, bound in parts if bound is not None)


def health_check(value: HealthCheck | None) -> str:
    if value is None:
        return NONE
    return (
        f"GET {value.path} interval {duration(value.interval_ms)} timeout {duration(value.timeout_ms)}"
        f" healthy {value.healthy} unhealthy {value.unhealthy}"
    )


def locality(value: Locality | None) -> str:
    if value is None:
        return NONE
    parts = ["prefer"] if value.prefer else []
    parts += (f"failover {show_text(near)} -> {show_text(far)}" for near, far in value.failover)
    return ", ".join(parts) or NONE


def delay(value: FaultDelay) -> str:
    return f"delay {duration(value.delay_ms)} for {percent(value.percent)}"


def abort(value: FaultAbort) -> str:
    return f"abort {value.status} for {percent(value.percent)}"


def mirror(value: Mirror) -> str:
    return f"{percent(value.percent)} to {show_destination(value.destination)}"


def header_change(value: HeaderChange) -> str:
    written = "" if value.value is None else f" {show_text(value.value)}"
    return f"{value.operation} {value.direction} header {show_text(value.name)}{written}"


def rate_limit(value: RateLimit) -> str:
    """The bucket alone, without its condition."""
    unit = _PER.get(value.per_ms)
    rate = f"{value.tokens}/{unit}" if unit else f"{value.tokens} every {duration(value.per_ms)}"
    match (value.per or "").partition(":"):
        case ("", _, _):
            per = ""
        case ("header", _, name):
            per = f" per header {show_text(name)}"
        case (other, _, _):
            per = f" per {other}"
    return f"{rate} burst {value.burst}{per}"


def access_log(value: AccessLog) -> str:
    """The format alone, without its condition."""
    return value.format


def trace(value: Trace | None) -> str:
    return NONE if value is None else f"{percent(value.percent)} to {show_text(value.collector)}"


def probe(value: Probe) -> str:
    path = "" if value.path is None else f" {value.path}"
    return f"{value.method}{path} on {value.port}"


def endpoint(value: Endpoint) -> str:
    host = f"[{value.host}]" if ":" in value.host else value.host
    details = (
        None if value.zone is None else f"zone {show_text(value.zone)}",
        None if value.version is None else f"version {value.version}",
        None if value.weight == 1 else f"weight {value.weight}",
    )
    return f"{show_text(f'{host}:{value.port}')}{_block(details)}"


def narrowed(shown: str, condition: Condition) -> str:
    """A setting with the condition that it holds under."""
    return shown if condition == ALWAYS else f"{shown} when {show_condition(condition)}"


def listed(shown: Iterable[str]) -> str:
    """Several of a kind; their order is kept."""
    return ", ".join(shown) or NONE


def _block(details: Iterable[str | None]) -> str:
    words = " ".join(one for one in details if one is not None)
    return f" {{ {words} }}" if words else ""
