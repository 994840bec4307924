"""Traffic: the callers' side of a mesh -> VirtualService, DestinationRule, ServiceEntry and Sidecar objects."""

from collections.abc import Iterator

from meshc import ir
from meshc.kubernetes import Placed
from meshc_istio.destination_rules import destination_rule
from meshc_istio.egress import egress_objects
from meshc_istio.virtual_services import virtual_service


def traffic_objects(mesh: ir.Mesh) -> Iterator[Placed]:
    """All objects, in the order of the mesh. Raises InexpressibleError for what `check_traffic` reports."""
    for workload in mesh.workloads:
        yield from destination_rule(mesh, workload)
        yield from virtual_service(mesh, workload)
    yield from egress_objects(mesh)
