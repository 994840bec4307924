"""Retries on statuses of gRPC, which Linkerd has for all calls of a port or for none: what is left out of others on request."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose

WORDS: Final = frozenset({"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"})
"""The statuses of gRPC on which calls can be retried, as the language calls them."""

_OF_HTTP: Final = frozenset({"5xx", "gateway-error", "retriable-4xx"})


def is_of_port(port: ir.PortPolicy) -> bool:
    """Whether one route of gRPC can say what a port retries: all of its calls alike, on statuses of gRPC alone."""
    if port.protocol is not ir.Protocol.GRPC or len(port.routes) != 1:
        return False
    retry = port.routes[0].settings.retry
    return retry is None or not (retry.statuses or _OF_HTTP & {*retry.conditions})


def without_others(mesh: ir.Mesh) -> ir.Mesh:
    """The mesh without the retries on statuses of gRPC that Linkerd cannot have."""
    return replace(
        mesh,
        workloads=tuple(replace(one, ports=tuple(_without(port) for port in one.ports)) for one in mesh.workloads),
    )


def left_out(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """A warning for each route of which `without_others` takes retries."""
    for workload in mesh.workloads:
        for port in workload.ports:
            for route in port.routes if not is_of_port(port) else ():
                retry = route.settings.retry
                if retry is not None and WORDS & {*retry.conditions}:
                    message = "retries on statuses of gRPC are left out: linkerd has them for all calls of a port alike"
                    advice = "say the same for all calls of the port, or retry on `5xx`"
                    yield diagnose("target-differs", retry.span, message, advice=advice)


def _without(port: ir.PortPolicy) -> ir.PortPolicy:
    if is_of_port(port):
        return port
    return replace(port, routes=tuple(_route(one) for one in port.routes))


def _route(route: ir.Route) -> ir.Route:
    retry = route.settings.retry
    if retry is None or not WORDS & {*retry.conditions}:
        return route
    words = tuple(one for one in retry.conditions if one not in WORDS)
    left = replace(retry, conditions=words) if words or retry.statuses else None
    return replace(route, settings=replace(route.settings, retry=left))
