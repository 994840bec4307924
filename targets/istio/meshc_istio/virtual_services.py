"""Virtual services: the routes of a workload's ports -> one VirtualService for its host, in its own namespace.

Of two for one host Istio takes the older and ignores the other, so all ports are in one, told apart by their number.
"""

from collections.abc import Iterator

from meshc import ir
from meshc.kubernetes import Placed, metadata, span_anchor
from meshc.source import Span
from meshc_istio.resources.networking import (
    ConnectionMatch,
    HttpRoute,
    TcpRoute,
    VirtualService,
    VirtualServiceSpec,
)
from meshc_istio.route_actions import action_of, weighted
from meshc_istio.route_matches import matches_of
from meshc_istio.shapes import callers, service_host


def virtual_service(mesh: ir.Mesh, workload: ir.Workload) -> Iterator[Placed]:
    """The object of a workload, if it has routes to tell of. Raises InexpressibleError, which the checks have found before."""
    http = tuple(one for port in workload.ports if port.protocol.is_http for one in http_routes(mesh, port))
    tcp = tuple(
        one for port in workload.ports if not port.protocol.is_http for one in _tcp_routes(mesh, workload, port)
    )
    if not (http or tcp):
        return
    spans = tuple(dict.fromkeys(route.span for port in workload.ports for route in port.routes))
    yield Placed(
        owner=(workload.namespace, workload.name),
        resource=VirtualService(
            metadata=metadata(workload.name, workload.namespace, anchors_of(workload, spans)),
            spec=VirtualServiceSpec(
                hosts=(service_host(mesh, workload.namespace, workload.name),), http=http or None, tcp=tcp or None
            ),
        ),
        sources=spans,
    )


def anchors_of(owner: ir.Workload | ir.External, spans: tuple[Span, ...]) -> list[str]:
    """The places of an owner's traffic blocks, or of itself where it has none."""
    own = {owner.span, *(port.span for port in owner.ports)}
    name = f"{owner.namespace}.{owner.name}"
    blocks = [span_anchor(span, f"traffic-{name}") for span in spans if span not in own]
    return blocks or [span_anchor(owner.span, f"service-{name}")]


def http_routes(mesh: ir.Mesh, port: ir.PortPolicy) -> Iterator[HttpRoute]:
    """The routes of a port, in order; the last takes what is left."""
    for route in port.routes:
        who = callers(mesh, route.callers)
        matches = matches_of(port.number, route.methods, route.path, route.condition, who) if who else ()
        if matches:
            yield action_of(mesh, route).model_copy(update={"match": matches})


def _tcp_routes(mesh: ir.Mesh, workload: ir.Workload, port: ir.PortPolicy) -> Iterator[TcpRoute]:
    """Only where a connection goes elsewhere than to the service as a whole."""
    own = (ir.Destination(namespace=workload.namespace, service=workload.name, port=port.number),)
    for route in port.routes:
        if isinstance(route.action, ir.Forward) and route.action.destinations != own:
            yield TcpRoute(match=(ConnectionMatch(port=port.number),), route=weighted(mesh, route.action.destinations))
