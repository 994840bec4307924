"""Telemetry: what a sidecar's listeners report of the calls that they take, put together for each of them."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from meshc import ir
from meshc.target import Json, PortKey
from meshc_envoy.access_logs import Logging, LogPoint
from meshc_envoy.log_fields import HOST_DESTINATION, PEER_IDENTITY, VIRTUAL_HOST_METADATA, Direction, Ends, literal
from meshc_envoy.shapes import Object
from meshc_envoy.tracing import trace_fields


def inbound_point(workload: ir.Workload, port: ir.PortPolicy, file: PurePosixPath) -> LogPoint:
    """The logs of the listener of one service port."""
    ends = Ends(
        direction=Direction.INBOUND,
        source=PEER_IDENTITY,
        destination=_shown((workload.namespace, workload.name, port.number)),
    )
    return LogPoint(logs=workload.telemetry.access_logs, file=file, ends=ends, has_tokens=bool(port.jwts))


def outbound_point(workload: ir.Workload, destination: PortKey | None, file: PurePosixPath) -> LogPoint:
    """The logs of an outbound listener: that of one destination, or, for None, the one where the Host chooses it."""
    shown = HOST_DESTINATION if destination is None else _shown(destination)
    ends = Ends(direction=Direction.OUTBOUND, source=literal(workload.identity), destination=shown)
    return LogPoint(logs=workload.telemetry.access_logs, file=file, ends=ends)


def manager_fields(workload: ir.Workload, point: LogPoint, logging: Logging) -> Object:
    """The fields of a connection manager that logs and traces; none where nothing is asked for."""
    loggers: Object = {"access_log": list(logging.loggers)} if logging.loggers else {}
    return loggers | trace_fields(workload, point.ends.destination)


def with_destinations(workload: ir.Workload, hosts: list[Json], keys: Mapping[str, PortKey]) -> list[Json]:
    """The virtual hosts of a caller, each with the destination that its name stands for, if logs or traces tell it."""
    if not workload.telemetry.access_logs and workload.telemetry.trace is None:
        return hosts
    return [host | _metadata(keys[str(host["name"])]) if isinstance(host, dict) else host for host in hosts]


def _metadata(key: PortKey) -> Object:
    return {"metadata": {"filter_metadata": {VIRTUAL_HOST_METADATA: {"to": _shown(key)}}}}


def _shown(key: PortKey) -> str:
    namespace, name, port = key
    return f"{namespace}.{name}:{port}"
