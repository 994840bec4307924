"""What a sidecar reports: traces of its connection managers, and the listener that shows metrics."""

from meshc import ir
from meshc_envoy.metrics import METRICS_PATH, METRICS_PORT
from meshc_envoy.read.actions import percent
from meshc_envoy.read.messages import Message


def trace(manager: Message) -> ir.Trace | None:
    """The traces of a connection manager: OTLP, a share of those that no caller has begun."""
    tracing = manager.message("tracing")
    if tracing is None:
        return None
    tracing.ignore("client_sampling", "operation")
    _, config = tracing.need("provider").config()
    tracing.finish()
    config.ignore("service_name")
    service = config.need("grpc_service").need("envoy_grpc").text("cluster_name")
    _, parent = config.need("sampler").config()
    config.finish()
    _, ratio = parent.need("wrapped_sampler").config()
    share = percent(ratio.need("sampling_percentage"))
    if not service.startswith("trace/"):
        raise config.error("the collector of traces is not understood")
    return ir.Trace(percent=share, collector=service.removeprefix("trace/"), span=tracing.span)


def shows_metrics(listener: Message) -> bool:
    """Whether this is the listener that Prometheus reads."""
    address = listener.need("address").message("socket_address")
    if address is None or address.whole("port_value") != METRICS_PORT:
        return False
    filters = [one for chain in listener.messages("filter_chains") for one in chain.messages("filters")]
    tables = [one.config()[1].message("route_config") for one in filters]
    hosts = [host for table in tables if table is not None for host in table.messages("virtual_hosts")]
    routes = [route for host in hosts for route in host.messages("routes")]
    return any(route.need("match").data.get("path") == METRICS_PATH for route in routes)
