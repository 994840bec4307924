"""How calls are to travel on Linkerd, by the support table: every setting that it has, spelled in one way, and none that it lacks."""

from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from meshc import ir
from meshc_linkerd.grpc_retries import WORDS as GRPC_WORDS
from meshc_linkerd.read.outbound import plain_route
from meshc_linkerd.retry_codes import FIVE, GATEWAY, canonical
from meshc_linkerd.segments import PLAIN_PATH

_CODES: Final = {"5xx": FIVE, "gateway-error": GATEWAY, "retriable-4xx": frozenset({409})}
_SECOND: Final = 1_000
_ALL: Final = 100.0


def expressed_workload(workload: ir.Workload) -> ir.Workload:
    """The service as callers of Linkerd treat it: what fails is ejected on all ports of requests alike; nothing is reported that it is not asked for."""
    ejections = (port.settings.outlier_detection for port in workload.ports)
    ejection = next((one for one in ejections if one is not None and one.consecutive_5xx is not None), None)
    ports = tuple(_port(workload, port, ejection) for port in workload.ports)
    return replace(workload, ports=ports, telemetry=ir.Telemetry())


def expressed_external(external: ir.External) -> ir.External:
    """What is outside is not reached: Linkerd tells neither callers nor requests apart on their way out."""
    closed = ir.Stage(effect=ir.Effect.ALLOW, rules=(), span=external.span)
    ports = tuple(
        replace(
            port,
            mtls=ir.MtlsMode.PERMISSIVE,
            access=(closed,),
            jwts=(),
            limits=(),
            routes=(plain_route(external, port),),
            settings=ir.Settings(),
        )
        for port in external.ports
    )
    return replace(external, ports=ports)


def _port(workload: ir.Workload, port: ir.PortPolicy, ejection: ir.OutlierDetection | None) -> ir.PortPolicy:
    if not port.protocol.is_http:
        return replace(port, routes=(plain_route(workload, port),), settings=ir.Settings(), limits=())
    outlier = None
    if ejection is not None:
        outlier = ir.OutlierDetection(
            consecutive_5xx=ejection.consecutive_5xx,
            ejection_ms=ejection.ejection_ms,
            max_ejected=_ALL,
            span=ejection.span,
        )
    return replace(
        port,
        routes=tuple(map(_route, port.routes)),
        settings=ir.Settings(outlier_detection=outlier),
        limits=_limits(port.limits),
    )


# ---- routes ---------------------------------------------------------------------------------------------------------


def _route(route: ir.Route) -> ir.Route:
    settings = route.settings
    if isinstance(route.path, ir.TemplatePath) and route.path.names:
        # No target on Linkerd names a capture. Called by their places, most routes read back as the same value.
        places = (number for number, one in enumerate(route.path.segments) if one is None)
        route = replace(route, path=replace(route.path, names=tuple(f"p{number}" for number in places)))
    changes = tuple(
        one if one.operation == "remove" else replace(one, value=(one.value or "").strip(" \t"))
        for one in settings.header_changes
    )
    if isinstance(route.action, ir.Redirect):
        action = replace(route.action, target=_url(route.action.target))
        return replace(route, action=action, settings=ir.Settings(header_changes=changes))
    kept = ir.Settings(
        timeout_ms=settings.timeout_ms,
        idle_timeout_ms=settings.idle_timeout_ms,
        retry=None if settings.retry is None else _retry(settings.retry),
        header_changes=changes,
        spans=settings.spans,
    )
    return replace(route, settings=kept)


def _retry(retry: ir.Retry) -> ir.Retry | None:
    """Linkerd waits between tries as it likes, without a budget; it retries answers alone."""
    calls = tuple(sorted(GRPC_WORDS.intersection(retry.conditions)))
    codes = {*retry.statuses, *(code for word in retry.conditions for code in _CODES.get(word, ()))}
    if not calls and not codes:
        return None
    words, statuses = canonical(codes)
    return ir.Retry(
        attempts=retry.attempts,
        conditions=(*words, *calls),
        statuses=statuses,
        per_try_ms=retry.per_try_ms,
        span=retry.span,
    )


def _url(target: str) -> str:
    """A target with its host in lower case, and with a path."""
    if target.startswith("/"):
        return target
    parts = urlsplit(target)
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path or '/'}"


def _limits(limits: tuple[ir.RateLimit, ...]) -> tuple[ir.RateLimit, ...]:
    """The smallest of each kind, in whole requests per second with the tokens of one second; a caller's above all callers' never counts."""
    rates: dict[str | None, tuple[int, ir.RateLimit]] = {}
    for one in limits:
        rate, rest = divmod(one.tokens * _SECOND, one.per_ms)
        if one.per in {None, "source"} and one.condition == ir.ALWAYS and rate and not rest and one.burst >= rate:
            before = rates.get(one.per)
            rates[one.per] = (rate, one) if before is None or rate < before[0] else before
    if None in rates and "source" in rates and rates["source"][0] >= rates[None][0]:
        del rates["source"]
    return tuple(
        replace(rates[per][1], tokens=rates[per][0], per_ms=_SECOND, burst=rates[per][0])
        for per in (None, "source")
        if per in rates
    )


# ---- what may differ ------------------------------------------------------------------------------------------------


def expected_routes(routes: tuple[ir.Route, ...], read: tuple[ir.Route, ...]) -> tuple[ir.Route, ...]:
    """The routes less what the table lets be different, as far as it is: of a port with expressions, paths with escapes may take the last
    route. Of a path of slashes alone the language promises nothing.
    """
    if not routes or routes == read:
        return routes
    last = routes[-1]
    elsewhere = tuple(_match(one) for one in read if (one.action, one.settings) != (last.action, last.settings))
    may_differ: ir.Condition = ir.PathIs(ir.ExactPath("//"))
    if any(isinstance(one.path, ir.RegexPath) for one in read):
        may_differ = ir.Not(ir.PathIs(ir.RegexPath(PLAIN_PATH)))
    condition = ir.AllOf((may_differ, ir.Not(ir.AnyOf(elsewhere))))
    return (replace(last, methods=(), path=ir.ANY_PATH, condition=condition, callers=None), *routes)


def _match(route: ir.Route) -> ir.Condition:
    parts = [route.condition, ir.PathIs(route.path)]
    if route.methods:
        parts.append(ir.MethodIs(route.methods))
    return ir.AllOf(tuple(parts))
