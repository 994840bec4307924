"""Injected faults: filters that do nothing by themselves, and what a route tells them.

Faults of one route strike independently, so each pair of a delay and an abort has a filter of its own. Envoy's filter can
test headers alone; a fault with a condition is therefore told by a route of its own, which matches only where it holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, zip_longest
from typing import Final

from meshc import ir
from meshc.target import Json
from meshc_envoy.percentages import fractional_percent
from meshc_envoy.shapes import Object, extension, seconds, typed

MAX_CONDITIONS: Final = 5
"""How many different conditions the faults of one route may have: there are 2 ** n Envoy routes for n of them."""

_FAULT: Final = "envoy.extensions.filters.http.fault.v3.HTTPFault"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCase:
    """The requests for which `condition` holds, and what strikes them: configurations by the names of filters."""

    condition: ir.Condition
    configs: Object


def fault_filters(count: int) -> list[Json]:
    """The filters of a chain, of which a route may tell the first few what to do."""
    return [extension(_name(number), _FAULT) for number in range(1, count + 1)]


def fault_count(routes: Iterable[ir.Route]) -> int:
    """How many filters the routes need."""
    return max((max(len(one.settings.delays), len(one.settings.aborts)) for one in routes), default=0)


def fault_conditions(settings: ir.Settings) -> tuple[ir.Condition, ...]:
    """The different conditions of faults, each once."""
    conditions = [*(one.condition for one in settings.delays), *(one.condition for one in settings.aborts)]
    return tuple(one for one in dict.fromkeys(conditions) if one != ir.ALWAYS)


def fault_cases(settings: ir.Settings) -> list[FaultCase]:
    """Cases to try in order; the first whose condition holds counts, and the last one's always does."""
    conditions = fault_conditions(settings)
    return [
        FaultCase(condition=ir.AllOf(held) if held else ir.ALWAYS, configs=_configs(settings, held))
        for size in range(len(conditions), -1, -1)
        for held in combinations(conditions, size)
    ]


def _configs(settings: ir.Settings, held: tuple[ir.Condition, ...]) -> Object:
    delays = [one for one in settings.delays if one.condition == ir.ALWAYS or one.condition in held]
    aborts = [one for one in settings.aborts if one.condition == ir.ALWAYS or one.condition in held]
    return {
        _name(number): typed(_FAULT, **_delay(delay), **_abort(abort))
        for number, (delay, abort) in enumerate(zip_longest(delays, aborts), start=1)
    }


def _delay(delay: ir.FaultDelay | None) -> Object:
    if delay is None:
        return {}
    return {"delay": {"fixed_delay": seconds(delay.delay_ms), "percentage": fractional_percent(delay.percent)}}


def _abort(abort: ir.FaultAbort | None) -> Object:
    if abort is None:
        return {}
    return {"abort": {"http_status": abort.status, "percentage": fractional_percent(abort.percent)}}


def _name(number: int) -> str:
    return f"fault-{number}"
