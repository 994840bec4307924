"""Route actions: what becomes of a request, and with which settings -> the rest of a VirtualService's route.

Retries are always written, since Istio would try twice more where none are; a timeout only where there is one.
"""

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Final, assert_never
from urllib.parse import urlsplit

from meshc import ir
from meshc_istio.resources.networking import (
    Abort,
    Body,
    Delay,
    Destination,
    DirectResponse,
    Fault,
    HeaderOperations,
    Headers,
    HttpRoute,
    Mirror,
    Percent,
    PortSelector,
    Redirect,
    RegexRewrite,
    Retries,
    Rewrite,
    WeightedDestination,
)
from meshc_istio.route_matches import expression
from meshc_istio.shapes import duration, service_host
from meshc_istio.terms import InexpressibleError

_NEVER: Final = Retries(attempts=0)
_MOST: Final = 1_000_000
_CODES: Final = frozenset({301, 302, 303, 307, 308})
_CAPTURE: Final = re.compile(r"\{([^{}/]+)\}")
PERCENT: Final = "%"


def action_of(mesh: ir.Mesh, route: ir.Route) -> HttpRoute:
    """A route without its match. Raises InexpressibleError."""
    settings = route.settings
    headers = _headers(settings.header_changes)
    match route.action:
        case ir.Redirect():
            return HttpRoute(redirect=_redirect(route.action), headers=headers)
        case ir.Respond(status=status, body=body):
            response = DirectResponse(status=status, body=Body(string=body) if body else None)
            return HttpRoute(direct_response=response, headers=headers, fault=_fault(settings))
        case ir.Forward(destinations=destinations):
            return HttpRoute(
                rewrite=_rewrite(route),
                fault=_fault(settings),
                timeout=None if settings.timeout_ms is None else duration(settings.timeout_ms),
                retries=_retries(settings.retry),
                mirrors=tuple(_mirror(mesh, one) for one in settings.mirrors) or None,
                headers=headers,
                route=weighted(mesh, destinations),
            )
        case _:
            assert_never(route.action)


# ---- destinations ---------------------------------------------------------------------------------------------------


def weighted(mesh: ir.Mesh, destinations: Iterable[ir.Destination]) -> tuple[WeightedDestination, ...]:
    """Destinations with whole weights in the same proportion; those without a share are left out."""
    found = [one for one in destinations if one.weight > 0]
    if len(found) == 1:
        return (WeightedDestination(destination=destination_of(mesh, found[0])),)
    shares = [Fraction(str(one.weight)) for one in found]
    scale = max((share.denominator for share in shares), default=1)
    while any((share * scale).denominator != 1 for share in shares):
        scale *= 10
    weights = [int(share * scale) for share in shares]
    if max(weights) > _MOST:
        raise InexpressibleError("Istio's weights are whole numbers, and these shares are too fine", "round the shares")
    return tuple(
        WeightedDestination(destination=destination_of(mesh, one), weight=weight)
        for one, weight in zip(found, weights, strict=True)
    )


def destination_of(mesh: ir.Mesh, one: ir.Destination) -> Destination:
    """A port of a service, a version of it, or of an external."""
    external = next((e for e in mesh.externals if (e.namespace, e.name) == (one.namespace, one.service)), None)
    host = service_host(mesh, one.namespace, one.service)
    if external is not None:
        named = [name for name in external.hosts if not name.startswith("*")]
        if not named:
            raise InexpressibleError("Istio cannot send on to a wildcard host", "name one host of the external")
        host = named[0]
    return Destination(host=host, subset=one.version, port=PortSelector(number=one.port))


def _mirror(mesh: ir.Mesh, mirror: ir.Mirror) -> Mirror:
    return Mirror(destination=destination_of(mesh, mirror.destination), percentage=Percent(value=mirror.percent))


# ---- settings -------------------------------------------------------------------------------------------------------


def _retries(retry: ir.Retry | None) -> Retries:
    if retry is None:
        return _NEVER
    return Retries(
        attempts=retry.attempts,
        per_try_timeout=None if retry.per_try_ms is None else duration(retry.per_try_ms),
        retry_on=",".join((*retry.conditions, *map(str, retry.statuses))),
        backoff=None if retry.backoff_ms is None else duration(retry.backoff_ms[0]),
    )


def _fault(settings: ir.Settings) -> Fault | None:
    delays = [one for one in settings.delays if one.condition == ir.ALWAYS]
    aborts = [one for one in settings.aborts if one.condition == ir.ALWAYS]
    if len(delays) > 1 or len(aborts) > 1:
        raise InexpressibleError("Istio has one delay and one abort a route", "leave one of them out")
    if not delays and not aborts:
        return None
    return Fault(
        delay=Delay(fixed_delay=duration(delays[0].delay_ms), percentage=Percent(value=delays[0].percent))
        if delays
        else None,
        abort=Abort(http_status=aborts[0].status, percentage=Percent(value=aborts[0].percent)) if aborts else None,
    )


def _headers(changes: tuple[ir.HeaderChange, ...]) -> Headers | None:
    found = {way: _operations([one for one in changes if one.direction == way]) for way in ("request", "response")}
    if found["request"] is None and found["response"] is None:
        return None
    return Headers(request=found["request"], response=found["response"])


def _operations(changes: list[ir.HeaderChange]) -> HeaderOperations | None:
    if not changes:
        return None
    listed = {verb: [one for one in changes if one.operation == verb] for verb in ("set", "add", "remove")}
    names = [one.name for verb in ("set", "add") for one in listed[verb]]
    if len(names) != len(set(names)):
        raise InexpressibleError(
            "Istio changes a header once in a route", "set it to the value that it is to have in the end"
        )
    return HeaderOperations(
        set={one.name: _value(one) for one in listed["set"]} or None,
        add={one.name: _value(one) for one in listed["add"]} or None,
        remove=tuple(one.name for one in listed["remove"]) or None,
    )


def _value(change: ir.HeaderChange) -> str:
    return (change.value or "").replace(PERCENT, "%%")


# ---- rewrites and redirects -----------------------------------------------------------------------------------------


def _rewrite(route: ir.Route) -> Rewrite | None:
    settings = route.settings
    target = settings.rewrite_path
    if target is None:
        return None if settings.rewrite_host is None else Rewrite(authority=settings.rewrite_host)
    return Rewrite(authority=settings.rewrite_host, uri_regex_rewrite=_path_rewrite(route.path, target))


def _path_rewrite(path: ir.PathPattern, target: str) -> RegexRewrite:
    """The whole path, replaced; captures are groups in the order in which they stand, the rest is the last one."""
    names = path.names if isinstance(path, ir.TemplatePath) else ()
    has_rest = isinstance(path, ir.TemplatePath) and path.rest
    stem = target.removesuffix("/**")
    if stem == target:
        rest = ""
    elif not stem:
        raise InexpressibleError(
            "Istio would send on an empty path where nothing follows the prefix", "rewrite to a folder"
        )
    else:
        rest = f"\\{len(names) + 1}" if has_rest else ""
    groups = {name: f"\\{number}" for number, name in enumerate(names, 1)}
    text = _CAPTURE.sub(lambda found: groups.get(found[1], found[0]), stem.replace("\\", "\\\\")) + rest
    pattern = expression(path, with_groups=True) if names or has_rest else "/.*"
    return RegexRewrite(match=f"^{pattern}$", rewrite=text)


def _redirect(action: ir.Redirect) -> Redirect:
    if _CAPTURE.search(action.target) or action.target.endswith("/**"):
        raise InexpressibleError("Istio's redirects cannot use what the path captured", "redirect to a fixed path")
    if action.status not in _CODES:
        raise InexpressibleError(f"Istio redirects with 301, 302, 303, 307 or 308, not with {action.status}")
    parts = urlsplit(action.target)
    uri = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return Redirect(
        uri=uri or None,
        authority=parts.hostname,
        scheme=parts.scheme or None,
        port=parts.port,
        redirect_code=action.status,
    )
