"""Emit: `ir.Mesh` -> the objects of each service.

Takes any mesh. What Linkerd cannot express is reported and nothing is emitted. The server's side (`inbound`) says who may call, the
callers' side (`traffic`) how calls travel.
"""

from meshc import ir
from meshc.kubernetes import lay_out
from meshc.passes.support import check_support, has_errors
from meshc.target import Emission
from meshc_linkerd.breakers import breaker_component
from meshc_linkerd.grpc_retries import left_out, without_others
from meshc_linkerd.inbound import inbound_objects
from meshc_linkerd.options import EmitOptions
from meshc_linkerd.route_limits import check_routes
from meshc_linkerd.support import SUPPORT
from meshc_linkerd.traffic import traffic_objects

_DEFAULTS = EmitOptions()


def emit(mesh: ir.Mesh, options: EmitOptions = _DEFAULTS) -> Emission:
    """The files of all services, sorted by path."""
    lost = tuple(left_out(mesh)) if options.omit else ()
    mesh = without_others(mesh) if options.omit else mesh
    inbound = inbound_objects(mesh, options)
    found = (
        *check_support(mesh, "linkerd", SUPPORT, omit=options.omit),
        *lost,
        *check_routes(mesh, omit=options.omit),
        *inbound.diagnostics,
    )
    diagnostics = tuple(dict.fromkeys(found))
    if has_errors(diagnostics):
        return Emission(documents=(), diagnostics=diagnostics)
    placed = [*inbound.placed, *traffic_objects(mesh)]
    return Emission(documents=lay_out(placed, breaker_component(mesh)), diagnostics=diagnostics)
