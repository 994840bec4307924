"""Certainty: a mesh without what chance or haste decides, so that a request has one outcome on real sidecars, as in the model.

Faults that strike some requests only, and rate limits, which depend on how fast a test is, are left out. A fault that strikes
every request stays.
"""

from collections.abc import Sequence
from dataclasses import replace

from meshc import ir


def certain(mesh: ir.Mesh) -> ir.Mesh:
    """The mesh without rate limits and without faults for less than 100 % of the requests."""
    workloads = tuple(replace(one, ports=_ports(one.ports)) for one in mesh.workloads)
    externals = tuple(replace(one, ports=_ports(one.ports)) for one in mesh.externals)
    return replace(mesh, workloads=workloads, externals=externals)


def _ports(ports: Sequence[ir.PortPolicy]) -> tuple[ir.PortPolicy, ...]:
    return tuple(
        replace(
            port,
            limits=(),
            settings=_settings(port.settings),
            routes=tuple(replace(route, settings=_settings(route.settings)) for route in port.routes),
        )
        for port in ports
    )


def _settings(settings: ir.Settings) -> ir.Settings:
    delays = tuple(one for one in settings.delays if one.percent >= 100)
    aborts = tuple(one for one in settings.aborts if one.percent >= 100)
    return replace(settings, delays=delays, aborts=aborts)
