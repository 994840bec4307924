"""What only the spelling of a program decides about its routes on Linkerd."""

from collections.abc import Iterator

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc.kubernetes import object_name
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.outbound import check_route, named_versions, routes_of


def check_routes(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """What Linkerd would read otherwise, or not at all."""
    yield from _versions(mesh)
    for workload in mesh.workloads:
        for port in workload.ports:
            yield from _routes(workload, port)


def _versions(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """Versions become Services, which must not take the place of others."""
    named = named_versions(mesh)
    taken = {(one.namespace, object_name(one.name)): f"service `{one.namespace}.{one.name}`" for one in mesh.workloads}
    for workload in mesh.workloads:
        for version in workload.versions:
            if (workload.namespace, workload.name, version.name) not in named:
                continue
            name = object_name(workload.name, version.name)
            own = f"version `{version.name}` of `{workload.namespace}.{workload.name}`"
            other = taken.setdefault((workload.namespace, name), own)
            if other != own:
                message = f"on linkerd {own} is a Service `{name}`, and so is {other}"
                yield diagnose("unsupported-by-target", version.span, message, advice="give one of them another name")


def _routes(workload: ir.Workload, port: ir.PortPolicy) -> Iterator[Diagnostic]:
    if port.protocol.is_http:
        place = port.routes[0].span
        try:
            for route in port.routes:
                place = route.span
                check_route(workload.namespace, route)
            place = port.routes[0].span
            list(routes_of(workload, port))
        except InexpressibleError as error:
            message = f"linkerd cannot express the routes of `{workload.namespace}.{workload.name}:{port.number}`: {error.reason}"
            yield diagnose("unsupported-by-target", error.span or place, message, advice=error.instead or ())
        return
    own = ir.Destination(namespace=workload.namespace, service=workload.name, port=port.number)
    for route in port.routes:
        if isinstance(route.action, ir.Forward) and route.action.destinations != (own,):
            message = "linkerd routes connections by TCPRoutes, which current releases of the Gateway API do not serve"
            yield diagnose("unsupported-by-target", route.span, message, advice="route in front of the service")
