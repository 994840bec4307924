"""Translate: a `Request` into the bytes that a client sends, and what comes back into an `Observation`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.engine.exchange import (
    Answered,
    Broken,
    Greeted,
    Http1Request,
    Http2Request,
    HttpMessage,
    Line,
    Outcome,
    Refused,
    StreamReset,
    TimedOut,
    grpc_call,
)
from meshc.engine.tokens import TokenIssuer
from meshc.ir import PortPolicy, Protocol
from meshc.request import Claim, Request

_GRPC_TO_HTTP: Final[Mapping[int, int]] = {7: 403, 16: 401, 12: 404, 13: 400}
"""The statuses of local replies to gRPC calls, as Envoy maps them. Source: Envoy "gRPC status mapping"."""
_SERVER_ERROR: Final = 500


class EngineError(Exception):
    """The engine itself failed, so that nothing can be said of a request; the text is meant for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the wire showed of a request.

    `allowed` is None where the caller's own proxy answered. `status` is the status that a proxy answered with, None where
    the request was sent on or the connection refused. `served_by` is the service (and version) that answered, `redirect`
    the place that a proxy redirected to.
    """

    allowed: bool | None
    status: int | None = None
    served_by: str | None = None
    redirect: str | None = None


def to_message(request: Request, port: PortPolicy, host: str, issuer: TokenIssuer) -> HttpMessage | Line:
    """What to send for a request to a port; `host` is the one that a request without a host of its own carries."""
    if not port.protocol.is_http:
        return Line()
    method = (request.method or "GET").encode()
    target = _target(request)
    authority = (request.host if request.host is not None else host).encode("latin-1", "replace")
    is_http2 = port.protocol in {Protocol.HTTP2, Protocol.GRPC}
    headers = [(name.lower() if is_http2 else name, value) for name, value in request.headers]
    if request.claims is not None:
        headers.append(_token_header(request.claims, port, issuer))
    encoded = tuple((name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers)
    if not is_http2:
        return Http1Request(method=method, path=target, host=authority, headers=encoded)
    if port.protocol is Protocol.GRPC and method == b"POST" and not any(n == b"content-type" for n, _ in encoded):
        return grpc_call(target, authority, encoded)
    return Http2Request(method=method, path=target, authority=authority, headers=encoded)


def _target(request: Request) -> bytes:
    """The request target with its query; non-ASCII text as UTF-8, which proxies refuse."""
    target = request.path or "/"
    if request.query:
        more = "&".join(f"{name}={value}" for name, value in request.query)
        target += ("&" if "?" in target else "?") + more
    return target.encode("utf-8", "surrogateescape")


def _token_header(claims: Mapping[str, Claim], port: PortPolicy, issuer: TokenIssuer) -> tuple[str, str]:
    provider = _provider(claims, port)
    name, prefix = provider.from_headers[0] if provider is not None else ("authorization", "Bearer ")
    defaults: dict[str, Claim] = {}
    if provider is not None:
        defaults["iss"] = provider.issuer
        if provider.audiences:
            defaults["aud"] = provider.audiences[0]
    try:
        return name, prefix + issuer.sign({**defaults, **claims})
    except (TypeError, ValueError) as error:
        raise EngineError(f"a token with these claims cannot be signed: {error}") from error


def _provider(claims: Mapping[str, Claim], port: PortPolicy) -> ir.Jwt | None:
    issuer = claims.get("iss")
    for jwt in port.jwts:
        if jwt.issuer == issuer:
            return jwt
    return port.jwts[0] if port.jwts else None


def to_observation(outcome: Outcome, port: PortPolicy, *, is_inbound: bool) -> Observation:
    """What an outcome says. `is_inbound` if the request went straight to the server's sidecar.

    Raises EngineError for what is no decision: a time-out, or an error of the proxy's own.
    """
    match outcome:
        case Greeted(served_by=served_by):
            return Observation(allowed=True, served_by=served_by)
        case Refused() | StreamReset():
            return Observation(allowed=False)
        case Answered():
            return _answer(outcome, is_inbound=is_inbound)
        case Broken(detail=detail):
            if port.protocol.is_http:
                raise EngineError(f"the answer broke off: {detail}")
            return Observation(allowed=False)
        case TimedOut(after_s=after):
            raise EngineError(f"no answer within {after:g} s")


def _answer(answer: Answered, *, is_inbound: bool) -> Observation:
    if answer.served_by is not None:
        return Observation(allowed=True, served_by=answer.served_by)
    status = answer.status
    if answer.grpc_status is not None:
        status = _GRPC_TO_HTTP.get(answer.grpc_status, status)
        if status == 200:
            raise EngineError(f"the proxy answered with gRPC status {answer.grpc_status}: {_shown(answer)}")
    if status >= _SERVER_ERROR and is_inbound:
        raise EngineError(f"the proxy answered {status}: {_shown(answer)}")
    location = answer.header(b"location")
    if is_inbound or status in {401, 403, 404, 429, 400}:
        return Observation(allowed=False, status=status)
    return Observation(allowed=None, status=status, redirect=None if location is None else location.decode("latin-1"))


def _shown(answer: Answered) -> str:
    message = answer.header(b"grpc-message")
    return json.dumps((message or answer.body[:200]).decode("latin-1"))
