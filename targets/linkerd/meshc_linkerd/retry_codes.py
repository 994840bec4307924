"""Statuses on which requests are retried, spelled in one way: with the language's words where these say the same."""

from collections.abc import Iterable
from typing import Final

FIVE: Final = frozenset(range(500, 600))
"""What `5xx` stands for."""
GATEWAY: Final = frozenset({502, 503, 504})
"""What `gateway-error` stands for."""


def canonical(codes: Iterable[int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Words and single statuses that together stand for these."""
    left = frozenset(codes)
    if left >= FIVE:
        return ("5xx",), tuple(sorted(left - FIVE))
    if left >= GATEWAY:
        return ("gateway-error",), tuple(sorted(left - GATEWAY))
    return (), tuple(sorted(left))
