"""Retries on statuses of gRPC, where a port is not said to carry gRPC: the language has them on `grpc` ports alone.

Meshes retry on such statuses by default on every port of requests. On a port that nothing else answers they never occur, which is
assumed, and said.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, TypeVar

from meshc import ir
from meshc.importing.routes import is_call
from meshc.lower.settings import GRPC_WORDS
from meshc.reading import Assumption, Reading
from meshc.source import Span

NO_GRPC: Final = "nothing answers with statuses of gRPC on a port that is not `grpc`"

Owner = TypeVar("Owner", ir.Workload, ir.External)


def without_grpc_statuses(reading: Reading) -> Reading:
    """The reading without these conditions of retries, and with what it assumes."""
    mesh = reading.mesh
    owners: tuple[ir.Workload | ir.External, ...] = (*mesh.workloads, *mesh.externals)
    spans = [span for one in owners for port in one.ports for span in _found(port)]
    if not spans:
        return reading
    return replace(
        reading,
        mesh=replace(mesh, workloads=tuple(map(_owner, mesh.workloads)), externals=tuple(map(_owner, mesh.externals))),
        assumptions=(*reading.assumptions, Assumption(text=NO_GRPC, span=spans[0])),
    )


def _found(port: ir.PortPolicy) -> Iterator[Span]:
    for route in port.routes:
        retry = route.settings.retry
        if retry is not None and _route(port, route) != route:
            yield retry.span


def _owner(owner: Owner) -> Owner:
    return replace(owner, ports=tuple(map(_port, owner.ports)))


def _port(port: ir.PortPolicy) -> ir.PortPolicy:
    routes = tuple(_route(port, one) for one in port.routes)
    return replace(port, routes=routes, settings=_settings(port, port.settings))


def _route(port: ir.PortPolicy, route: ir.Route) -> ir.Route:
    if is_call(port.protocol, route):
        return route
    return replace(route, settings=_settings(port, route.settings))


def _settings(port: ir.PortPolicy, settings: ir.Settings) -> ir.Settings:
    retry = settings.retry
    if retry is None or port.protocol is ir.Protocol.GRPC:
        return settings
    left = tuple(one for one in retry.conditions if one not in GRPC_WORDS)
    if not left and not retry.statuses:
        return replace(settings, retry=None)
    return replace(settings, retry=replace(retry, conditions=left))
