"""What only the spelling of a program decides about its routes on Linkerd."""

from collections.abc import Iterator

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.outbound import routes_of


def check_routes(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """What Linkerd would read otherwise, or not at all."""
    for workload in mesh.workloads:
        for port in workload.ports:
            yield from _routes(workload, port)


def _routes(workload: ir.Workload, port: ir.PortPolicy) -> Iterator[Diagnostic]:
    if port.protocol.is_http:
        try:
            list(routes_of(workload, port))
        except InexpressibleError as error:
            place = next((route.span for route in port.routes[:-1]), port.span)
            message = f"linkerd cannot express the routes of `{workload.namespace}.{workload.name}:{port.number}`: {error.reason}"
            yield diagnose("unsupported-by-target", place, message, advice=error.instead or ())
        return
    own = ir.Destination(namespace=workload.namespace, service=workload.name, port=port.number)
    for route in port.routes:
        if isinstance(route.action, ir.Forward) and route.action.destinations != (own,):
            message = "linkerd routes connections by TCPRoutes, which current releases of the Gateway API do not serve"
            yield diagnose("unsupported-by-target", route.span, message, advice="route in front of the service")
