"""Injected faults: the cases that their conditions make, and what strikes in each.

Istio injects one delay and one abort a route. A fault with a condition therefore makes its route twice, with the condition
in the match and without it. Several delays that strike every request add up; of several aborts, one that strikes every
request leaves nothing for those after it. Whatever else would strike together is an obstacle.

Conditions that want different values of one header, parameter or host count as excluding each other. A header may hold both
values by two lines; then only one of the faults strikes, as the table says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from meshc import ir
from meshc_istio.durations import duration
from meshc_istio.obstacles import Obstacle
from meshc_istio.resources.networking import Abort, Delay, FaultInjection
from meshc_istio.shares import percent

MAX_CONDITIONS: Final = 5
"""How many different conditions the faults of one route may have: there are 2 ** n routes for n of them."""

_ALL: Final = 100

_Subject = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCase:
    """The requests for which `condition` holds, and what strikes them."""

    condition: ir.Condition
    delay: ir.FaultDelay | None
    abort: ir.FaultAbort | None

    @property
    def certain_abort(self) -> ir.FaultAbort | None:
        """The abort, if it is the answer to every request."""
        return self.abort if self.abort is not None and self.abort.percent >= _ALL else None


_NO_FAULTS: Final = (FaultCase(condition=ir.ALWAYS, delay=None, abort=None),)


def fault_cases(settings: ir.Settings) -> tuple[FaultCase, ...] | Obstacle:
    """Cases to try in order; the first whose condition holds counts, and the last one's always does."""
    if not settings.delays and not settings.aborts:
        return _NO_FAULTS
    faults: tuple[ir.FaultDelay | ir.FaultAbort, ...] = (*settings.delays, *settings.aborts)
    conditions = tuple(dict.fromkeys(one.condition for one in faults if one.condition != ir.ALWAYS))
    if len(conditions) > MAX_CONDITIONS:
        return Obstacle(
            reason=f"keep more than {MAX_CONDITIONS} conditions of faults of one route apart",
            advice="give other routes some of them",
        )
    found: list[FaultCase] = []
    for size in range(len(conditions), -1, -1):
        for held in combinations(conditions, size):
            if any(_exclude(one, other) for one, other in combinations(held, 2)):
                continue
            case = _case(settings, held)
            if isinstance(case, Obstacle):
                return case
            found.append(case)
    return tuple(found)


def _exclude(one: ir.Condition, other: ir.Condition) -> bool:
    mine, theirs = _wanted(one), _wanted(other)
    return any(mine[subject].isdisjoint(theirs[subject]) for subject in mine.keys() & theirs.keys())


def _wanted(condition: ir.Condition) -> dict[_Subject, frozenset[str]]:
    """Values of which one must be there, by what holds them."""
    match condition:
        case ir.AllOf(conditions):
            return {subject: values for part in conditions for subject, values in _wanted(part).items()}
        case ir.AnyOf(conditions):
            parts = [_wanted(part) for part in conditions]
            shared = set(parts[0]).intersection(*parts[1:]) if parts else set()
            return {subject: frozenset().union(*(part[subject] for part in parts)) for subject in shared}
        case ir.HeaderIs(name, ir.Equals(value)):
            return {("header", name): frozenset({value})}
        case ir.QueryIs(name, ir.Equals(value)):
            return {("query", name): frozenset({value})}
        case ir.HostIs(ir.Equals(value)):
            return {("host", ""): frozenset({value})}
        case _:
            return {}


def _case(settings: ir.Settings, held: tuple[ir.Condition, ...]) -> FaultCase | Obstacle:
    delay = _one_delay([one for one in settings.delays if _strikes(one, held)])
    abort = _one_abort([one for one in settings.aborts if _strikes(one, held)])
    if isinstance(delay, Obstacle):
        return delay
    if isinstance(abort, Obstacle):
        return abort
    return FaultCase(condition=ir.AllOf(held) if held else ir.ALWAYS, delay=delay, abort=abort)


def _strikes(fault: ir.FaultDelay | ir.FaultAbort, held: tuple[ir.Condition, ...]) -> bool:
    return fault.percent > 0 and (fault.condition == ir.ALWAYS or fault.condition in held)


def _one_delay(delays: Sequence[ir.FaultDelay]) -> ir.FaultDelay | Obstacle | None:
    if len(delays) < 2:
        return delays[0] if delays else None
    if any(one.percent < _ALL for one in delays):
        return Obstacle(
            reason="delay one request by several chances", advice="give the delays conditions that exclude each other"
        )
    whole = sum(one.delay_ms for one in delays)
    return ir.FaultDelay(delay_ms=whole, percent=_ALL, condition=ir.ALWAYS, span=delays[0].span)


def _one_abort(aborts: Sequence[ir.FaultAbort]) -> ir.FaultAbort | Obstacle | None:
    if not aborts or len(aborts) == 1 or aborts[0].percent >= _ALL:
        return aborts[0] if aborts else None
    return Obstacle(
        reason="abort one request by several chances", advice="give the aborts conditions that exclude each other"
    )


def fault_injection(case: FaultCase) -> FaultInjection | None:
    """What a route that sends requests on is told; Envoy injects it before the timeout runs and before any retry."""
    delay, abort = case.delay, case.abort
    if delay is None and abort is None:
        return None
    return FaultInjection(
        delay=None if delay is None else Delay(fixed_delay=duration(delay.delay_ms), percentage=percent(delay.percent)),
        abort=None if abort is None else Abort(http_status=abort.status, percentage=percent(abort.percent)),
    )
