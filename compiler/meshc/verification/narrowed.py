"""A mesh without what a reader does not read: what is left is compared."""

from collections.abc import Set as AbstractSet
from dataclasses import replace

from meshc.ir import Mesh, PortPolicy, Settings, Telemetry
from meshc.reading import Aspect


def narrowed(mesh: Mesh, aspects: AbstractSet[Aspect]) -> Mesh:
    """The mesh as far as these aspects go; externals are left where all of them do."""
    if aspects == set(Aspect):
        return mesh
    workloads = tuple(
        replace(
            one,
            ports=tuple(_port(port, aspects) for port in one.ports),
            telemetry=one.telemetry if Aspect.SETTINGS in aspects else Telemetry(),
        )
        for one in mesh.workloads
    )
    return replace(mesh, workloads=workloads, externals=())


def _port(port: PortPolicy, aspects: AbstractSet[Aspect]) -> PortPolicy:
    if Aspect.ROUTING not in aspects:
        port = replace(port, routes=())
    if Aspect.SETTINGS not in aspects:
        routes = tuple(replace(route, settings=Settings()) for route in port.routes)
        port = replace(port, settings=Settings(), limits=(), routes=routes)
    return port
