"""Metrics of one sidecar, for Prometheus: a registry of its own, labels that no caller can multiply."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from meshc_proxy.io.records import Record

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MOST_SOURCES: Final = 1000


class Metrics:
    """Counters and gauges; `text` is what Prometheus reads."""

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("direction", "to", "status", "flags")
        self._requests = Counter("meshc_requests", "Requests that have ended.", labels, registry=self._registry)
        self._connections = Counter(
            "meshc_connections", "Connections to ports of bytes.", ("direction", "to", "flags"), registry=self._registry
        )
        self._sources = Counter(
            "meshc_inbound_requests",
            "Requests by the caller's verified identity.",
            ("source", "to"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "meshc_request_seconds",
            "Time from a request's head to the end of its answer.",
            ("direction", "to"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._bytes = Counter(
            "meshc_body_bytes", "Bytes of bodies and connections.", ("direction", "to", "way"), registry=self._registry
        )
        self._refused = Counter(
            "meshc_refused", "Bytes and handshakes refused before any request.", ("reason",), registry=self._registry
        )
        self._reloads = Counter("meshc_reloads", "Configurations read.", ("outcome",), registry=self._registry)
        self.open = Gauge("meshc_open_connections", "Connections that are open now.", registry=self._registry)
        self.dropped = Gauge("meshc_dropped_log_lines", "Lines of access logs that were lost.", registry=self._registry)
        self._known: set[str] = set()

    def take(self, record: Record) -> None:
        """Count a record."""
        direction, to = record.direction, record.to or "unknown"
        if record.method is None:
            self._connections.labels(direction, to, record.flags).inc()
        else:
            self._requests.labels(direction, to, str(record.status or 0), record.flags).inc()
            self._seconds.labels(direction, to).observe(record.duration_ms / 1000.0)
            if direction == "inbound":
                self._sources.labels(self._source(record.source), to).inc()
        self._bytes.labels(direction, to, "in").inc(record.bytes_in)
        self._bytes.labels(direction, to, "out").inc(record.bytes_out)

    def refused(self, reason: str) -> None:
        """Count what was refused before it was a request; reasons are the wire's own words."""
        self._refused.labels(reason if len(reason) < 40 and reason.isascii() else "other").inc()

    def reloaded(self, *, ok: bool) -> None:
        """Count a configuration that was taken or refused."""
        self._reloads.labels("taken" if ok else "refused").inc()

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)

    def _source(self, source: str | None) -> str:
        """An identity as a label; there are only so many, whatever a federated domain issues."""
        if source is None:
            return "none"
        if source not in self._known:
            if len(self._known) >= _MOST_SOURCES:
                return "other"
            self._known.add(source)
        return source
