"""The time, as an argument."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Now, on both clocks: `wall` is seconds since 1970, for tokens; `steady` is monotonic seconds, for limits."""

    wall: float
    steady: float
