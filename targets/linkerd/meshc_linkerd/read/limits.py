"""HTTPLocalRateLimitPolicy on a server -> limits: of all requests to its port, and of each caller's."""

from collections.abc import Iterator

from meshc import ir
from meshc.reading import ConfigObject
from meshc_linkerd.read.fields import Fields

_SECOND_MS = 1_000


def read_limits(one: ConfigObject) -> Iterator[ir.RateLimit]:
    """The limits of a policy; a bucket holds one second's tokens. Raises NotUnderstoodError."""
    spec = Fields.spec(one)
    spec.ignore("targetRef")
    if list(spec.each("overrides")):
        raise spec.error("limits of single callers cannot be said", "overrides")
    for name, per in (("total", None), ("identity", "source")):
        if not spec.has(name):
            continue
        rate = spec.fields(name)
        tokens = rate.number("requestsPerSecond")
        rate.finish()
        if tokens is None or tokens <= 0:
            raise rate.error("a limit is a positive number of requests", "requestsPerSecond")
        yield ir.RateLimit(
            tokens=tokens,
            per_ms=_SECOND_MS,
            burst=tokens,
            per=per,
            condition=ir.ALWAYS,
            span=one.span(*rate.steps),
        )
    spec.finish()
