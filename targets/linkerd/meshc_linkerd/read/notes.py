"""Annotations by which Linkerd sets timeouts, retries and ejection, of routes and of Services.

Source: linkerd2, `policy-controller/k8s/index`. Conditions of HTTP count on HTTPRoutes alone, those of gRPC on GRPCRoutes alone. Of a
Service they are for what no route says: a rule with any timeout has none of the Service's, an object with any word on retries none of its.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.reading import ConfigObject
from meshc.reading.plain import mapping
from meshc.source import Span
from meshc.target import Json
from meshc_linkerd.read.account import GROWING, Account, NotUnderstoodError
from meshc_linkerd.retry_codes import canonical

_TIMEOUT: Final = "timeout.linkerd.io"
_RETRY: Final = "retry.linkerd.io"
_ACCRUAL: Final = "balancer.linkerd.io/failure-accrual"
_KNOWN: Final = frozenset(
    {
        *(f"{_TIMEOUT}/{one}" for one in ("request", "response", "idle")),
        *(f"{_RETRY}/{one}" for one in ("http", "grpc", "limit", "timeout")),
        _ACCRUAL,
        *(f"{_ACCRUAL}-consecutive-{one}" for one in ("max-failures", "max-penalty", "min-penalty", "jitter-ratio")),
    }
)
_HARMLESS: Final = frozenset({"linkerd.io", "viz.linkerd.io", "config.linkerd.io"})
"""Domains that say nothing of how calls to a Service travel, or are judged elsewhere."""
_DURATION: Final = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_GRPC: Final = frozenset({"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"})
_RANGE: Final = re.compile(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?")
_ATTEMPTS: Final = 65_535
_FAILURES: Final = 7
_SHORTEST: Final = 1_000
_LONGEST: Final = 60_000
_ALL: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """In milliseconds, None for none."""

    request: int | None = None
    idle: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the annotations of an object say; `has_retry` where they say anything of retries."""

    timeouts: Timeouts = Timeouts()
    has_retry: bool = False
    retry: ir.Retry | None = None


def duration(text: str) -> int | None:
    """Milliseconds of a number with a unit; None for anything else, and for 0."""
    found = _DURATION.fullmatch(text.strip())
    return int(found[1]) * _UNITS[found[2]] or None if found is not None else None


class Notes:
    """Annotations, each with the object that has it."""

    def __init__(self, values: Mapping[str, tuple[Json, ConfigObject]]) -> None:
        self._values = values

    @classmethod
    def of(cls, one: ConfigObject) -> "Notes":
        """The annotations of an object."""
        written = mapping(mapping(one.data.get("metadata")).get("annotations"))
        return cls({key: (value, one) for key, value in written.items()})

    @property
    def source(self) -> ConfigObject | None:
        """An object that has any of them."""
        return next((one for _, one in self._values.values()), None)

    def unknown(self) -> Iterator[tuple[str, tuple[Json, ConfigObject]]]:
        """Annotations of Linkerd that nobody here reads."""
        for key, found in self._values.items():
            domain = key.partition("/")[0]
            if domain.endswith("linkerd.io") and key not in _KNOWN and domain not in _HARMLESS:
                yield key, found

    def said(self, *, is_grpc: bool) -> Said:
        """Timeouts and retries, for routes of a family. Raises NotUnderstoodError, also for an annotation of that kind that is not known."""
        for key, _ in self.unknown():
            raise self._error(key, "is not understood")
        if self._text(f"{_TIMEOUT}/response") is not None:
            raise self._error(f"{_TIMEOUT}/response", "cannot be said")
        timeouts = Timeouts(request=self._duration(f"{_TIMEOUT}/request"), idle=self._duration(f"{_TIMEOUT}/idle"))
        words = f"{_RETRY}/{'grpc' if is_grpc else 'http'}"
        limit, per_try = self._limit(), self._retry_timeout()
        listed = self._text(words)
        if limit is None and per_try is None and listed is None:
            return Said(timeouts=timeouts)
        if listed is None:
            if per_try is not None:
                raise self._error(f"{_RETRY}/timeout", "without statuses to retry on cannot be said")
            return Said(timeouts=timeouts, has_retry=True)
        conditions, statuses = self._grpc(words, listed) if is_grpc else self._http(words, listed)
        retry = ir.Retry(
            attempts=limit or 1,
            conditions=conditions,
            statuses=statuses,
            per_try_ms=per_try,
            span=self._span(words),
        )
        return Said(timeouts=timeouts, has_retry=True, retry=retry)

    def ejection(self, account: Account) -> ir.OutlierDetection | None:
        """Ejection of endpoints that fail. Raises NotUnderstoodError; a bad value switches it off for Linkerd, which is as good as a mistake."""
        mode = self._text(_ACCRUAL)
        if mode is None:
            return None
        if mode != "consecutive":
            raise self._error(_ACCRUAL, f"as `{mode}` cannot be said")
        key = f"{_ACCRUAL}-consecutive"
        failures = self._whole(f"{key}-max-failures", _FAILURES)
        if failures == 0:
            raise self._error(f"{key}-max-failures", "of 0 is not understood")
        shortest = self._duration(f"{key}-min-penalty") or _SHORTEST
        longest = self._duration(f"{key}-max-penalty") or _LONGEST
        if shortest > longest:
            raise self._error(f"{key}-min-penalty", "is more than the longest penalty, and Linkerd takes neither")
        if self._text(f"{key}-jitter-ratio") is not None:
            raise self._error(f"{key}-jitter-ratio", "cannot be said")
        if shortest != longest:
            account.taken_for_granted(GROWING, self._values[_ACCRUAL][1], "metadata", "annotations", _ACCRUAL)
        return ir.OutlierDetection(
            consecutive_5xx=failures, ejection_ms=shortest, max_ejected=_ALL, span=self._span(_ACCRUAL)
        )

    # ---- values -----------------------------------------------------------------------------------------------------

    def _error(self, key: str, message: str) -> NotUnderstoodError:
        return NotUnderstoodError(f"the annotation `{key}` {message}", "metadata", "annotations", key)

    def _span(self, key: str) -> Span:
        return self._values[key][1].span("metadata", "annotations", key)

    def _text(self, key: str) -> str | None:
        if key not in self._values:
            return None
        value = self._values[key][0]
        if not isinstance(value, str):
            raise self._error(key, "should be a text")
        return value

    def _whole(self, key: str, default: int) -> int:
        text = self._text(key)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal()) or len(text) > len(str(_ATTEMPTS)):
            raise self._error(key, "should be a whole number")
        return int(text)

    def _limit(self) -> int | None:
        """Tries after the first; 0 counts as not said."""
        found = self._whole(f"{_RETRY}/limit", 0)
        if found > _ATTEMPTS:
            raise self._error(f"{_RETRY}/limit", f"is more than {_ATTEMPTS}, and Linkerd ignores the route")
        return found or None

    def _duration(self, key: str) -> int | None:
        """A number and a unit; what 0 comes to is not documented."""
        text = self._text(key)
        if text is None:
            return None
        found = duration(text)
        if found is None:
            raise self._error(key, f"as `{text}` is not understood")
        return found

    def _retry_timeout(self) -> int | None:
        """The time of one try; 0 counts as not said."""
        key = f"{_RETRY}/timeout"
        text = self._text(key)
        zero = text is not None and re.fullmatch(r"0+(?:ms|s|m|h|d)?", text.strip()) is not None
        return None if zero else self._duration(key)

    def _grpc(self, key: str, listed: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
        words = [one.lower() for one in listed.split(",")]
        if not set(words) <= _GRPC:
            raise self._error(key, f"as `{listed}` is not understood")
        return tuple(sorted(set(words))), ()

    def _http(self, key: str, listed: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
        codes: set[int] = set()
        for one in listed.split(","):
            word = {"5xx": "500-599", "gateway-error": "502-504"}.get(one.lower(), one)
            found = _RANGE.fullmatch(word)
            if found is None or int(found[2] or found[1]) < int(found[1]):
                raise self._error(key, f"as `{listed}` is not understood")
            codes |= set(range(int(found[1]), int(found[2] or found[1]) + 1))
        return canonical(codes)
