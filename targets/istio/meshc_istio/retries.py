"""Retries, always written out: without them Istio would retry twice by itself. The budget is the DestinationRule's."""

from typing import Final

from meshc import ir
from meshc_istio.durations import duration
from meshc_istio.resources.networking import HttpRetry

NEVER: Final = HttpRetry(attempts=0)


def http_retry(retry: ir.Retry | None) -> HttpRetry:
    """The retries of a route; a status code among the conditions stands for itself."""
    if retry is None:
        return NEVER
    words = (*retry.conditions, *(str(status) for status in retry.statuses))
    return HttpRetry(
        attempts=retry.attempts,
        retry_on=",".join(words),
        per_try_timeout=None if retry.per_try_ms is None else duration(retry.per_try_ms),
        backoff=None if retry.backoff_ms is None else duration(retry.backoff_ms[0]),
    )
