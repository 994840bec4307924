"""Translate: a `Request` into the bytes that a client sends, and what comes back into an `Observation`."""

import json
from collections.abc import Mapping
from dataclasses import replace
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
from meshc.engine.http_server import Headers
from meshc.engine.observation import Observation, Received, Redirected, TextHeaders
from meshc.engine.tokens import TokenIssuer
from meshc.ir import PortPolicy, Protocol
from meshc.request import Claim, Request

_GRPC_TO_HTTP: Final[Mapping[int, int]] = {7: 403, 8: 429, 12: 404, 13: 400, 14: 503, 16: 401}
"""The statuses of local replies to gRPC calls, as Envoy maps them, with 8 for what rate limits refuse (elsewhere Envoy
makes 14 of 429). Source: Envoy "gRPC status mapping".
"""
_REFUSALS: Final = frozenset({400, 401, 403, 404, 429})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SERVER_ERROR: Final = 500


class EngineError(Exception):
    """The engine itself failed, so that nothing can be said of a request; the text is meant for the user."""


def to_message(
    request: Request, port: PortPolicy, host: str, issuer: TokenIssuer, *, is_encrypted: bool
) -> HttpMessage | Line:
    """What to send for a request to a port; `host` is the one that a request without a host of its own carries.

    `is_encrypted` if it is sent over TLS, as the scheme of an HTTP/2 request says.
    """
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
        message = grpc_call(target, authority, encoded)
    else:
        message = Http2Request(method=method, path=target, authority=authority, headers=encoded)
    return message if is_encrypted else replace(message, scheme=b"http")


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


def to_observation(outcome: Outcome, request: Request, port: PortPolicy, *, is_inbound: bool) -> Observation:
    """What an outcome says of a request as it was sent. `is_inbound` if it went straight to the server's sidecar.

    Raises EngineError for what is no decision: a time-out, or an error of the proxy's own.
    """
    match outcome:
        case Greeted(served_by=served_by):
            return Observation(allowed=True, served_by=served_by)
        case Refused() | StreamReset():
            return Observation(allowed=False)
        case Answered() if outcome.served_by is not None:
            received = _received(outcome)
            return Observation(
                allowed=True, served_by=outcome.served_by, received=received, headers=_texts(outcome.headers)
            )
        case Answered():
            return _inbound_answer(outcome) if is_inbound else _outbound_answer(outcome, request)
        case Broken(detail=detail):
            if port.protocol.is_http:
                raise EngineError(f"the answer broke off: {detail}")
            return Observation(allowed=False)
        case TimedOut(after_s=after):
            raise EngineError(f"no answer within {after:g} s")


def _inbound_answer(answer: Answered) -> Observation:
    """What a server's sidecar answers by itself, which can only be a refusal."""
    status = _status(answer)
    if status is None:
        raise EngineError(f"the proxy answered with gRPC status {answer.grpc_status}: {_shown(answer)}")
    if status >= _SERVER_ERROR:
        raise EngineError(f"the proxy answered {status}: {_shown(answer)}")
    return Observation(allowed=False, status=status, grpc_status=answer.grpc_status, headers=_texts(answer.headers))


def _outbound_answer(answer: Answered, request: Request) -> Observation:
    """What some proxy on the way answers, the caller's own among them."""
    status = _status(answer)
    location = answer.header(b"location")
    is_redirect = location is not None and status in {None, *_REDIRECTS}
    return Observation(
        allowed=False if status in _REFUSALS else None,
        status=status,
        grpc_status=answer.grpc_status,
        redirect=_redirected(location.decode("latin-1"), request) if location is not None and is_redirect else None,
        headers=_texts(answer.headers),
    )


def _status(answer: Answered) -> int | None:
    """The HTTP status that a proxy meant; None where an answer to a gRPC call does not tell."""
    if answer.grpc_status is None:
        return answer.status
    return _GRPC_TO_HTTP.get(answer.grpc_status)


def _redirected(location: str, request: Request) -> Redirected:
    query = _target(request).decode("latin-1").partition("?")
    host, colon, port = (request.host or "").partition(":")
    # The sidecar drops a trailing dot before it forms the Location.
    return Redirected(
        location=location, origin=f"http://{host.removesuffix('.')}{colon}{port}", query=query[2] if query[1] else None
    )


def _received(answer: Answered) -> Received | None:
    """What a stub says that it got. Source: `meshc.engine.stubs`."""
    if answer.header(b"content-type") != b"application/json" or not answer.body:
        return None
    told = json.loads(answer.body)
    headers = [(str(name).lower(), str(value)) for name, value in told["headers"]]
    hosts = [value for name, value in headers if name in {":authority", "host"}]
    return Received(
        method=str(told["method"]), path=str(told["path"]), host=hosts[0] if hosts else None, headers=tuple(headers)
    )


def _texts(headers: Headers) -> TextHeaders:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def _shown(answer: Answered) -> str:
    message = answer.header(b"grpc-message")
    return json.dumps((message or answer.body[:200]).decode("latin-1"))
