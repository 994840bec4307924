"""Whether a request that failed is tried again, and when. Source: Envoy's `retry_on`, in whose words the language speaks."""

from enum import Enum
from typing import Final

from meshc.ir import Retry
from meshc_proxy.policy.outbound import Chance
from meshc_proxy.wire.bridge import value_of
from meshc_proxy.wire.events import ResponseHead

DEFAULT_BACKOFF_MS: Final = (25, 250)
_GATEWAY: Final = frozenset({502, 503, 504})
_GRPC_WORDS: Final = {
    b"1": "cancelled",
    b"4": "deadline-exceeded",
    b"13": "internal",
    b"8": "resource-exhausted",
    b"14": "unavailable",
}


class Failure(Enum):
    """How a try failed before any of its answer came."""

    CONNECT = "connect-failure"
    REFUSED = "refused-stream"
    RESET = "reset"
    TIMEOUT = "timeout"  # of one try


def retries_failure(retry: Retry, failure: Failure) -> bool:
    """Whether a failure is one of those that are tried again. As in Envoy, `5xx` and `gateway-error` mean all of them."""
    words = set(retry.conditions)
    if words & {"5xx", "gateway-error"}:
        return True
    match failure:
        case Failure.CONNECT:
            return "connect-failure" in words
        case Failure.REFUSED:
            return "refused-stream" in words or "reset" in words
        case Failure.RESET | Failure.TIMEOUT:
            return "reset" in words


def retries_answer(retry: Retry, head: ResponseHead) -> bool:
    """Whether an answer is one of those that are not passed on while there are tries left."""
    words = set(retry.conditions)
    status = head.status
    if "5xx" in words and 500 <= status < 600:
        return True
    if "gateway-error" in words and status in _GATEWAY:
        return True
    if "retriable-4xx" in words and status == 409:
        return True
    if status in retry.statuses:
        return True
    told = value_of(head.headers, b"grpc-status") if head.ends else None
    return told is not None and _GRPC_WORDS.get(told) in words


def backoff_s(retry: Retry, tries: int, chance: Chance) -> float:
    """Seconds to wait before try `tries` + 1: anywhere below a bound that doubles with each try."""
    least, most = retry.backoff_ms or DEFAULT_BACKOFF_MS
    bound = min(least * (2**tries - 1), most)
    return float(chance() * bound / 1000.0)
