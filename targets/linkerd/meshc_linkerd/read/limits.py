"""HTTPLocalRateLimitPolicy: limits of servers -> limits of ports.

Source: policy.linkerd.io/v1alpha1; linkerd2-proxy `linkerd/app/inbound/src/policy/http`. Buckets hold the tokens of one second. A server has
one policy; servers of gRPC and of connections have none.
"""

from collections.abc import Sequence

from meshc import ir
from meshc.reading import ConfigObject
from meshc.reading.plain import mapping
from meshc_linkerd.read.account import NotUnderstoodError
from meshc_linkerd.read.authorities import GROUP
from meshc_linkerd.read.fields import Fields

_SECOND = 1_000


def is_limit_of(one: ConfigObject, server: ConfigObject) -> bool:
    """Whether a policy names a server of its own namespace."""
    target = mapping(mapping(one.data.get("spec")).get("targetRef"))
    named = (target.get("group"), target.get("kind"), target.get("name"))
    return one.namespace == server.namespace and named == (GROUP, "Server", server.name)


def limits_of(policies: Sequence[ConfigObject]) -> tuple[ir.RateLimit, ...]:
    """The limits of a port by the policies of its server. Raises NotUnderstoodError."""
    if len(policies) > 1:
        raise NotUnderstoodError("several limits of one server, of which the oldest counts", "spec")
    found: list[ir.RateLimit] = []
    for one in policies:
        spec = Fields.spec(one)
        spec.ignore("targetRef")
        if list(spec.each("overrides")):
            raise spec.error("limits for single callers cannot be said", "overrides")
        rates = {per: _rate(spec, name) for name, per in (("total", None), ("identity", "source"))}
        spec.finish()
        total, each = rates[None], rates["source"]
        if total is not None and each is not None and each > total:
            raise spec.error("a caller's limit above that of all is refused by Linkerd", "identity")
        found += (_limit(rate, per, one) for per, rate in rates.items() if rate is not None)
    return tuple(found)


def _limit(rate: int, per: str | None, policy: ConfigObject) -> ir.RateLimit:
    return ir.RateLimit(tokens=rate, per_ms=_SECOND, burst=rate, per=per, condition=ir.ALWAYS, span=policy.span("spec"))


def _rate(spec: Fields, name: str) -> int | None:
    if not spec.has(name):
        spec.ignore(name)
        return None
    written = spec.fields(name)
    rate = written.number("requestsPerSecond")
    written.finish()
    if rate is None or rate <= 0:
        raise written.error("a limit that is no number above 0 is refused by Linkerd", "requestsPerSecond")
    return rate
