"""Rate limits and access logs: settings of the server's side that hold under a condition, compared by what the condition means."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshc.difference.declared import Sides
from meshc.difference.model import Change, SettingChange, Undecided
from meshc.difference.ports import Ports
from meshc.ir import AccessLog, AnyPeer, Condition, MtlsMode, PortPolicy, Principals, RateLimit, Workload
from meshc.semantics import wording
from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions.diagram import Region as Requests
from meshc.semantics.regions.diagram import any_region
from meshc.semantics.regions.ports import PortSide, sides_of
from meshc.semantics.regions.space import Question, Space

_EVERYBODY: Final = Principals((AnyPeer(),))

Changes = tuple[tuple[SettingChange, ...], tuple[Undecided, ...]]
"""What changed, and what could not be decided."""


def _undecided(error: TooComplexError) -> Changes:
    return (), (Undecided(changes=(Change.SETTINGS,), reason=error.reason),)


def _asking(sides: Sequence[PortSide], conditions: Iterable[Condition]) -> tuple[Space, tuple[PortSide, ...]]:
    """A space that is cut for conditions alone, and the ports as it knows them. Raises TooComplexError."""
    bare = tuple(replace(side, port=_silent(side.port)) for side in sides)
    return Space.of(bare, [Question(principals=_EVERYBODY, condition=one) for one in conditions]), bare


def _silent(port: PortPolicy) -> PortPolicy:
    """The port without rules; its tokens stay, since conditions may look at them."""
    return replace(port, access=(), routes=(), limits=(), mtls=MtlsMode.OFF)


# ---- rate limits ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bucket:
    """A limit with the requests that it counts."""

    limit: RateLimit
    counted: Requests


def limit_changes(ports: Ports) -> Changes:
    """Limits that came, went, or became others. Each is a bucket of its own, so two halves of one are not the same."""
    old, new = ports.old.port.limits, ports.new.port.limits
    if old == new and _sees_alike(ports.old, ports.new):
        return (), ()
    try:
        return tuple(_limit_changes(ports)), ()
    except TooComplexError as error:
        return _undecided(error)


def _sees_alike(old: PortSide, new: PortSide) -> bool:
    """Whether the same condition means the same on both sides."""
    return (old.port.protocol, old.port.jwts, old.mesh.trusted_hops) == (
        new.port.protocol,
        new.port.jwts,
        new.mesh.trusted_hops,
    )


def _limit_changes(ports: Ports) -> list[SettingChange]:
    limits = (*ports.old.port.limits, *ports.new.port.limits)
    space, (new_side, old_side) = _asking((ports.new, ports.old), (one.condition for one in limits))
    before = [_Bucket(one, space.condition(old_side, one.condition)) for one in ports.old.port.limits]
    after = [_Bucket(one, space.condition(new_side, one.condition)) for one in ports.new.port.limits]
    _take_pairs(before, after, same_rate=True, same_requests=True)
    pairs: list[tuple[_Bucket | None, _Bucket | None]] = []
    pairs += _take_pairs(before, after, same_rate=False, same_requests=True)
    pairs += _take_pairs(before, after, same_rate=True, same_requests=False)
    pairs += [(one, None) for one in before]
    pairs += [(None, one) for one in after]
    sides = Sides(old=ports.old_side, new=ports.new_side)
    return [_limit_change(sides, *pair) for pair in pairs]


def _take_pairs(
    before: list[_Bucket], after: list[_Bucket], *, same_rate: bool, same_requests: bool
) -> list[tuple[_Bucket, _Bucket]]:
    """Take the buckets out of both lists that fit each other."""
    pairs: list[tuple[_Bucket, _Bucket]] = []
    for one in tuple(before):
        for other in after:
            alike = wording.rate_limit(one.limit) == wording.rate_limit(other.limit)
            if (not same_rate or alike) and (not same_requests or one.counted == other.counted):
                pairs.append((one, other))
                before.remove(one)
                after.remove(other)
                break
    return pairs


def _limit_change(sides: Sides, old: _Bucket | None, new: _Bucket | None) -> SettingChange:
    shown = [
        wording.NONE if one is None else wording.narrowed(wording.rate_limit(one.limit), one.limit.condition)
        for one in (old, new)
    ]
    spans = [None if one is None else one.limit.span for one in (old, new)]
    return sides.change("rate-limit", shown[0], shown[1], spans[0], spans[1])


# ---- access logs ----------------------------------------------------------------------------------------------------


def log_changes(sides: Sides, old: Workload, new: Workload) -> Changes:
    """Access logs of a workload, by the requests that each format is written for on its ports."""
    before, after = old.telemetry.access_logs, new.telemetry.access_logs
    if before == after:
        return (), ()
    shown = [
        wording.listed(sorted(wording.narrowed(wording.access_log(one), one.condition) for one in some))
        for some in (before, after)
    ]
    spans = [next((one.span for one in some), None) for some in (before, after)]
    change = sides.change("access-log", shown[0], shown[1], spans[0], spans[1])
    try:
        return ((change,) if _logs_differ(sides, old, new) else (), ())
    except TooComplexError as error:
        return _undecided(error)


def _logs_differ(sides: Sides, old: Workload, new: Workload) -> bool:
    """Whether on some port that both have, other requests are logged; where there is none, whether the conditions differ."""
    formats = {one.format for one in (*old.telemetry.access_logs, *new.telemetry.access_logs)}
    old_ports, new_ports = (
        sides_of(replace(sides.old.mesh, workloads=(old,), externals=())),
        sides_of(replace(sides.new.mesh, workloads=(new,), externals=())),
    )
    common = sorted(old_ports.keys() & new_ports.keys())
    if not common:
        return {(one.format, one.condition) for one in old.telemetry.access_logs} != {
            (one.format, one.condition) for one in new.telemetry.access_logs
        }
    return any(_logs_differ_on(old_ports[key], new_ports[key], formats) for key in common)


def _logs_differ_on(old: PortSide, new: PortSide, formats: Iterable[str]) -> bool:
    logs = [one for side in (old, new) for one in _logs(side)]
    space, (new_side, old_side) = _asking((new, old), (one.condition for one in logs))
    return any(_logged(space, old_side, kind) != _logged(space, new_side, kind) for kind in sorted(formats))


def _logs(side: PortSide) -> Sequence[AccessLog]:
    return side.owner.telemetry.access_logs if isinstance(side.owner, Workload) else ()


def _logged(space: Space, side: PortSide, kind: str) -> Requests:
    found = (space.condition(side, one.condition) for one in _logs(side) if one.format == kind)
    return any_region(space.forest, found)
