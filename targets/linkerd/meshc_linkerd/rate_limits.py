"""Rate limits -> HTTPLocalRateLimitPolicy: one limit of all requests to a port, and one of each client.

Linkerd's buckets hold one second's tokens. Of several limits of a kind the smallest says everything, since a larger bucket
that fills faster never runs out before it.
"""

from collections.abc import Iterator

from meshc import ir
from meshc.diagnostics import Diagnostic, diagnose
from meshc_linkerd.resources.policy import HTTPLocalRateLimitPolicySpec, LocalRef, Rate


def rate_limit_spec(port: ir.PortPolicy, target: LocalRef) -> HTTPLocalRateLimitPolicySpec | None:
    """The limits of a port as far as they can be expressed; None where there is none."""
    total = min((rate for limit in port.limits if limit.per is None and (rate := _rate(limit))), default=None)
    each = min((rate for limit in port.limits if limit.per == "source" and (rate := _rate(limit))), default=None)
    if total is not None and each is not None and each >= total:
        each = None  # a client's bucket would never run out before the one of all clients, and is refused at admission
    if total is None and each is None:
        return None
    return HTTPLocalRateLimitPolicySpec(
        target_ref=target,
        total=None if total is None else Rate(requests_per_second=total),
        identity=None if each is None else Rate(requests_per_second=each),
    )


def check_rate_limits(port: ir.PortPolicy, *, omit: bool) -> Iterator[Diagnostic]:
    """What cannot be expressed of a port's limits, apart from what the support table says; errors unless `omit`."""
    for limit in port.limits:
        if limit.per not in {None, "source"} or limit.condition != ir.ALWAYS:
            continue
        rate = _rate(limit)
        if rate is None:
            message = "linkerd limits whole requests per second, and saves up the tokens of one second"
            advice = "write a rate such as `100/s` without `burst`"
            if omit:
                yield diagnose("target-differs", limit.span, f"this limit is left out: {message}", advice=advice)
            else:
                yield diagnose("unsupported-by-target", limit.span, message, advice=advice)
            continue
        if limit.burst > rate:
            message = f"linkerd saves up the tokens of one second, so this limit has a burst of {rate}"
            yield diagnose("target-differs", limit.span, message, advice="leave `burst` out, or write a larger rate")
        if limit.per == "source" and port.mtls is not ir.MtlsMode.STRICT:
            message = f"on linkerd, callers of port {port.number} without an identity share one bucket"
            advice = "make mTLS strict there, or limit all requests together"
            yield diagnose("target-differs", limit.span, message, advice=advice)


def _rate(limit: ir.RateLimit) -> int | None:
    """Whole requests per second of a limit that Linkerd can have, with a burst that is no larger; None for others."""
    if limit.per not in {None, "source"} or limit.condition != ir.ALWAYS:
        return None
    rate, rest = divmod(limit.tokens * 1000, limit.per_ms)
    return rate if rate and not rest and limit.burst >= rate else None
