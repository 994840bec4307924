"""The HTTP connection manager of a listener, with every default that the language sets otherwise written out."""

from typing import Final

from meshc.target import Json
from meshc_envoy.requests import internal_headers_removed, local_replies, normalization
from meshc_envoy.shapes import Object, extension

_MANAGER: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER: Final = "envoy.extensions.filters.http.router.v3.Router"
_METRICS_TIMEOUT: Final = "10s"
_LARGEST_ANSWER: Final = 4096
"""Envoy's own limit on the bodies of fixed answers, in bytes."""


def inbound_manager(
    name: str,
    virtual_host: Object,
    filters: list[Json],
    *,
    trusted_hops: int,
    has_jwt: bool,
    websocket: bool,
    telemetry: Object,
) -> Object:
    """The manager of a server's listener: the peer is untrusted, its address and identity come from the connection.

    `internal_address_config` stays absent: written at all, it would make private peers trusted. `telemetry` are the fields
    that log and trace.
    """
    edge: Object = {
        "use_remote_address": True,
        **({"xff_num_trusted_hops": trusted_hops} if trusted_hops else {}),
        "strip_any_host_port": True,
        "strip_trailing_host_dot": True,
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"uri": True},
        "local_reply_config": local_replies(has_jwt=has_jwt),
        **telemetry,
    }
    return _manager(name, [virtual_host], edge, filters, websocket=websocket)


def outbound_manager(
    name: str,
    virtual_hosts: list[Json],
    filters: list[Json],
    *,
    largest_answer: int,
    has_timeouts: bool,
    telemetry: Object,
) -> Object:
    """The manager of the application's own listener: X-Forwarded-For is passed on as the application wrote it.

    `largest_answer` is the size in bytes of the largest body that a route answers with; `has_timeouts` whether any route
    has one, `telemetry` the fields that log and trace.
    """
    edge: Object = {
        "use_remote_address": False,
        "skip_xff_append": True,
        "strip_trailing_host_dot": True,
        "local_reply_config": local_replies(has_timeouts=has_timeouts),
        **telemetry,
    }
    body_size: Object = (
        {"max_direct_response_body_size_bytes": largest_answer} if largest_answer > _LARGEST_ANSWER else {}
    )
    return _manager(name, virtual_hosts, edge, filters, websocket=True, route_fields=body_size)


def metrics_manager(name: str, virtual_host: Object) -> Object:
    """The manager of the listener that shows metrics: to anybody, and without upgrades."""
    edge: Object = {"use_remote_address": True, "request_timeout": _METRICS_TIMEOUT}
    return _manager(name, [virtual_host], edge, [], websocket=False)


def _manager(
    name: str,
    virtual_hosts: list[Json],
    edge: Object,
    filters: list[Json],
    *,
    websocket: bool,
    route_fields: Object | None = None,
) -> Object:
    router = extension("envoy.filters.http.router", _ROUTER, suppress_envoy_headers=True)
    upgrades: Object = {"upgrade_configs": [{"upgrade_type": "websocket"}]} if websocket else {}
    return extension(
        "envoy.filters.network.http_connection_manager",
        _MANAGER,
        stat_prefix=name,
        **normalization(),
        **edge,
        early_header_mutation_extensions=[internal_headers_removed()],
        common_http_protocol_options={"headers_with_underscores_action": "REJECT_REQUEST"},
        server_header_transformation="PASS_THROUGH",
        generate_request_id=True,
        preserve_external_request_id=True,
        stream_idle_timeout="0s",
        **upgrades,
        http_filters=[*filters, router],
        route_config={"name": name, **(route_fields or {}), "virtual_hosts": list(virtual_hosts)},
    )


def plain_route(cluster: str) -> Object:
    """The route for every path to one cluster, without Envoy's time limit of 15 s."""
    return {"match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "0s", "idle_timeout": "0s"}}
