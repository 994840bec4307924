"""Access logs: a line for each record, in the fields of `docs/language/limits-telemetry.md`.

Lines are written by a thread of their own: a sink that stands still loses lines, which are counted, and holds nobody up.
"""

import json
import queue
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Final

from meshc.ir import ALWAYS, ANY_PATH, Effect, External, Mesh, Route, Workload
from meshc.semantics.conditions import Check, condition_check
from meshc.semantics.show import show_condition, show_operation
from meshc.source import Span
from meshc_proxy.io.records import Record
from meshc_proxy.policy.replies import ACCESS_DENIED

_MOST_WAITING: Final = 4096
Json = str | int | float | None


class Names:
    """What rules and routes are called, by their places."""

    def __init__(self, mesh: Mesh) -> None:
        self.rules: dict[Span, str] = {}
        self.shadows: dict[Span, tuple[Effect, str]] = {}
        self.routes: dict[Span, str] = {}
        owners: tuple[Workload | External, ...] = (*mesh.workloads, *mesh.externals)
        for owner in owners:
            for port in owner.ports:
                for stage in port.access:
                    for rule in stage.rules:
                        self.rules[rule.span] = rule.identifier
                        if stage.shadow:
                            self.shadows[rule.span] = (stage.effect, rule.identifier)
                for route in port.routes:
                    self.routes[route.span] = _called(route)


def _called(route: Route) -> str:
    """The operation of a route; empty for the one that takes the rest."""
    if route.path == ANY_PATH and not route.methods and route.condition == ALWAYS and route.callers is None:
        return ""
    condition = "" if route.condition == ALWAYS else f" when {show_condition(route.condition)}"
    return show_operation(route.methods, route.path) + condition


def line_of(record: Record, names: Names) -> Mapping[str, Json]:
    """The fields of one line."""
    shadows = [names.shadows[one] for one in record.shadow if one in names.shadows]
    by_effect = {effect: min(name for at, name in shadows if at is effect) for effect in {at for at, _ in shadows}}
    is_request = record.method is not None
    first: dict[str, Json] = {
        "time": _time(record.started),
        "direction": record.direction,
        "from": record.source,
        "source_ip": record.source_ip,
        "to": record.to or None,
    }
    if is_request:
        first |= {"status": record.status or 0, "grpc_status": record.grpc_status}
    first |= {
        "rule": names.rules.get(record.rule) if record.rule is not None else None,
        "shadow_deny": by_effect.get(Effect.DENY),
        "shadow_allow": by_effect.get(Effect.ALLOW),
        "flags": record.flags,
        "details": _details(record, names),
        "bytes_in": record.bytes_in,
        "bytes_out": record.bytes_out,
        "duration_ms": record.duration_ms,
        "upstream": record.upstream or None,
    }
    if record.direction == "outbound":
        first["sent_to"] = record.sent_to or None
    if not is_request:
        return {**first, "server_name": record.server_name}
    return {
        **first,
        "trace_id": record.trace_id or None,
        "protocol": record.protocol or None,
        "method": record.method or None,
        "host": record.host or None,
        "path": record.path or None,
        "route": (names.routes.get(record.route) or None) if record.route is not None else None,
        "request_id": record.request_id or None,
    }


def _details(record: Record, names: Names) -> str | None:
    """Envoy's words; of a refusal by rules they name the rule."""
    if record.details == ACCESS_DENIED.details:
        name = names.rules.get(record.rule) if record.rule is not None else None
        return f"{record.details}[{name or 'none'}]"
    return record.details or None


def written(line: Mapping[str, Json], form: str) -> str:
    """A line as text: JSON, or names and values. Neither can be broken by what a caller sends."""
    if form == "json":
        return json.dumps(line, separators=(",", ":"))
    return " ".join(f"{name}={_plain(value)}" for name, value in line.items())


def _plain(value: Json) -> str:
    if value is None:
        return "-"
    return json.dumps(value) if isinstance(value, str) else str(value)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class AccessLogs:
    """The logs of one workload: what its telemetry asks for, written to one stream."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(_MOST_WAITING)
        self._names: Names | None = None
        self._logs: tuple[tuple[str, Check | None], ...] = ()
        self.dropped = 0
        self._thread = threading.Thread(target=self._write, daemon=True, name="access-log")
        self._thread.start()

    def load(self, mesh: Mesh, workload: tuple[str, str]) -> None:
        """Log as a workload of a mesh is told to."""
        telemetry = next(one.telemetry for one in mesh.workloads if (one.namespace, one.name) == workload)
        self._logs = tuple(
            (log.format, None if log.condition == ALWAYS else condition_check(log.condition))
            for log in telemetry.access_logs
        )
        self._names = Names(mesh)

    def take(self, record: Record) -> None:
        """Log a record, where a log's condition holds, or cannot be tested: that should be seen."""
        if self._names is None or not self._logs:
            return
        line = line_of(record, self._names)
        for form, holds in self._logs:
            if holds is None or record.facts is None or holds(record.facts):
                try:
                    self._lines.put_nowait(written(line, form))
                except queue.Full:
                    self.dropped += 1

    def close(self) -> None:
        """Write what waits, for a second at most."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(timeout=1.0)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._stream.write(line + "\n")
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                self.dropped += 1
