"""Annotations about how calls travel: timeouts, retries, and endpoints that are put aside; and durations.

Source: Linkerd's `policy-controller/k8s/index/src/outbound`. Retries and timeouts stand on routes or, for routes that say nothing,
on the Service; what is said of endpoints stands on the Service alone.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.reading import ConfigObject
from meshc.reading.plain import mapping
from meshc_linkerd.read.account import NotUnderstoodError

RETRIES: Final = "retry.linkerd.io/"
TIMEOUTS: Final = "timeout.linkerd.io/"
_ACCRUAL: Final = "balancer.linkerd.io/failure-accrual"
_BALANCER: Final = ("balancer.linkerd.io/", "balancer.alpha.linkerd.io/")
_DURATION: Final = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_MILLISECONDS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_RANGE: Final = re.compile(r"([1-9][0-9]{2})-([1-9][0-9]{2})")
_HTTP_WORDS: Final = frozenset({"5xx", "gateway-error"})
_GRPC_WORDS: Final = frozenset({"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"})
_FAILURES: Final = 7
_LEAST_MS: Final = 1_000
_MOST_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What annotations say of calls; times in milliseconds. Which kinds were there at all decides what a Service adds."""

    request_ms: int | None = None
    idle_ms: int | None = None
    retry: ir.Retry | None = None
    has_timeouts: bool = False
    has_retries: bool = False


def annotations(one: ConfigObject) -> Mapping[str, str]:
    """The annotations of an object."""
    found = mapping(mapping(one.data.get("metadata")).get("annotations"))
    return {name: value for name, value in found.items() if isinstance(value, str)}


def read_notes(one: ConfigObject) -> Notes:
    """What an object's annotations say. Raises NotUnderstoodError."""
    said = annotations(one)
    for name in said:
        known = {f"{TIMEOUTS}{word}" for word in ("request", "idle")}
        known |= {f"{RETRIES}{word}" for word in ("http", "grpc", "limit", "timeout")}
        if name.startswith((RETRIES, TIMEOUTS)) and name not in known:
            raise NotUnderstoodError(f"the annotation `{name}` is not understood", "metadata", "annotations", name)
    times = {word: _time(said, f"{TIMEOUTS}{word}") for word in ("request", "idle")}
    return Notes(
        request_ms=times["request"],
        idle_ms=times["idle"],
        retry=_retry(one, said),
        has_timeouts=any(name.startswith(TIMEOUTS) for name in said),
        has_retries=any(name.startswith(RETRIES) for name in said),
    )


def duration_ms(text: str) -> int | None:
    """Milliseconds of one number and one unit; None for anything else, which Linkerd does not take."""
    found = _DURATION.fullmatch(text)
    return None if found is None else int(found[1]) * _MILLISECONDS[found[2]]


def _time(said: Mapping[str, str], name: str) -> int | None:
    if name not in said:
        return None
    found = duration_ms(said[name])
    if found is None:
        raise NotUnderstoodError(f"`{said[name]}` is no duration that Linkerd takes", "metadata", "annotations", name)
    return found or None


# ---- retries --------------------------------------------------------------------------------------------------------


def _retry(one: ConfigObject, said: Mapping[str, str]) -> ir.Retry | None:
    """What is tried again; nothing where no answer is named, whatever the limit."""
    http, grpc = (said.get(f"{RETRIES}{word}", "") for word in ("http", "grpc"))
    if not http and not grpc:
        return None
    limit = said.get(f"{RETRIES}limit", "1")
    if not limit.isdecimal() or int(limit) > 0xFFFF:
        raise NotUnderstoodError(f"`{limit}` is no number of retries", "metadata", "annotations", f"{RETRIES}limit")
    if int(limit) == 0:
        return None
    words: list[str] = []
    statuses: list[int] = []
    for word in http.split(",") if http else ():
        if word in _HTTP_WORDS:
            words.append(word)
        else:
            statuses += _statuses(word)
    for word in grpc.split(",") if grpc else ():
        if word not in _GRPC_WORDS:
            raise NotUnderstoodError(
                f"`{word}` is no status that is tried again", "metadata", "annotations", f"{RETRIES}grpc"
            )
        words.append(word)
    return ir.Retry(
        attempts=int(limit),
        conditions=tuple(dict.fromkeys(words)),
        statuses=tuple(dict.fromkeys(statuses)),
        per_try_ms=_time(said, f"{RETRIES}timeout"),
        span=one.span("metadata", "annotations", f"{RETRIES}limit"),
    )


def _statuses(word: str) -> Iterator[int]:
    if re.fullmatch(r"[1-9][0-9]{2}", word):
        yield int(word)
        return
    found = _RANGE.fullmatch(word)
    if found is None or int(found[1]) > int(found[2]):
        raise NotUnderstoodError(f"`{word}` is no status", "metadata", "annotations", f"{RETRIES}http")
    yield from range(int(found[1]), int(found[2]) + 1)


# ---- endpoints ------------------------------------------------------------------------------------------------------


def read_accrual(one: ConfigObject) -> ir.OutlierDetection | None:
    """When a Service's endpoints are put aside. Raises NotUnderstoodError."""
    said = annotations(one)
    for name in said:
        own = f"{_ACCRUAL}-consecutive-"
        known = {_ACCRUAL, *(f"{own}{word}" for word in ("max-failures", "min-penalty", "max-penalty", "jitter-ratio"))}
        if name.startswith(_BALANCER) and name not in known:
            raise NotUnderstoodError(f"the annotation `{name}` is not understood", "metadata", "annotations", name)
    if _ACCRUAL not in said:
        return None
    if said[_ACCRUAL] != "consecutive":
        message = f"failure accrual of the kind `{said[_ACCRUAL]}` cannot be said"
        raise NotUnderstoodError(message, "metadata", "annotations", _ACCRUAL)
    failures = said.get(f"{_ACCRUAL}-consecutive-max-failures", str(_FAILURES))
    least, most = (
        _time({name: said.get(name, f"{default}ms")}, name)
        for name, default in (
            (f"{_ACCRUAL}-consecutive-min-penalty", _LEAST_MS),
            (f"{_ACCRUAL}-consecutive-max-penalty", _MOST_MS),
        )
    )
    if not failures.isdecimal() or int(failures) == 0 or least is None or most is None:
        raise NotUnderstoodError("a bad value switches failure accrual off", "metadata", "annotations", _ACCRUAL)
    if least != most:
        message = "a penalty that grows cannot be said: endpoints are put aside for one time, however often"
        raise NotUnderstoodError(message, "metadata", "annotations", _ACCRUAL)
    return ir.OutlierDetection(
        consecutive_5xx=int(failures), ejection_ms=least, span=one.span("metadata", "annotations", _ACCRUAL)
    )
