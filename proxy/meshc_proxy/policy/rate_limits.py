"""Rate limits: token buckets that refill evenly, one for each limit, source or value.

The buckets are the only state of the policy ring; they outlive a snapshot where the limit is the same. Time never runs
backwards in them.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from meshc.ir import RateLimit

MOST_BUCKETS: Final = 65_536
"""How many sources or values of one limit have a bucket at once; beyond, the one unused for longest starts anew."""

LONGEST_VALUE: Final = 2048
"""A longer value of a header shares its bucket with those that begin alike; in characters."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """The buckets of one limit. `take` says whether there was a token for `key`, and takes it."""

    def __init__(self, limit: RateLimit) -> None:
        self._burst = float(limit.burst)
        self._per_second = limit.tokens * 1000.0 / limit.per_ms
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str, now: float) -> bool:
        """`now` is monotonic seconds."""
        key = key[:LONGEST_VALUE]
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._burst, now)
            if len(self._buckets) > MOST_BUCKETS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        elapsed = max(now - bucket.at, 0.0)
        bucket.tokens = min(bucket.tokens + elapsed * self._per_second, self._burst)
        bucket.at = max(now, bucket.at)
        # A sum of many small fractions may miss a whole token by rounding.
        if bucket.tokens < 1.0 - 1e-9:
            return False
        bucket.tokens -= 1.0
        return True
