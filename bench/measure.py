"""Measure: functions and whole processes, timed several times, the best run counting."""

import gc
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row: what we take and what a peer takes, in `unit`; `ratio` is how many times better we are, `goal` its target.

    A peer that is not installed has `peer_value` None, and the row has no ratio.
    """

    name: str
    peer: str
    unit: str
    value: float
    peer_value: float | None
    goal: float | None
    is_rate: bool
    note: str = ""

    @property
    def ratio(self) -> float | None:
        if self.peer_value is None:
            return None
        return self.value / self.peer_value if self.is_rate else self.peer_value / self.value


def best_of(function: Callable[[], object], *, runs: int = 3) -> float:
    """The shortest of several runs, in seconds, garbage collected before each."""
    times = []
    for _ in range(runs):
        gc.collect()
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def rate_of(function: Callable[[int], object], count: int, *, runs: int = 3) -> float:
    """How many times a second: `function` is called with the numbers from 0 to `count`."""

    def run() -> None:
        for number in range(count):
            function(number)

    return count / best_of(run, runs=runs)


def process_time(command: Sequence[str], *, runs: int = 7) -> float:
    """The shortest wall-clock time of a whole process, in seconds. Raises CalledProcessError if it fails."""
    return best_of(lambda: subprocess.run(command, check=True, capture_output=True), runs=runs)  # noqa: S603
