"""Retries, as Envoy's `RetryPolicy`. The budget is the cluster's (`meshc_envoy.upstreams`)."""

from typing import Final

from meshc import ir
from meshc_envoy.shapes import Object, extension, seconds

DEFAULT_BACKOFF_MS: Final = (25, 250)
"""Least and most, where the program does not say."""

BUDGET_FLOOR: Final = 3
"""How many retries a budget always lets run at once; without a floor, a quiet service would never be retried."""

_PREVIOUS_HOSTS: Final = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
_OTHER_HOST_ATTEMPTS: Final = 3


def retry_policy(retry: ir.Retry) -> Object:
    """The policy of a route; a retry goes to an endpoint that was not tried yet, where there is one."""
    words = [*retry.conditions, *(["retriable-status-codes"] if retry.statuses else [])]
    least, most = retry.backoff_ms or DEFAULT_BACKOFF_MS
    return {
        "retry_on": ",".join(words),
        **({"retriable_status_codes": list(retry.statuses)} if retry.statuses else {}),
        "num_retries": retry.attempts,
        **({"per_try_timeout": seconds(retry.per_try_ms)} if retry.per_try_ms is not None else {}),
        "retry_back_off": {"base_interval": seconds(least), "max_interval": seconds(most)},
        "retry_host_predicate": [extension("envoy.retry_host_predicates.previous_hosts", _PREVIOUS_HOSTS)],
        "host_selection_retry_max_attempts": _OTHER_HOST_ATTEMPTS,
    }
