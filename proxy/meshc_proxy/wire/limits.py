"""Every limit of the wire, with its name and default. Sizes are in bytes, times in seconds, unless said otherwise.

A limit is never off: a peer that nobody bounds decides how much memory the proxy uses.
"""

from dataclasses import dataclass

_KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLimits:
    """The size of one message's head, and of its trailers, in both versions.

    Over `head_bytes` or `header_lines` is answered 431, over `target_bytes` 414.
    Source: Envoy `max_request_headers_kb` (60) and `max_headers_count` (100).
    """

    head_bytes: int = 60 * _KIB
    header_lines: int = 100
    target_bytes: int = 8 * _KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Http1Limits:
    """Limits of one HTTP/1.1 connection.

    `chunk_line_bytes` bounds a chunk's size line with its extensions. `held_bytes` is how much of what comes after the
    current request is kept before reading pauses. `head_seconds` runs from the first byte of a head (on a new connection
    from its start) to its end, `idle_seconds` between two requests.
    """

    head: HeadLimits = HeadLimits()
    chunk_line_bytes: int = 256
    held_bytes: int = 64 * _KIB
    head_seconds: float = 10.0
    idle_seconds: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Http2Limits:
    """Limits of one HTTP/2 connection; over a flood budget the connection is cut with ENHANCE_YOUR_CALM.

    `resets` counts streams that the peer reset, or made us reset, within `reset_seconds`; `control_frames` counts SETTINGS,
    PING, PRIORITY, WINDOW_UPDATE, unknown and empty DATA frames within `control_seconds`, where each DATA frame that
    we send earns the peer `control_frames_earned` PING or WINDOW_UPDATE frames more. `output_bytes` bounds what the peer
    leaves unread. `head_seconds` bounds the handshake of settings and each unfinished header block.
    """

    head: HeadLimits = HeadLimits()
    streams: int = 100
    stream_window: int = 64 * _KIB
    connection_window: int = 1024 * _KIB
    frame_bytes: int = 16 * _KIB
    resets: int = 100
    reset_seconds: float = 1.0
    control_frames: int = 200
    control_seconds: float = 10.0
    control_frames_earned: int = 10
    output_bytes: int = 256 * _KIB
    head_seconds: float = 10.0
    idle_seconds: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsLimits:
    """Limits of one TLS connection: its handshake's time and bytes, and the length of a peer's chain of certificates."""

    handshake_seconds: float = 5.0
    handshake_bytes: int = 64 * _KIB
    chain_certificates: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits of the connections that a sidecar accepts. `first_seconds` is how long a client may take to show what it speaks."""

    first_seconds: float = 5.0
    http1: Http1Limits = Http1Limits()
    http2: Http2Limits = Http2Limits()
