"""What a client speaks, from the first bytes of its connection: for ports that take TLS and plaintext alike."""

from enum import Enum
from typing import Final

from meshc_proxy.wire.frames import PREFACE
from meshc_proxy.wire.grammar import METHODS

_HANDSHAKE: Final = 0x16
_MAJOR: Final = 0x03
_LONGEST_METHOD: Final = max(len(method) for method in METHODS)


class Spoken(Enum):
    """The protocol of a connection. OPAQUE is anything else: on an HTTP port it is refused."""

    TLS = "tls"
    HTTP1 = "http1"
    HTTP2 = "http2"
    OPAQUE = "opaque"


def sniff(first: bytes) -> Spoken | None:
    """What `first`, the first bytes, begin; None if more are needed, of which at most 24 are.

    HTTP/1.1 is what begins with a method and a blank; whether it is a request at all is for the gate to say.
    """
    if not first:
        return None
    if first[0] == _HANDSHAKE:
        if len(first) < 2:
            return None
        return Spoken.TLS if first[1] == _MAJOR else Spoken.OPAQUE
    if first.startswith(PREFACE):
        return Spoken.HTTP2
    if PREFACE.startswith(first):
        return None
    return _sniff_http1(first)


def _sniff_http1(first: bytes) -> Spoken | None:
    method, blank, _ = first[: _LONGEST_METHOD + 1].partition(b" ")
    if blank:
        return Spoken.HTTP1 if method in METHODS or method == b"PRI" else Spoken.OPAQUE
    may_become = any(known.startswith(method) for known in METHODS)
    return None if may_become else Spoken.OPAQUE
