"""Metrics: one path of the admin interface, at a listener of its own, for Prometheus to read.

The listener passes on GET of `/stats/prometheus` without a query, and nothing else; the admin interface itself, which can
stop a sidecar and show its configuration, stays where it was. Where a sidecar has none, it gets one behind a Unix socket
that answers just that.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from meshc import ir
from meshc.addresses import inbound_ports
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.target import Json
from meshc_envoy.balancing import Address
from meshc_envoy.clusters import cluster
from meshc_envoy.connection_manager import metrics_manager
from meshc_envoy.options import SocketAddress
from meshc_envoy.protocols import http1
from meshc_envoy.shapes import Object, socket_address

METRICS_PORT: Final = 15090
METRICS_PATH: Final = "/stats/prometheus"

_CLUSTER: Final = "admin"
_TIMEOUT: Final = "10s"
_OWNER_ONLY: Final = 0o600


def admin_fields(admin: SocketAddress | None, socket: PurePosixPath, *, has_metrics: bool) -> Object:
    """The admin interface of a bootstrap: at its address, else, for metrics alone, at a Unix socket."""
    if admin is not None:
        return {"admin": {"address": socket_address(admin.host, admin.port)}}
    if not has_metrics:
        return {}
    # `/ready` is what supervisors ask.
    paths: list[Json] = [{"exact": METRICS_PATH}, {"exact": "/ready"}]
    return {"admin": {"address": {"pipe": {"path": str(socket), "mode": _OWNER_ONLY}}, "allow_paths": paths}}


def metrics_clusters(workload: ir.Workload, admin: SocketAddress | None, socket: PurePosixPath) -> list[Object]:
    """The cluster of the sidecar's own admin interface; none without metrics."""
    if not workload.telemetry.metrics:
        return []
    if admin is not None:
        return [cluster(_CLUSTER, [Address(host=admin.host, port=admin.port)], protocol=http1())]
    address: Json = {"pipe": {"path": str(socket)}}
    load: Json = {
        "cluster_name": _CLUSTER,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
    }
    return [{"name": _CLUSTER, "type": "STATIC", "connect_timeout": "5s", "load_assignment": load}]


def metrics_listeners(workload: ir.Workload, addresses: tuple[str, ...]) -> list[Object]:
    """The listener that Prometheus reads, at port 15090 of the sidecar's addresses; none without metrics."""
    if not workload.telemetry.metrics:
        return []
    first, *others = [socket_address(address, METRICS_PORT) for address in addresses]
    additional: list[Json] = [{"address": other} for other in others]
    return [
        {
            "name": "metrics",
            "address": first,
            **({"additional_addresses": additional} if additional else {}),
            "filter_chains": [{"filters": [metrics_manager("metrics", _host())]}],
        }
    ]


def _host() -> Object:
    headers: list[Json] = [
        {"name": ":method", "string_match": {"exact": "GET"}},
        # A query could ask for more than a scrape: regular expressions, other formats.
        {"name": ":path", "string_match": {"exact": METRICS_PATH}},
    ]
    match: Json = {"path": METRICS_PATH, "headers": headers}
    route: Json = {"match": match, "route": {"cluster": _CLUSTER, "timeout": _TIMEOUT}}
    return {"name": "metrics", "domains": ["*"], "routes": [route]}


def check_metrics(workload: ir.Workload) -> Iterator[Diagnostic]:
    """Ports of the workload that would be served, or listened on by its application, where metrics are."""
    asked = workload.telemetry.metrics_span
    for port in workload.ports if workload.telemetry.metrics else ():
        if METRICS_PORT in {*inbound_ports(workload, port), port.target}:
            message = f"on envoy, port {METRICS_PORT} is that of the sidecar's metrics"
            labels = () if asked is None else (Label(span=asked, text="metrics are asked for"),)
            advice = "choose another port, or leave `metrics` out for this service"
            yield diagnose("unsupported-by-target", port.span, message, labels=labels, advice=advice)
