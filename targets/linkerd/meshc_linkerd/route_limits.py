"""What only the spelling of a program decides about its routes on Linkerd."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc.kubernetes import object_name
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.outbound import check_route, named_versions, routes_of


def check_routes(mesh: ir.Mesh, *, omit: bool) -> Iterator[Diagnostic]:
    """What Linkerd would read otherwise, or not at all; what may be left out is no error where `omit` says so."""
    yield from _versions(mesh)
    outside = {(one.namespace, one.name) for one in mesh.externals}
    for workload in mesh.workloads:
        yield from _ejection(workload)
        for port in workload.ports:
            yield from _destinations(port, outside)
            yield from _routes(workload, port)
            yield from _idle(port, omit=omit)


def _destinations(port: ir.PortPolicy, outside: AbstractSet[tuple[str, str]]) -> Iterator[Diagnostic]:
    for route in port.routes:
        for one in route.action.destinations if isinstance(route.action, ir.Forward) else ():
            if (one.namespace, one.service) in outside and one.weight > 0:
                message = (
                    f"linkerd does not route to what is outside of the mesh, as `{one.namespace}.{one.service}` is"
                )
                yield diagnose("unsupported-by-target", route.span, message, advice="call it from the application")


def _ejection(workload: ir.Workload) -> Iterator[Diagnostic]:
    """Annotations of a Service are for all of its ports."""
    found = {
        (one.consecutive_5xx, one.ejection_ms): one
        for port in workload.ports
        if (one := port.settings.outlier_detection) is not None and one.consecutive_5xx is not None
    }
    for one in list(found.values())[1:]:
        message = f"linkerd ejects endpoints of `{workload.namespace}.{workload.name}` on all of its ports alike"
        yield diagnose("unsupported-by-target", one.span, message, advice="say the same for every port")


def _idle(port: ir.PortPolicy, *, omit: bool) -> Iterator[Diagnostic]:
    if port.protocol.is_http or port.settings.idle_timeout_ms is None:
        return
    span = dict(port.settings.spans).get("idle_timeout_ms", port.span)
    message = "linkerd closes no connections that are idle, on ports where it does not look at requests"
    if omit:
        yield diagnose("target-differs", span, f"`idle-timeout` is left out: {message}")
    else:
        yield diagnose("unsupported-by-target", span, message, advice="leave it out, or close them in the application")


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
