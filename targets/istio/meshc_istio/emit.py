"""Emit: `ir.Mesh` -> the objects of each service, and the settings that the mesh itself needs.

Takes any mesh. What Istio cannot express is reported and nothing is emitted.
"""

from collections.abc import Iterator

from meshc import ir
from meshc.diagnostics import Diagnostic, Severity
from meshc.kubernetes import Placed, lay_out
from meshc.passes.support import check_support, has_errors
from meshc.target import Emission
from meshc_istio.access import access_of
from meshc_istio.authentication import authentication_of
from meshc_istio.limits import check_limits
from meshc_istio.mesh_config import mesh_config
from meshc_istio.options import Dataplane, EmitOptions
from meshc_istio.rate_limits import rate_limits_of
from meshc_istio.resources.security import Selector
from meshc_istio.support import SUPPORT
from meshc_istio.telemetry import telemetry_of
from meshc_istio.traffic import traffic_objects
from meshc_istio.traffic_limits import check_traffic

_DEFAULTS = EmitOptions()


def emit(mesh: ir.Mesh, options: EmitOptions = _DEFAULTS) -> Emission:
    """The files of all services, sorted by path."""
    has_sidecars = options.dataplane is Dataplane.SIDECAR
    supported = check_support(mesh, "istio", SUPPORT, omit=options.omit)
    # What the table refuses at a place is not told of it in other words once more.
    told = {one.span for one in supported if one.severity is Severity.ERROR}
    found: list[Diagnostic] = [*supported, *check_limits(mesh, options)]
    found += [one for one in check_traffic(mesh) if one.span not in told] if has_sidecars else []
    if has_errors(tuple(found)):
        # The rules are asked too, so that one run names everything.
        found += [one for workload in mesh.workloads for one in access_of(workload, _selector(workload)).diagnostics]
        return Emission(documents=(), diagnostics=tuple(dict.fromkeys(found)))
    placed: list[Placed] = []
    for workload in mesh.workloads:
        placed += _server_side(workload, found)
    if has_sidecars:
        placed += traffic_objects(mesh)
    diagnostics = tuple(dict.fromkeys(found))
    if has_errors(diagnostics):
        return Emission(documents=(), diagnostics=diagnostics)
    return Emission(documents=lay_out(placed, [mesh_config(mesh)]), diagnostics=diagnostics)


def _server_side(workload: ir.Workload, found: list[Diagnostic]) -> Iterator[Placed]:
    selector = _selector(workload)
    if workload.ports:
        yield from authentication_of(workload, selector)
        access = access_of(workload, selector)
        found.extend(access.diagnostics)
        yield from access.placed
        yield from rate_limits_of(workload)
    yield from telemetry_of(workload, selector)


def _selector(workload: ir.Workload) -> Selector:
    return Selector(match_labels=dict(sorted(workload.labels.items())))
