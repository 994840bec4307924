"""Traffic: the callers' side of a mesh -> HTTPRoutes, Services of versions, and what may leave the mesh."""

from collections.abc import Iterator

from meshc import ir
from meshc.kubernetes import Placed, metadata, span_anchor
from meshc_linkerd.outbound import named_versions, outbound_objects
from meshc_linkerd.resources.core import EgressNetwork, EgressNetworkSpec

_EGRESS = "meshc-egress"


def traffic_objects(mesh: ir.Mesh) -> Iterator[Placed]:
    """All objects, in the order of the mesh. Raises InexpressibleError for what `check_traffic` reports."""
    named = named_versions(mesh)
    for workload in mesh.workloads:
        yield from outbound_objects(workload, named)
    if mesh.externals:
        # Linkerd cannot tell callers and requests apart on their way out; what cannot be decided is refused.
        for namespace in sorted({workload.namespace for workload in mesh.workloads}):
            anchors = [span_anchor(one.span, f"external-{one.namespace}.{one.name}") for one in mesh.externals]
            yield Placed(
                owner=(namespace, _EGRESS),
                resource=EgressNetwork(
                    metadata=metadata(_EGRESS, namespace, anchors), spec=EgressNetworkSpec(traffic_policy="Deny")
                ),
                sources=tuple(one.span for one in mesh.externals),
            )
