"""The protocol of a Service's port, as Istio reads it from `appProtocol` and from the port's name.

Source: Istio `pkg/config/kube/conversion.go`, "Protocol Selection". Istio sniffs where nothing is said; here that is `tcp`,
the protocol that promises least.
"""

from collections.abc import Mapping
from typing import Final

UNSUPPORTED: Final = "udp"
"""What no mesh carries."""

_APP_PROTOCOLS: Final[Mapping[str, str]] = {
    "kubernetes.io/h2c": "http2",
    "kubernetes.io/ws": "http",
    "kubernetes.io/wss": "tls",
}

_WORDS: Final[Mapping[str, str]] = {
    "http": "http",
    "http2": "http2",
    "grpc": "grpc",
    "tcp": "tcp",
    "tls": "tls",
    "https": "tls",
    "mongo": "tcp",
    "mysql": "tcp",
    "redis": "tcp",
    "udp": UNSUPPORTED,
}


def port_protocol(app_protocol: str | None, port_name: str | None) -> str:
    """The protocol of a port, in the words of a `port` declaration, or `UNSUPPORTED`.

    An `appProtocol` decides alone, even one that nobody knows.
    """
    said = app_protocol or port_name or ""
    if app_protocol is not None and app_protocol in _APP_PROTOCOLS:
        return _APP_PROTOCOLS[app_protocol]
    word = said.lower()
    if word.startswith("grpc-web"):
        return "http"
    return _WORDS.get(word.partition("-")[0], "tcp")
