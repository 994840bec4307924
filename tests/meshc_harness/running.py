"""Running the command line."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    status: int
    out: str
    err: str
