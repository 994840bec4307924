"""What is told of each request and connection: one record, for logs, metrics and whoever watches."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from meshc.semantics.facts import Facts
from meshc.source import Span


@dataclass(slots=True, kw_only=True)
class Record:
    """One request, or one connection to a port of bytes (which has no `method`), as it ends.

    `source` is the caller's verified identity, `to` the destination as `namespace.service:port`, `rule` and `route` the
    places that decided. `flags` are Envoy's response flags, `details` its words. Sizes are in bytes.
    """

    direction: str
    source: str | None
    source_ip: str
    to: str
    started: float = field(default_factory=time.time)
    began: float = field(default_factory=time.monotonic)
    protocol: str = ""
    method: str | None = None
    host: str = ""
    path: str = ""
    server_name: str | None = None
    request_id: str = ""
    trace_id: str = ""
    status: int | None = None
    grpc_status: int | None = None
    rule: Span | None = None
    route: Span | None = None
    shadow: tuple[Span, ...] = ()
    flags: str = "-"
    details: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    upstream: str = ""
    sent_to: str = ""
    duration_ms: int = 0
    facts: Facts | None = None

    def finish(self) -> None:
        """Set the duration to the time since it began."""
        self.duration_ms = int((time.monotonic() - self.began) * 1000)


Sink = Callable[[Record], None]
"""Takes every record when it is complete; must not raise and must not wait."""
