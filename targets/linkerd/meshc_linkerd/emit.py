"""Emit: `ir.Mesh` -> the objects of each service.

Takes any mesh. What Linkerd cannot express is reported and nothing is emitted.
"""

from meshc import ir
from meshc.diagnostics import Diagnostic
from meshc.kubernetes import Placed, lay_out
from meshc.passes.support import check_support, has_errors
from meshc.target import Emission
from meshc_linkerd.breakers import breaker_component
from meshc_linkerd.clients import World
from meshc_linkerd.inbound import inbound_of
from meshc_linkerd.limits import check_limits
from meshc_linkerd.options import EmitOptions
from meshc_linkerd.support import SUPPORT
from meshc_linkerd.traffic import traffic_objects

_DEFAULTS = EmitOptions()


def emit(mesh: ir.Mesh, options: EmitOptions = _DEFAULTS) -> Emission:
    """The files of all services, sorted by path."""
    found: list[Diagnostic] = [
        *check_support(mesh, "linkerd", SUPPORT, omit=options.omit),
        *check_limits(mesh, omit=options.omit),
    ]
    placed: list[Placed] = []
    if not has_errors(tuple(found)):
        world = World.of(mesh)
        for workload in mesh.workloads:
            inbound = inbound_of(world, workload, options)
            found += inbound.diagnostics
            placed += inbound.placed
    diagnostics = tuple(dict.fromkeys(found))
    if has_errors(diagnostics):
        return Emission(documents=(), diagnostics=diagnostics)
    placed += traffic_objects(mesh)
    return Emission(documents=lay_out(placed, breaker_component(mesh)), diagnostics=diagnostics)
