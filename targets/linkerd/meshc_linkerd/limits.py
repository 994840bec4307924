"""What only the spelling of a program decides about Linkerd: workloads that share pods or ports, routes, limits."""

from collections import defaultdict
from collections.abc import Iterator

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.inbound import is_plain
from meshc_linkerd.outbound import routes_of


def check_limits(mesh: ir.Mesh, *, omit: bool) -> Iterator[Diagnostic]:
    """What Linkerd would read otherwise, or not at all."""
    yield from _shared_pods(mesh)
    for workload in mesh.workloads:
        yield from _shared_ports(workload)
        yield from _limits(workload, omit=omit)
        for port in workload.ports:
            yield from _routes(workload, port)


def _shared_pods(mesh: ir.Mesh) -> Iterator[Diagnostic]:
    """Of two Servers for one port of a pod, Linkerd takes the older."""
    by_port: dict[tuple[str, int], list[ir.Workload]] = defaultdict(list)
    for workload in mesh.workloads:
        for target in {port.target for port in workload.ports}:
            by_port[workload.namespace, target].append(workload)
    for (_, target), listed in by_port.items():
        for number, one in enumerate(listed):
            for other in listed[number + 1 :]:
                if one.labels.items() <= other.labels.items() or one.labels.items() >= other.labels.items():
                    message = f"on linkerd `{one.namespace}.{one.name}` and `{other.namespace}.{other.name}` would both"
                    message += f" decide about port {target} of the same pods"
                    yield diagnose("unsupported-by-target", other.span, message, advice="give each a label of its own")


def _shared_ports(workload: ir.Workload) -> Iterator[Diagnostic]:
    seen: dict[int, ir.PortPolicy] = {}
    for port in workload.ports:
        other = seen.setdefault(port.target, port)
        if (other.access, other.protocol, other.limits) != (port.access, port.protocol, port.limits):
            message = f"on linkerd the ports {other.number} and {port.number} are one: both lead to {port.target}"
            yield diagnose("unsupported-by-target", port.span, message, advice="give both the same rules")


def _limits(workload: ir.Workload, *, omit: bool) -> Iterator[Diagnostic]:
    for port in workload.ports:
        for limit in port.limits:
            if not is_plain(limit) and limit.condition == ir.ALWAYS and limit.per in {None, "source"}:
                message = "linkerd counts whole requests a second, with a burst of as many"
                name = "target-differs" if omit else "unsupported-by-target"
                yield diagnose(name, limit.span, message, advice="write `N/s` without a burst")


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
