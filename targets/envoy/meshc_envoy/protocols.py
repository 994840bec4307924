"""What is spoken to an upstream: the version of HTTP, and the protocols offered in TLS."""

from typing import Final

from meshc import ir
from meshc_envoy.shapes import Object

_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_SERVER_NAMES: Final[Object] = {"upstream_http_protocol_options": {"auto_sni": True, "auto_san_validation": True}}


def http1(*, server_names: bool = False) -> Object:
    options: Object = {"explicit_http_config": {"http_protocol_options": {}}}
    return _protocol(options | (_SERVER_NAMES if server_names else {}))


def http2() -> Object:
    return _protocol({"explicit_http_config": {"http2_protocol_options": {}}})


def negotiated(*, server_names: bool = False) -> Object:
    """HTTP/2 or HTTP/1.1, by ALPN; with `server_names` SNI and verification follow each request's host."""
    options: Object = {"auto_config": {"http_protocol_options": {}, "http2_protocol_options": {}}}
    return _protocol(options | (_SERVER_NAMES if server_names else {}))


def _protocol(options: Object) -> Object:
    return {_HTTP_OPTIONS: {"@type": f"type.googleapis.com/{_HTTP_OPTIONS}", **options}}


def protocol_options(protocol: ir.Protocol) -> Object | None:
    """What a cluster speaks upstream for a port of this protocol; None for bytes."""
    match protocol:
        case ir.Protocol.HTTP:
            return http1()
        case ir.Protocol.HTTP2 | ir.Protocol.GRPC:
            return http2()
        case ir.Protocol.HTTPS:
            return negotiated()
        case ir.Protocol.TCP | ir.Protocol.TLS:
            return None


def alpn(protocol: ir.Protocol) -> tuple[str, ...]:
    """The application protocols that a caller's sidecar offers for a port of this protocol."""
    match protocol:
        case ir.Protocol.HTTP:
            return ("http/1.1",)
        case ir.Protocol.HTTP2 | ir.Protocol.GRPC:
            return ("h2",)
        case ir.Protocol.HTTPS:
            return ("h2", "http/1.1")
        case ir.Protocol.TCP | ir.Protocol.TLS:
            return ()
