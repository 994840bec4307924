"""How calls are to travel on Linkerd, by the support table: what it says of a program's routes, settings and limits, each in one way."""

from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from meshc import ir
from meshc_linkerd.rate_limits import rate_limit_spec
from meshc_linkerd.resources.policy import LocalRef
from meshc_linkerd.segments import CLEAN_PATH, PLAIN_PATH

_DIGITS: Final = 9
_SECOND_MS: Final = 1_000
_CONFLICT: Final = 409
_WORDS: Final = frozenset(
    {"5xx", "gateway-error", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"}
)
_ANY_SERVER: Final = LocalRef(group="policy.linkerd.io", kind="Server", name="any")


def expressed_port(port: ir.PortPolicy, outlier: ir.OutlierDetection | None) -> ir.PortPolicy:
    """A port with what Linkerd says of calls to it; `outlier` is said of the whole service."""
    return replace(
        port,
        limits=tuple(_limits(port)),
        routes=tuple(_route(one, port) for one in port.routes),
        settings=ir.Settings(outlier_detection=outlier),
    )


def outlier_of(workload: ir.Workload) -> ir.OutlierDetection | None:
    """What a service's annotations say of its endpoints: that of its first port which says something."""
    listed = (port.settings.outlier_detection for port in workload.ports)
    found = next((one for one in listed if one is not None and one.consecutive_5xx is not None), None)
    if found is None:
        return None
    return ir.OutlierDetection(consecutive_5xx=found.consecutive_5xx, ejection_ms=found.ejection_ms, span=found.span)


def _limits(port: ir.PortPolicy) -> list[ir.RateLimit]:
    spec = rate_limit_spec(port, _ANY_SERVER)
    if spec is None:
        return []
    return [
        ir.RateLimit(
            tokens=rate.requests_per_second,
            per_ms=_SECOND_MS,
            burst=rate.requests_per_second,
            per=per,
            condition=ir.ALWAYS,
            span=port.span,
        )
        for rate, per in ((spec.total, None), (spec.identity, "source"))
        if rate is not None
    ]


def _route(route: ir.Route, port: ir.PortPolicy) -> ir.Route:
    settings = route.settings
    changes = tuple(
        one if one.value is None else replace(one, value=one.value.strip(" \t")) for one in settings.header_changes
    )
    if isinstance(route.action, ir.Redirect):
        action = replace(route.action, target=_url(route.action.target))
        return replace(route, action=action, settings=ir.Settings(header_changes=changes))
    if not isinstance(route.action, ir.Forward):
        return route
    if not port.protocol.is_http:
        return replace(route, settings=ir.Settings(), action=_shares(route.action))
    kept = ir.Settings(
        timeout_ms=settings.timeout_ms,
        idle_timeout_ms=settings.idle_timeout_ms,
        retry=None if settings.retry is None else _retry(settings.retry),
        header_changes=changes,
        spans=settings.spans,
    )
    return replace(route, settings=kept, action=_shares(route.action))


def _shares(action: ir.Forward) -> ir.Forward:
    found = [one for one in action.destinations if one.weight > 0]
    return ir.Forward(destinations=tuple(replace(one, weight=round(one.weight, _DIGITS)) for one in found))


def _retry(retry: ir.Retry) -> ir.Retry | None:
    """Words that Linkerd knows, and statuses; a conflict is a status like others."""
    words = tuple(one for one in retry.conditions if one in _WORDS)
    conflict = (_CONFLICT,) if "retriable-4xx" in retry.conditions else ()
    statuses = tuple(dict.fromkeys((*conflict, *retry.statuses)))
    if not words and not statuses:
        return None
    return replace(retry, conditions=words, statuses=statuses, backoff_ms=None, budget_percent=None)


def _url(target: str) -> str:
    if target.startswith("/"):
        return target
    parts = urlsplit(target)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in {None, usual} else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


# ---- what the table lets take the last route ------------------------------------------------------------------------


def odd_paths(port: ir.PortPolicy, read: ir.PortPolicy) -> ir.PortPolicy:
    """A port on which paths with `;` or an escape travel as the files say, where those look at paths by expressions.

    Such paths may take the last route, by the table; which of them do depends on how the expressions came out.
    """
    if not port.routes or all(one.path == ir.ANY_PATH for one in read.routes):
        return port
    # Of a path of slashes alone the language promises nothing.
    is_odd: ir.Condition = ir.PathIs(ir.ExactPath("//"))
    if any(_is_for_clean_paths(one) for one in read.routes):
        is_odd = ir.AnyOf((is_odd, ir.Not(ir.PathIs(ir.RegexPath(PLAIN_PATH)))))
    odd = tuple(replace(one, condition=ir.AllOf((one.condition, is_odd))) for one in read.routes)
    return replace(port, routes=(*odd, *port.routes))


def _is_for_clean_paths(route: ir.Route) -> bool:
    return isinstance(route.path, ir.RegexPath) or ir.PathIs(ir.RegexPath(CLEAN_PATH)) in _parts(route.condition)


def _parts(condition: ir.Condition) -> tuple[ir.Condition, ...]:
    return condition.conditions if isinstance(condition, ir.AllOf) else (condition,)
