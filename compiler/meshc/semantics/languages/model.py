"""What is asked about the values of one string, and what is answered."""

from dataclasses import dataclass
from enum import Enum

MAX_STEPS = 10_000_000
"""How much work one question may take. A step takes a fraction of a microsecond, so this is a few seconds at the most."""

STATE_STEPS = 20
"""What a new state costs beside the work of finding it: it takes memory."""

RESULT_STEPS = 100
"""The same for a new set of tests; so 100,000 of them are the most."""


class Universe(Enum):
    """Which strings can occur in one place of a request, after normalization. `universes.py` says which these are."""

    HEADER_VALUE = "header value"
    HOST = "host"
    QUERY_VALUE = "query value"
    CLAIM = "claim"
    SERVER_NAME = "server name"
    PATH = "path"
    METHOD = "method"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The tests that hold together for some possible string, and one such string.

    Bit i of `holds` is set where test i, counted from 0, holds.
    """

    holds: int
    witness: str


class TooComplexError(Exception):
    """The exact answer is beyond the bound of work; `reason` says in a few words why, for users."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Budget:
    """The work that is left for one question."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Raises TooComplexError once the work is used up."""
        self._left -= steps
        if self._left < 0:
            raise TooComplexError("its tests combine in too many ways to look at all of them")
