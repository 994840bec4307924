"""The features of authentication, rate limits and telemetry: what a server's own sidecar does beside access."""

from collections.abc import Iterator
from typing import Final

from meshc import ir
from meshc.features import Feature
from meshc.passes.access_features import Use, condition_features

_JWKS: Final = {"file": Feature.JWT_JWKS_FILE, "url": Feature.JWT_JWKS_URL, "inline": Feature.JWT_JWKS_INLINE}
DEFAULT_TOKEN_HEADERS: Final = (("authorization", "Bearer "),)
"""Where tokens are read from unless a `jwt` block says otherwise: pairs of header and prefix."""


def authentication_features(port: ir.PortPolicy) -> Iterator[Use]:
    """The features of a port's issuers of tokens."""
    if len(port.jwts) > 1:
        yield Feature.JWT_SEVERAL, port.jwts[1].span
    for jwt in port.jwts:
        yield Feature.JWT, jwt.span
        yield _JWKS[jwt.jwks_kind], jwt.span
        if jwt.audiences:
            yield Feature.JWT_AUDIENCES, jwt.span
        if tuple((name.lower(), prefix) for name, prefix in jwt.from_headers) != DEFAULT_TOKEN_HEADERS:
            yield Feature.JWT_FROM_HEADER, jwt.span
        if jwt.forward:
            yield Feature.JWT_FORWARD, jwt.span
        if jwt.required:
            yield Feature.JWT_REQUIRED, jwt.span


def limit_features(limit: ir.RateLimit) -> Iterator[Use]:
    """The features of one rate limit."""
    yield Feature.RATE_LIMIT, limit.span
    if limit.per == "source":
        yield Feature.RATE_LIMIT_PER_SOURCE, limit.span
    elif limit.per is not None:
        yield Feature.RATE_LIMIT_PER_HEADER, limit.span
    if limit.condition != ir.ALWAYS:
        yield Feature.RATE_LIMIT_CONDITION, limit.span
        for feature in condition_features(limit.condition):
            yield feature, limit.span


def telemetry_features(telemetry: ir.Telemetry) -> Iterator[Use]:
    """The features of a workload's telemetry."""
    for log in telemetry.access_logs:
        yield (Feature.ACCESS_LOG_JSON if log.format == "json" else Feature.ACCESS_LOG_TEXT), log.span
        if log.condition != ir.ALWAYS:
            yield Feature.ACCESS_LOG_CONDITION, log.span
            for feature in condition_features(log.condition):
                yield feature, log.span
    if telemetry.trace is not None:
        yield Feature.TRACE, telemetry.trace.span
    if telemetry.metrics and telemetry.metrics_span is not None:
        yield Feature.METRICS, telemetry.metrics_span
