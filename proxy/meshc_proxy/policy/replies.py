"""What the proxy answers itself, worded as Envoy 1.40 does.

Source: Envoy's local replies; to a gRPC request they are a status of gRPC's in a head without body, and HTTP 200.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import quote

from meshc_proxy.wire.bridge import is_grpc
from meshc_proxy.wire.events import Data, End, Headers, RequestHead, ResetReason, ResponseHead


class Flag(Enum):
    """Envoy's response flags, for logs and metrics."""

    NONE = "-"
    NO_ROUTE = "NR"
    RATE_LIMITED = "RL"
    FAULT_INJECTED = "FI"
    UPSTREAM_FAILED = "UF"
    UPSTREAM_ENDED = "UC"
    UPSTREAM_REFUSED = "UR"
    UPSTREAM_TIMEOUT = "UT"
    UPSTREAM_NOT_UNDERSTOOD = "UPE"
    NO_UPSTREAM = "UH"
    OVERFLOW = "UO"
    RETRIES_USED_UP = "URX"
    IDLE = "SI"
    CLIENT_LEFT = "DC"
    NOT_UNDERSTOOD = "DPE"
    DENIED = "UAEX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer of the proxy's own: `details` says why in Envoy's words, for logs; the client never sees it."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    flag: Flag = Flag.NONE
    details: str = ""


BAD_REQUEST: Final = Reply(status=400, headers=((b"connection", b"close"),), details="path_normalization_failed")
ACCESS_DENIED: Final = Reply(status=403, body=b"RBAC: access denied", details="rbac_access_denied_matched_policy")
RATE_LIMITED: Final = Reply(
    status=429, body=b"local_rate_limited", flag=Flag.RATE_LIMITED, details="local_rate_limited"
)
NO_ROUTE: Final = Reply(status=404, flag=Flag.NO_ROUTE, details="route_not_found")
NO_UPSTREAM: Final = Reply(
    status=503, body=b"no healthy upstream", flag=Flag.NO_UPSTREAM, details="no_healthy_upstream"
)
UPSTREAM_TIMEOUT: Final = Reply(
    status=504, body=b"upstream request timeout", flag=Flag.UPSTREAM_TIMEOUT, details="response_timeout"
)
UPSTREAM_NOT_UNDERSTOOD: Final = Reply(
    status=502,
    body=b"upstream connect error or disconnect/reset before headers. reset reason: protocol error",
    flag=Flag.UPSTREAM_NOT_UNDERSTOOD,
    details="upstream_reset_before_response_started{protocol_error}",
)
IDLE: Final = Reply(status=504, body=b"stream timeout", flag=Flag.IDLE, details="stream_idle_timeout")
OVERFLOW: Final = Reply(
    status=503,
    body=b"upstream connect error or disconnect/reset before headers. reset reason: overflow",
    headers=((b"x-envoy-overloaded", b"true"),),
    flag=Flag.OVERFLOW,
    details="upstream_reset_before_response_started{overflow}",
)

_GRPC_STATUSES: Final = {400: 13, 401: 16, 403: 7, 404: 12, 429: 8, 502: 14, 503: 14, 504: 14}
_UNKNOWN: Final = 2
_PLAIN_IN_MESSAGE: Final = " !\"#$&'()*+,/:;<=>?@[\\]^`{|}~"


UNTOLD: Final = "Jwt is missing"


def unauthenticated(text: str, realm: bytes = b"") -> Reply:
    """A token that is missing or bad; `text` is Envoy's sentence, `realm` the URL that was asked for."""
    error = b"" if text == UNTOLD else b', error="invalid_token"'
    challenge = (b"www-authenticate", b'Bearer realm="%b"%b' % (realm, error))
    details = f"jwt_authn_access_denied{{{text.replace(' ', '_')}}}"
    return Reply(status=401, body=text.encode(), headers=(challenge,), details=details)


def upstream_failed(flag: Flag, reason: str) -> Reply:
    """No answer came from where the request was sent; `reason` is Envoy's word for why."""
    text = f"upstream connect error or disconnect/reset before headers. reset reason: {reason}"
    details = f"upstream_reset_before_response_started{{{reason.replace(' ', '_')}}}"
    return Reply(status=503, body=text.encode(), flag=flag, details=details)


def upstream_reset(reason: ResetReason) -> Reply:
    """What the request was sent to ended the exchange before an answer."""
    match reason:
        case ResetReason.REFUSED:
            return upstream_failed(Flag.UPSTREAM_REFUSED, "remote refused stream reset")
        case ResetReason.PROTOCOL:
            return UPSTREAM_NOT_UNDERSTOOD
        case ResetReason.TRUNCATED:
            return upstream_failed(Flag.UPSTREAM_ENDED, "connection termination")
        case _:
            return upstream_failed(Flag.UPSTREAM_REFUSED, "remote reset")


def reply_events(request: RequestHead, reply: Reply) -> tuple[ResponseHead | Data | End, ...]:
    """The events that answer `request`."""
    if is_grpc(request.headers):
        return _grpc_events(request, reply)
    body = b"" if request.method == b"HEAD" else reply.body
    headers = reply.headers
    if reply.body:
        headers = ((b"content-length", b"%d" % len(reply.body)), (b"content-type", b"text/plain"), *headers)
    head = ResponseHead(stream=request.stream, status=reply.status, headers=headers, ends=not body)
    data = (Data(stream=request.stream, data=body),) if body else ()
    return (head, *data, End(stream=request.stream))


def _grpc_events(request: RequestHead, reply: Reply) -> tuple[ResponseHead | End, ...]:
    message = quote(reply.body, safe=_PLAIN_IN_MESSAGE).encode()
    headers: Headers = (
        (b"content-type", b"application/grpc"),
        (b"grpc-status", b"%d" % _GRPC_STATUSES.get(reply.status, _UNKNOWN)),
    )
    if message:
        headers = (*headers, (b"grpc-message", message))
    headers = (*headers, *reply.headers)
    return ResponseHead(stream=request.stream, status=200, headers=headers, ends=True), End(stream=request.stream)
