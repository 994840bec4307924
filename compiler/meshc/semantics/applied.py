"""Which settings apply to one request: those of its route, those of each destination, and the rate limits that would count it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from meshc.ir import ALWAYS, AnyPeer, FaultAbort, FaultDelay, Forward, Principals, RateLimit, Route, Settings
from meshc.semantics import wording
from meshc.semantics.conditions import condition_check
from meshc.semantics.facts import Facts
from meshc.semantics.misses import show_address
from meshc.semantics.show import Names, show_identity, show_rule_body, show_text
from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A setting in the language's words: `name value`. `span` is where it is written, None for what holds unless told otherwise."""

    name: str
    value: str
    span: Span | None = field(default=None, compare=False)


def route_settings(
    settings: Settings, route: Route | None, faults: tuple[FaultDelay | FaultAbort, ...]
) -> tuple[Applied, ...]:
    """How a request is sent on: every setting of its route but those of endpoints. `faults` are those that may strike it.

    A route that answers itself has no settings of what is sent on; its faults and header changes still count.
    """
    is_forward = route is None or isinstance(route.action, Forward)
    return (*(_sending(settings) if is_forward else ()), *_always(settings, faults))


def _sending(settings: Settings) -> Iterator[Applied]:
    written = dict(settings.spans)
    yield Applied(name="timeout", value=wording.duration(settings.timeout_ms), span=written.get("timeout_ms"))
    if settings.idle_timeout_ms is not None:
        idle = wording.duration(settings.idle_timeout_ms)
        yield Applied(name="idle-timeout", value=idle, span=written.get("idle_timeout_ms"))
    retry = settings.retry
    yield Applied(name="retry", value=wording.retry(retry), span=None if retry is None else retry.span)
    for mirror in settings.mirrors:
        yield Applied(name="mirror", value=wording.mirror(mirror), span=mirror.span)
    if settings.rewrite_path is not None:
        yield Applied(name="rewrite path", value=show_text(settings.rewrite_path), span=written.get("rewrite_path"))
    if settings.rewrite_host is not None:
        yield Applied(name="rewrite host", value=show_text(settings.rewrite_host), span=written.get("rewrite_host"))


def _always(settings: Settings, faults: tuple[FaultDelay | FaultAbort, ...]) -> Iterator[Applied]:
    for fault in faults:
        shown = wording.delay(fault) if isinstance(fault, FaultDelay) else wording.abort(fault)
        yield Applied(name="fault", value=wording.narrowed(shown, fault.condition), span=fault.span)
    for change in settings.header_changes:
        operation, _, rest = wording.header_change(change).partition(" ")
        yield Applied(name=operation, value=rest, span=change.span)


def endpoint_settings(settings: Settings) -> tuple[Applied, ...]:
    """How connections to a port are made and which of its endpoints are taken: what is set, and nothing else."""
    return tuple(_endpoint_settings(settings))


def _endpoint_settings(settings: Settings) -> Iterator[Applied]:
    written = dict(settings.spans)
    if settings.connect_timeout_ms is not None:
        connect = wording.duration(settings.connect_timeout_ms)
        yield Applied(name="connect-timeout", value=connect, span=written.get("connect_timeout_ms"))
    if (balance := settings.load_balance) is not None:
        yield Applied(name="load-balance", value=wording.load_balance(balance), span=balance.span)
    if (breaker := settings.circuit_breaker) is not None:
        yield Applied(name="circuit-breaker", value=wording.circuit_breaker(breaker), span=breaker.span)
    if (outlier := settings.outlier_detection) is not None:
        yield Applied(name="outlier-detection", value=wording.outlier_detection(outlier), span=outlier.span)
    if (health := settings.health_check) is not None:
        yield Applied(name="health-check", value=wording.health_check(health), span=health.span)
    if (locality := settings.locality) is not None:
        yield Applied(name="locality", value=wording.locality(locality), span=locality.span)
    if settings.tls_ca_file is not None:
        yield Applied(name="tls ca", value=show_text(settings.tls_ca_file), span=written.get("tls_ca_file"))
    if settings.tls_sni is not None:
        yield Applied(name="tls sni", value=show_text(settings.tls_sni), span=written.get("tls_sni"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingLimit:
    """A rate limit that takes a token for the request; `bucket` says whose, in words, empty where all share one."""

    limit: RateLimit
    text: str
    bucket: str


def counting_limits(limits: tuple[RateLimit, ...], facts: Facts, names: Names) -> tuple[CountingLimit, ...]:
    """The limits that count a request which is allowed; one that is refused takes no token."""
    return tuple(
        CountingLimit(
            limit=one,
            text=_limit_text(one),
            bucket=_bucket(one, facts, names),
        )
        for one in limits
        if condition_check(one.condition)(facts)
    )


def _limit_text(limit: RateLimit) -> str:
    """A limit as it is written: `RATE burst N [per …] [to OPERATIONS] [when CONDITION]`."""
    narrowing = show_rule_body(Principals((AnyPeer(),)), limit.condition, {}).removeprefix("anyone")
    return f"{wording.rate_limit(limit)}{narrowing if limit.condition != ALWAYS else ''}"


def _bucket(limit: RateLimit, facts: Facts, names: Names) -> str:
    """Whose tokens a request takes. A header that is missing, empty or sent twice has no bucket of its own."""
    match (limit.per or "").partition(":"):
        case ("source", _, _):
            return show_address(facts.peer) if facts.identity is None else show_identity(facts.identity, names)
        case ("header", _, name):
            values = facts.headers.get(name, ())
            return show_text(values[0]) if len(values) == 1 and values[0] else "all without the header"
        case _:
            return ""
