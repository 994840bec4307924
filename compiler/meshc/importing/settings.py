"""Settings of routes and ports -> the lines that say them, by what they replace.

Keys are those by which lines replace each other in the language: a route's `timeout` that of its block, and so on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from meshc import ir
from meshc.importing.naming import Naming
from meshc.semantics import wording
from meshc.semantics.show import show_condition, show_text
from meshc.source import Span
from meshc.target import PortKey

NEVER_RETRY: Final = "retry never"
_DETECTION: Final = ir.OutlierDetection(span=Span("", 0, 0, 1, 1))
_CHECK: Final = ir.HealthCheck(path="/", span=Span("", 0, 0, 1, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One line. `without` takes it out of settings that say the same; `is_answered` says that it counts for answers too."""

    key: str
    text: str
    span: Span
    without: Callable[[ir.Settings], ir.Settings]
    is_answered: bool = False
    is_shared: bool = True
    """Whether it means the same in the block of any port."""


def route_settings(settings: ir.Settings, naming: Naming, near: PortKey, span: Span) -> Mapping[str, Setting]:
    """What is said of the requests of a route, by key. `span` is the route's, for what has no place of its own."""
    found = [*_plain(settings, span), *_composed(settings, naming, near)]
    return _by_key(found)


def _by_key(found: list[Setting]) -> Mapping[str, Setting]:
    """Settings that would replace each other keep keys of their own: the compiler tells that they cannot stand together."""
    keyed: dict[str, Setting] = {}
    for one in found:
        key = one.key
        while key in keyed:
            key += "'"
        keyed[key] = replace(one, key=key)
    return keyed


def _plain(settings: ir.Settings, span: Span) -> Iterator[Setting]:
    spans = dict(settings.spans)
    if settings.timeout_ms is not None:
        text = f"timeout {wording.duration(settings.timeout_ms)}"
        place = spans.get("timeout_ms", span)
        yield Setting(key="timeout", text=text, span=place, without=lambda one: replace(one, timeout_ms=None))
    if settings.idle_timeout_ms is not None:
        text = f"idle-timeout {wording.duration(settings.idle_timeout_ms)}"
        place = spans.get("idle_timeout_ms", span)
        yield Setting(key="idle-timeout", text=text, span=place, without=lambda one: replace(one, idle_timeout_ms=None))
    if settings.retry is not None:
        text = f"retry {wording.retry(settings.retry)}"
        yield Setting(key="retry", text=text, span=settings.retry.span, without=lambda one: replace(one, retry=None))
    if settings.rewrite_path is not None:
        text = f"rewrite path {show_text(settings.rewrite_path)}"
        place = spans.get("rewrite_path", span)
        yield Setting(
            key="rewrite path",
            text=text,
            span=place,
            without=lambda one: replace(one, rewrite_path=None),
            is_shared=False,
        )
    if settings.rewrite_host is not None:
        text = f"rewrite host {show_text(settings.rewrite_host)}"
        place = spans.get("rewrite_host", span)
        yield Setting(key="rewrite host", text=text, span=place, without=lambda one: replace(one, rewrite_host=None))


def _composed(settings: ir.Settings, naming: Naming, near: PortKey) -> Iterator[Setting]:
    yield from map(_delay, settings.delays)
    yield from map(_abort, settings.aborts)
    for mirror in settings.mirrors:
        yield _mirror(mirror, naming.destination(mirror.destination, near))
    yield from map(_header_change, settings.header_changes)


def _delay(fault: ir.FaultDelay) -> Setting:
    return Setting(
        key=f"fault delay {fault.condition!r}",
        text=f"fault {wording.delay(fault)}{_when(fault.condition)}",
        span=fault.span,
        without=lambda one: replace(one, delays=tuple(each for each in one.delays if each != fault)),
        is_answered=True,
    )


def _abort(fault: ir.FaultAbort) -> Setting:
    return Setting(
        key=f"fault abort {fault.condition!r}",
        text=f"fault {wording.abort(fault)}{_when(fault.condition)}",
        span=fault.span,
        without=lambda one: replace(one, aborts=tuple(each for each in one.aborts if each != fault)),
        is_answered=True,
    )


def _when(condition: ir.Condition) -> str:
    return "" if condition == ir.ALWAYS else f" when {show_condition(condition)}"


def _mirror(mirror: ir.Mirror, shown: str) -> Setting:
    return Setting(
        key=f"mirror {mirror.destination!r}",
        text=f"mirror {wording.percent(mirror.percent)} to {shown}",
        span=mirror.span,
        without=lambda one: replace(one, mirrors=tuple(each for each in one.mirrors if each != mirror)),
        is_shared=False,
    )


def _header_change(change: ir.HeaderChange) -> Setting:
    value = "" if change.value is None else f" {show_text(change.value)}"
    return Setting(
        key=f"{change.direction} header {change.name}" + (f" {change.value}" if change.operation == "add" else ""),
        text=f"{change.operation} {change.direction} header {show_text(change.name)}{value}",
        span=change.span,
        without=lambda one: replace(one, header_changes=tuple(c for c in one.header_changes if c != change)),
        is_answered=change.direction == "response",
    )


# ---- connections and endpoints --------------------------------------------------------------------------------------


def port_settings(settings: ir.Settings, span: Span) -> Mapping[str, Setting]:
    """What is said of a port's connections and endpoints, by key."""
    found = [*_connections(settings, span), *_health(settings)]
    return _by_key(found)


def _connections(settings: ir.Settings, span: Span) -> Iterator[Setting]:
    spans = dict(settings.spans)
    if settings.tls_ca_file is not None or settings.tls_sni is not None:
        parts = [] if settings.tls_ca_file is None else [f"ca file {show_text(settings.tls_ca_file)}"]
        parts += [] if settings.tls_sni is None else [f"sni {show_text(settings.tls_sni)}"]
        yield Setting(
            key="tls",
            text=f"tls {{ {' '.join(parts)} }}",
            span=spans.get("tls", span),
            without=lambda one: replace(one, tls_ca_file=None, tls_sni=None),
        )
    if settings.connect_timeout_ms is not None:
        yield Setting(
            key="connect-timeout",
            text=f"connect-timeout {wording.duration(settings.connect_timeout_ms)}",
            span=spans.get("connect_timeout_ms", span),
            without=lambda one: replace(one, connect_timeout_ms=None),
        )
    if settings.load_balance is not None:
        yield Setting(
            key="load-balance",
            text=f"load-balance {wording.load_balance(settings.load_balance)}",
            span=settings.load_balance.span,
            without=lambda one: replace(one, load_balance=None),
        )
    breaker = settings.circuit_breaker
    if breaker is not None and wording.circuit_breaker(breaker) != wording.NONE:
        yield Setting(
            key="circuit-breaker",
            text=f"circuit-breaker {{ {wording.circuit_breaker(breaker)} }}",
            span=breaker.span,
            without=lambda one: replace(one, circuit_breaker=None),
        )


def _health(settings: ir.Settings) -> Iterator[Setting]:
    if settings.outlier_detection is not None:
        yield Setting(
            key="outlier-detection",
            text=f"outlier-detection {{ {_detection(settings.outlier_detection)} }}",
            span=settings.outlier_detection.span,
            without=lambda one: replace(one, outlier_detection=None),
        )
    if settings.health_check is not None:
        yield Setting(
            key="health-check",
            text=_health_check(settings.health_check),
            span=settings.health_check.span,
            without=lambda one: replace(one, health_check=None),
        )
    locality = settings.locality
    if locality is not None and locality.prefer:
        yield _locality("prefer", "locality prefer", locality)
    if locality is not None:
        for near, far in locality.failover:
            text = f"locality failover {show_text(near)} -> {show_text(far)}"
            yield _locality(f"failover {near}", text, locality)


def _locality(key: str, text: str, value: ir.Locality) -> Setting:
    return Setting(key=f"locality {key}", text=text, span=value.span, without=lambda one: replace(one, locality=None))


def _detection(value: ir.OutlierDetection) -> str:
    parts = (
        ("consecutive-5xx", value.consecutive_5xx, None),
        ("consecutive-gateway-errors", value.consecutive_gateway_errors, None),
        ("interval", wording.duration(value.interval_ms), wording.duration(_DETECTION.interval_ms)),
        ("ejection", wording.duration(value.ejection_ms), wording.duration(_DETECTION.ejection_ms)),
        ("max-ejected", wording.percent(value.max_ejected), wording.percent(_DETECTION.max_ejected)),
    )
    return " ".join(f"{name} {one}" for name, one, default in parts if one != default)


def _health_check(value: ir.HealthCheck) -> str:
    parts = (
        ("interval", wording.duration(value.interval_ms), wording.duration(_CHECK.interval_ms)),
        ("timeout", wording.duration(value.timeout_ms), wording.duration(_CHECK.timeout_ms)),
        ("healthy", value.healthy, _CHECK.healthy),
        ("unhealthy", value.unhealthy, _CHECK.unhealthy),
    )
    options = " ".join(f"{name} {one}" for name, one, default in parts if one != default)
    return f"health-check GET {value.path}" + (f" {{ {options} }}" if options else "")
