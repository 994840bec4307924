"""Telemetry: what a workload's sidecar reports -> a Telemetry object, and the providers that the mesh must know.

Istio ignores a provider that its mesh configuration does not name, so `mesh.yaml` names every one.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from meshc import ir
from meshc.kubernetes import Placed, metadata, span_anchor
from meshc.target import Json
from meshc_istio.resources.security import Selector
from meshc_istio.resources.telemetry import AccessLogging, Metrics, Provider, Telemetry, TelemetrySpec, Tracing

_LOGS: Final = {"json": "meshc-access-log-json", "text": "meshc-access-log-text"}
_PROMETHEUS: Final = "prometheus"
LOG_FIELDS: Final = {
    "authority": "%REQ(:AUTHORITY)%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration_ms": "%DURATION%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(:PATH)%",
    "peer": "%DOWNSTREAM_PEER_URI_SAN%",
    "protocol": "%PROTOCOL%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "response_code": "%RESPONSE_CODE%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "response_flags": "%RESPONSE_FLAGS%",
    "source": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "start_time": "%START_TIME%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "upstream_host": "%UPSTREAM_HOST%",
}
"""What a line of a log holds, by name in JSON and in this order in text."""

LOG_FILE: Final = "/dev/stdout"
"""Where logs go."""


def telemetry_of(workload: ir.Workload, selector: Selector) -> Iterator[Placed]:
    """The object of a workload that reports anything."""
    telemetry = workload.telemetry
    logs = [log for log in telemetry.access_logs if log.condition == ir.ALWAYS]
    if not (logs or telemetry.trace or telemetry.metrics):
        return
    formats = sorted({log.format for log in logs})
    trace = telemetry.trace
    spans = [log.span for log in logs]
    spans += [span for span in (trace.span if trace else None, telemetry.metrics_span) if span is not None]
    spec = TelemetrySpec(
        selector=selector,
        access_logging=tuple(AccessLogging(providers=(Provider(name=_LOGS[name]),)) for name in formats) or None,
        tracing=None
        if trace is None
        else (
            Tracing(providers=(Provider(name=_collector(trace.collector)),), random_sampling_percentage=trace.percent),
        ),
        metrics=(Metrics(providers=(Provider(name=_PROMETHEUS),)),) if telemetry.metrics else None,
    )
    yield Placed(
        owner=(workload.namespace, workload.name),
        resource=Telemetry(
            metadata=metadata(workload.name, workload.namespace, [span_anchor(span, "telemetry") for span in spans]),
            spec=spec,
        ),
        sources=tuple(dict.fromkeys(spans)),
    )


def providers(mesh: ir.Mesh) -> list[Mapping[str, Json]]:
    """The `extensionProviders` that the mesh's Telemetry objects name, sorted by name."""
    found: dict[str, Mapping[str, Json]] = {}
    for telemetry in (workload.telemetry for workload in mesh.workloads):
        for log in telemetry.access_logs:
            found[_LOGS[log.format]] = _log_provider(log.format)
        if telemetry.trace is not None:
            found[_collector(telemetry.trace.collector)] = _trace_provider(mesh, telemetry.trace.collector)
        if telemetry.metrics:
            found[_PROMETHEUS] = {"prometheus": {}}
    return [{"name": name, **provider} for name, provider in sorted(found.items())]


def _log_provider(form: str) -> Mapping[str, Json]:
    if form == "json":
        return {"envoyFileAccessLog": {"path": LOG_FILE, "logFormat": {"labels": LOG_FIELDS}}}
    return {"envoyFileAccessLog": {"path": LOG_FILE, "logFormat": {"text": log_text(LOG_FIELDS.values())}}}


def log_text(fields: Iterable[str]) -> str:
    """The format of a line of text."""
    return " ".join(f'"{field}"' for field in fields) + "\n"


def _collector(address: str) -> str:
    return f"meshc-otel-{hashlib.sha256(address.encode()).hexdigest()[:8]}"


def _trace_provider(mesh: ir.Mesh, address: str) -> Mapping[str, Json]:
    """A collector; a name such as `otel.observability` is a Service's, which Istio wants in full."""
    host, _, port = address.rpartition(":")
    full = f"{host}.svc.{mesh.cluster_domain}" if host.count(".") == 1 else host
    return {"opentelemetry": {"service": full, "port": int(port)}}
