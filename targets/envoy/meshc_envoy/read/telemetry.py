"""What a sidecar reports: traces of its connection managers, lines of logs, and the listener that shows metrics."""

from collections.abc import Iterable, Mapping
from typing import Final

from meshc import ir
from meshc.source import Span
from meshc_envoy.log_fields import (
    HOST_DESTINATION,
    PEER_IDENTITY,
    Direction,
    Ends,
    connection_fields,
    refused_fields,
    request_fields,
)
from meshc_envoy.metrics import METRICS_PATH, METRICS_PORT
from meshc_envoy.options import EmitOptions
from meshc_envoy.read.actions import percent
from meshc_envoy.read.bootstraps import Sidecar
from meshc_envoy.read.messages import Message
from meshc_envoy.read.notes import Notes
from meshc_envoy.read.places import leads_to

_OTEL: Final = "envoy.config.trace.v3.OpenTelemetryConfig"
_PARENT: Final = "envoy.extensions.tracers.opentelemetry.samplers.v3.ParentBasedSamplerConfig"
_RATIO: Final = "envoy.extensions.tracers.opentelemetry.samplers.v3.TraceIdRatioBasedSamplerConfig"
_STREAM: Final = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
_FILE: Final = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
_ROUTER: Final = "envoy.extensions.filters.http.router.v3.Router"
_CEL: Final = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
_FAILED: Final = 'has(connection.transport_failure_reason) && xds.filter_chain_name != "plaintext"'
_EXPRESSIONS: Final = frozenset(
    {"!has(connection.transport_failure_reason)", _FAILED, f"{_FAILED} || has(connection.termination_details)"}
)
"""Handshakes that failed are told by the listener, and so are connections that ended before requests."""
_MANAGER: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ASKED: Final = ("from", "to")
"""Fields that name the ends: each listener knows its own."""
_LINES: Final[tuple[Mapping[str, str], ...]] = tuple(
    fields(Ends(direction=direction, source=PEER_IDENTITY, destination=HOST_DESTINATION))
    for direction in Direction
    for fields in (request_fields, connection_fields, refused_fields)
)
"""The fields of lines that the language promises."""


def trace(manager: Message, car: Sidecar, notes: Notes) -> ir.Trace | None:
    """The traces of a connection manager: OTLP, a share of those that no caller has begun."""
    tracing = manager.message("tracing")
    if tracing is None:
        return None
    clients = tracing.message("client_sampling")
    if clients is None or clients.number("value"):
        raise tracing.error("traces that a caller asks for are not understood")
    own = manager.message("request_id_extension")
    ids = None if own is None else own.need("typed_config")
    if ids is None or ids.flag("use_request_id_for_trace_sampling", default=True):
        raise manager.error("traces that the id of a request asks for are not understood")
    tracing.ignore("operation")
    config = _kind(tracing.need("provider"), _OTEL)
    tracing.finish()
    config.ignore("service_name")
    server = config.need("grpc_service")
    server.ignore("timeout")
    service = server.need("envoy_grpc").text("cluster_name")
    server.finish()
    parent = _kind(config.need("sampler"), _PARENT)
    config.finish()
    ratio = _kind(parent.need("wrapped_sampler"), _RATIO)
    share = percent(ratio.need("sampling_percentage"))
    if not service.startswith("trace/"):
        raise config.error("the collector of traces is not understood")
    collector = service.removeprefix("trace/")
    if not leads_to(service, collector, car):
        notes.assume(f"the collector of traces `{collector}` is where the cluster `{service}` leads", tracing.span)
    return ir.Trace(percent=share, collector=collector, span=tracing.span)


def _kind(holder: Message, kind: str) -> Message:
    found, config = holder.config()
    if found != kind:
        raise holder.error(f"`{found}` is not understood here")
    return config


# ---- access logs ----------------------------------------------------------------------------------------------------


def check_logger(writer: Message, notes: Notes) -> None:
    """Where lines go, and what they say. Raises NotUnderstoodError for loggers that write no lines."""
    kind, config = writer.config()
    path = config.text("path")
    if kind not in {_STREAM, _FILE}:
        raise writer.error(f"the logger `{kind}` is not understood")
    if writer.has("filter"):
        _check_expression(writer.need("filter"))
    if kind == _FILE and path != str(EmitOptions().access_log):
        notes.assume(f"lines of logs are read from `{path}`", writer.span)
    layout = config.message("log_format")
    fields = {} if layout is None else _fields(layout)
    if not any(_is_line(fields, known) for known in _LINES):
        notes.assume("lines of logs say what the program's reader of them looks for", writer.span)


def _check_expression(filter_: Message) -> None:
    """What an expression leaves out is what the lines of another listener tell of."""
    for name in ("or_filter", "and_filter"):
        for one in filter_.need(name).messages("filters") if filter_.has(name) else ():
            _check_expression(one)
    if filter_.has("extension_filter"):
        config = _kind(filter_.need("extension_filter"), _CEL)
        if config.text("expression") not in _EXPRESSIONS:
            raise filter_.error("this expression for lines of a log is not understood")


def caller_in(writer: Message) -> str:
    """Who calls, as lines of this logger say; empty if they do not."""
    layout = writer.config()[1].message("log_format")
    return ("" if layout is None else _fields(layout).get("from", "")).replace("%%", "%")


def _fields(layout: Message) -> dict[str, str]:
    listed = layout.message("json_format")
    if listed is not None:
        return {name: str(value) for name, value in listed.data.items()}
    source = layout.message("text_format_source")
    words = "" if source is None else source.text("inline_string")
    parts = [one.partition("=") for one in words.removesuffix("\n").split(" ")]
    return {name: value for name, _, value in parts}


def _is_line(fields: Mapping[str, str], known: Mapping[str, str]) -> bool:
    return fields.keys() == known.keys() and all(fields[one] == known[one] for one in known if one not in _ASKED)


# ---- metrics --------------------------------------------------------------------------------------------------------


def shows_metrics(listener: Message) -> bool:
    """Whether this is the listener that Prometheus reads."""
    address = listener.need("address").message("socket_address")
    if address is None or address.whole("port_value") != METRICS_PORT:
        return False
    return any(route.need("match").data.get("path") == METRICS_PATH for route in _routes(listener))


def metrics_at(listener: Message, car: Sidecar, notes: Notes) -> Span:
    """The place of what shows metrics. Raises NotUnderstoodError if it shows more: anybody may ask it."""
    listener.ignore("name", "address", "additional_addresses")
    chains = listener.messages("filter_chains")
    filters = [one for chain in chains for one in chain.messages("filters")]
    listener.finish()
    managers = [config for kind, config in (one.config() for one in filters) if kind == _MANAGER]
    kinds = [one.config()[0] for manager in managers for one in manager.messages("http_filters")]
    routes = _routes(listener)
    if len(chains) != 1 or len(filters) != 1 or len(routes) != 1 or kinds != [_ROUTER]:
        raise listener.error("a listener that shows more than metrics is not understood")
    _check_route(routes[0])
    name = routes[0].need("route").text("cluster")
    admin = None if car.process is None else car.process.message("admin")
    place = "" if admin is None else _place(admin.need("address"))
    if not place or not leads_to(name, place, car):
        notes.assume(f"what the cluster `{name}` shows are the sidecar's own metrics", listener.span)
    return listener.span


def _check_route(route: Message) -> None:
    match, action = route.need("match"), route.need("route")
    wanted = [(":method", {"exact": "GET"}), (":path", {"exact": METRICS_PATH})]
    headers = match.messages("headers")
    asked = [(one.text("name"), dict(one.need("string_match").data)) for one in headers]
    is_narrow = match.data.keys() == {"path", "headers"} and all(
        one.data.keys() == {"name", "string_match"} for one in headers
    )
    if asked != wanted or not is_narrow or match.text("path") != METRICS_PATH:
        raise match.error("a request of metrics that is not `GET` of their path alone is not understood")
    action.ignore("cluster", "timeout")
    route.ignore("name")
    action.finish()
    route.finish()


def _routes(listener: Message) -> list[Message]:
    filters = [one for chain in listener.messages("filter_chains") for one in chain.messages("filters")]
    tables = [one.config()[1].message("route_config") for one in filters]
    hosts = [host for table in tables if table is not None for host in table.messages("virtual_hosts")]
    return [route for host in hosts for route in host.messages("routes")]


def _place(address: Message) -> str:
    pipe, socket = address.message("pipe"), address.message("socket_address")
    if pipe is not None:
        return pipe.text("path")
    return "" if socket is None else f"{socket.text('address')}:{socket.whole('port_value')}"


def loggers_of(listener: Message) -> Iterable[Message]:
    """All loggers of a listener, of its filters too."""
    yield from listener.messages("access_log")
    for chain in listener.messages("filter_chains"):
        for one in chain.messages("filters"):
            yield from one.config()[1].messages("access_log")
