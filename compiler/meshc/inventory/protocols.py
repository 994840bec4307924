"""Protocols: what a Service's port speaks, by its appProtocol, else by the prefix of its name, else TCP.

Source: Istio, `pkg/config/kube/conversion.go`, `ConvertProtocol`. Where Istio would sniff, a program says `tcp`.
"""

from collections.abc import Mapping
from typing import Final

_STANDARD: Final[Mapping[str, str]] = {
    "kubernetes.io/h2c": "http2",
    "kubernetes.io/ws": "http",
    "kubernetes.io/wss": "tls",
}
_BY_NAME: Final[Mapping[str, str]] = {
    "http": "http",
    "http_proxy": "http",
    "http2": "http2",
    "grpc": "grpc",
    "tcp": "tcp",
    "tls": "tls",
    "https": "tls",
    "mongo": "tcp",
    "mysql": "tcp",
    "redis": "tcp",
}
"""`https` is `tls`: a sidecar passes through what the application encrypts."""

_GRPC_WEB: Final = "grpc-web"


def choose_protocol(app_protocol: str | None, port_name: str | None) -> str | None:
    """The word of the language for a TCP port's protocol; None where the port's name says that it is UDP.

    An appProtocol that is not known means TCP, whatever the name: the name is not asked where there is one.
    """
    if app_protocol is not None and app_protocol in _STANDARD:
        return _STANDARD[app_protocol]
    word = (app_protocol or port_name or "").lower()
    if word.startswith(_GRPC_WEB):
        return "http"  # gRPC-Web is a POST that HTTP/1.1 can carry
    prefix = word.partition("-")[0]
    return None if prefix == "udp" else _BY_NAME.get(prefix, "tcp")
