"""Traces: spans of a share of the requests, sent as OTLP over gRPC to a collector outside the mesh.

Where a request brings a `traceparent`, the one who began the trace has decided whether it is sampled, so that traces are
whole. Otherwise the share decides by the trace's id, which Envoy draws itself: neither a request's id nor a header of
Envoy's own can have it traced.
"""

from typing import Final

from meshc import ir
from meshc_envoy.clusters import named_cluster
from meshc_envoy.options import SocketAddress
from meshc_envoy.percentages import fractional_percent
from meshc_envoy.protocols import http2
from meshc_envoy.shapes import Object, extension, typed

_OTEL: Final = "envoy.config.trace.v3.OpenTelemetryConfig"
_SAMPLERS: Final = "envoy.extensions.tracers.opentelemetry.samplers.v3"
_REQUEST_ID: Final = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"
_EXPORT_TIMEOUT: Final = "10s"
"""The OTLP exporters' own default."""


def trace_fields(workload: ir.Workload, destination: str) -> Object:
    """The fields of a connection manager that trace requests; none if the program asks for no traces.

    Spans are called by the format string `destination`.
    """
    trace = workload.telemetry.trace
    if trace is None:
        return {}
    provider = extension(
        "envoy.tracers.opentelemetry",
        _OTEL,
        grpc_service={"envoy_grpc": {"cluster_name": collector_name(trace)}, "timeout": _EXPORT_TIMEOUT},
        service_name=f"{workload.name}.{workload.namespace}",
        sampler=_sampler(trace),
    )
    return {
        "tracing": {"provider": provider, "client_sampling": {"value": 0.0}, "operation": destination},
        # Else a caller could choose an id that is sampled, and sampled ids would be rewritten.
        "request_id_extension": {
            "typed_config": typed(_REQUEST_ID, pack_trace_reason=False, use_request_id_for_trace_sampling=False)
        },
    }


def _sampler(trace: ir.Trace) -> Object:
    share = extension(
        "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based",
        f"{_SAMPLERS}.TraceIdRatioBasedSamplerConfig",
        sampling_percentage=fractional_percent(trace.percent),
    )
    return extension(
        "envoy.tracers.opentelemetry.samplers.parent_based",
        f"{_SAMPLERS}.ParentBasedSamplerConfig",
        wrapped_sampler=share,
    )


def collector_name(trace: ir.Trace) -> str:
    """The name of the collector's cluster."""
    return f"trace/{trace.collector}"


def collector_clusters(workload: ir.Workload) -> list[Object]:
    """The cluster of the collector, by name or address, in plaintext; none without traces."""
    trace = workload.telemetry.trace
    if trace is None:
        return []
    host, _, port = trace.collector.rpartition(":")
    server = SocketAddress(host=host, port=int(port))
    return [named_cluster(collector_name(trace), server, protocol=http2(), socket=None)]
