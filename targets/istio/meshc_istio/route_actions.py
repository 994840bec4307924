"""What a route does with a request: send it on, redirect it, or answer it; everything but what it matches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from meshc import ir
from meshc_istio.directory import Called, Directory, called_number, destination_host
from meshc_istio.durations import duration
from meshc_istio.faults import FaultCase, fault_injection
from meshc_istio.header_changes import headers
from meshc_istio.resources.networking import (
    DirectResponse,
    HttpMatch,
    HttpRoute,
    MirrorTarget,
    PortNumber,
    ResponseBody,
    StringMatch,
    Target,
    WeightedTarget,
)
from meshc_istio.retries import http_retry
from meshc_istio.rewrites import http_redirect, http_rewrite, keeps_rest
from meshc_istio.shares import percent, whole_weights

_CREATED: Final = 201
_FORBIDDEN: Final = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A route of the program for the requests that pass `matches`, and what faults do to them.

    `name` is that of the route in access logs, None where it has none.
    """

    route: ir.Route
    case: FaultCase
    matches: tuple[HttpMatch, ...]
    name: str | None


def action_routes(directory: Directory, called: Called, entry: Entry) -> tuple[HttpRoute, ...]:
    """What an entry becomes: one route, or two for a redirect that keeps the rest of a path."""
    route, matches = entry.route, entry.matches
    if entry.case.certain_abort is not None and not isinstance(route.action, ir.Forward):
        # Istio injects no faults into what it answers by itself.
        return (answer(entry.case.certain_abort.status, matches, entry.name),)
    match route.action:
        case ir.Forward(destinations=destinations):
            return (_forward(directory, called, entry, destinations),)
        case ir.Redirect():
            return tuple(_redirects(route.action, entry))
        case ir.Respond(status=status, body=body):
            # Envoy adds a Location of its own to what it says it created.
            removed = ("location",) if status == _CREATED else ()
            response = DirectResponse(status=status, body=ResponseBody(string=body) if body else None)
            changes = headers(route.settings.header_changes, also_removed=removed)
            return (HttpRoute(name=entry.name, match=matches, direct_response=response, headers=changes),)
        case _:
            assert_never(route.action)


def answer(status: int, matches: tuple[HttpMatch, ...], name: str | None = None) -> HttpRoute:
    """A route that answers with a bare status."""
    return HttpRoute(name=name, match=matches, direct_response=DirectResponse(status=status))


def refusal(matches: tuple[HttpMatch, ...], name: str | None = None) -> HttpRoute:
    """A route that refuses, as rules of an external do."""
    return answer(_FORBIDDEN, matches, name)


def _redirects(redirect: ir.Redirect, entry: Entry) -> Iterator[HttpRoute]:
    name, matches = entry.name, entry.matches
    is_below = [keeps_rest(redirect) and (one.uri is None or one.uri.prefix is not None) for one in matches]
    whole = tuple(one for one, below in zip(matches, is_below, strict=True) if not below)
    # Istio replaces a prefix only where the match names one.
    below = tuple(
        one if one.uri is not None else one.model_copy(update={"uri": StringMatch(prefix="/")})
        for one, below in zip(matches, is_below, strict=True)
        if below
    )
    changes = headers(entry.route.settings.header_changes)
    if whole:
        yield HttpRoute(name=name, match=whole, redirect=http_redirect(redirect), headers=changes)
    if below:
        yield HttpRoute(name=name, match=below, redirect=http_redirect(redirect, is_prefix=True), headers=changes)


def _forward(directory: Directory, called: Called, entry: Entry, destinations: tuple[ir.Destination, ...]) -> HttpRoute:
    route, settings = entry.route, entry.route.settings
    mirrors = tuple(
        MirrorTarget(destination=target(directory, called, one.destination, settings), percentage=percent(one.percent))
        for one in settings.mirrors
        # No rule of an external would be asked for a copy: what may be left out is left out.
        if one.percent > 0 and not _is_outside(directory, one.destination)
    )
    return HttpRoute(
        name=entry.name,
        match=entry.matches,
        route=weighted_targets(directory, called, destinations, settings),
        rewrite=http_rewrite(route.path, settings),
        timeout=None if settings.timeout_ms is None else duration(settings.timeout_ms),
        retries=http_retry(settings.retry),
        fault=fault_injection(entry.case),
        mirrors=mirrors or None,
        headers=headers(settings.header_changes),
    )


def _is_outside(directory: Directory, destination: ir.Destination) -> bool:
    return isinstance(directory.owners[destination.namespace, destination.service], ir.External)


def weighted_targets(
    directory: Directory, called: Called, destinations: tuple[ir.Destination, ...], settings: ir.Settings
) -> tuple[WeightedTarget, ...]:
    """The destinations that get anything at all; a single one needs no weight."""
    used = [one for one in destinations if one.weight > 0]
    if len(used) == 1:
        return (WeightedTarget(destination=target(directory, called, used[0], settings)),)
    weights = whole_weights([one.weight for one in used])
    return tuple(
        WeightedTarget(destination=target(directory, called, one, settings), weight=weight)
        for one, weight in zip(used, weights, strict=True)
    )


def target(directory: Directory, called: Called, destination: ir.Destination, settings: ir.Settings) -> Target:
    """A destination as the host, the subset and the port that Istio knows it by."""
    owner = directory.owners[destination.namespace, destination.service]
    port = directory.port(destination)
    number = destination.port if port is None else called_number(owner, port)
    return Target(
        host=destination_host(directory, called, owner, settings),
        subset=destination.version,
        port=PortNumber(number=number),
    )
