"""Matches of callers' routes by the order of preference of Linkerd -> routes of which the first that matches counts.

Two orders are in use (`matches`). Where they tie, the first in an object counts, and the older of two objects; where files do not say
which that is, or the orders differ, and different things are done, what becomes of requests is not known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from meshc import ir
from meshc.reading import ConfigObject
from meshc.reading.plain import mapping
from meshc.source import Span
from meshc_linkerd.read.account import NotUnderstoodError
from meshc_linkerd.read.matches import Match, may_overlap, preferences, settles
from meshc_linkerd.read.paths import ANY, EXACT


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A match, and what is done with its requests: one action for each pattern of its path, in the same order.

    `callers` is the namespace whose callers alone have the route, None for all; `place` counts matches within an object.
    """

    match: Match
    callers: str | None
    actions: tuple[ir.Forward | ir.Redirect | ir.Respond, ...]
    settings: ir.Settings
    route: ConfigObject
    place: int
    span: Span

    @property
    def takes_all(self) -> bool:
        """Whether it matches every request."""
        match = self.match
        return match.path == ANY and not match.host and not match.method and not match.tests

    def routes(self, callers: ir.Principals | None) -> Iterator[ir.Route]:
        """The routes that it comes to, one for each pattern of its path."""
        match = self.match
        parts: list[ir.Condition] = list(match.tests)
        if match.host:
            test = ir.EndsWith(match.host[1:]) if match.host.startswith("*") else ir.Equals(match.host)
            parts.append(ir.HostIs(test))
        condition = parts[0] if len(parts) == 1 else ir.AllOf(tuple(parts))
        for path, action in zip(match.path.patterns, self.actions, strict=True):
            yield ir.Route(
                methods=(match.method,) if match.method else (),
                path=path,
                condition=condition,
                callers=callers,
                action=action,
                settings=self.settings,
                span=self.span,
            )


def ordered(choices: Sequence[Choice]) -> tuple[Choice, ...]:
    """The choices, each after all that are preferred to it. Raises NotUnderstoodError where that is not known."""
    found = sorted(choices, key=_rank, reverse=True)
    before: list[set[int]] = [set() for _ in found]
    for place, one in enumerate(found):
        for number, other in enumerate(found[place + 1 :], start=place + 1):
            first = _first(one, other, found)
            if first > 0:
                before[number].add(place)
            elif first < 0:
                before[place].add(number)
    return tuple(found[number] for number in _sorted(before))


def _rank(choice: Choice) -> tuple[object, ...]:
    """The likely order: where it is right, nothing moves."""
    match = choice.match
    path = match.path
    return (
        bool(match.host),
        not choice.takes_all,
        path.kind == EXACT,
        path != ANY,
        len(path.value),
        bool(match.method),
        len(match.tests),
        -choice.place,
    )


def _first(one: Choice, other: Choice, all_of_them: Sequence[Choice]) -> int:
    """Which of two comes first: 1 or -1, or 0 where that does not matter."""
    if one.callers is not None and other.callers is not None and one.callers != other.callers:
        return 0
    if _does_the_same(one, other) or not may_overlap(one.match, other.match):
        return 0
    found = preferences(one.match, other.match, newer=False) | preferences(one.match, other.match, newer=True)
    if 0 in found:
        older = _older(one, other)
        found = found - {0} | {older} if older else found
    if found in ({1}, {-1}):
        return found.pop()
    if any(_is_for_both(third, one, other) and settles(third.match, one.match, other.match) for third in all_of_them):
        return 0
    message = f"which of two routes that callers have is preferred depends on the release of Linkerd, or on the age of `{other.route.name}`"
    raise NotUnderstoodError(message, "spec", "rules")


def _is_for_both(third: Choice, one: Choice, other: Choice) -> bool:
    return third.callers is None or third.callers in {one.callers, other.callers}


def _does_the_same(one: Choice, other: Choice) -> bool:
    """Whether requests that both match are treated alike, whichever takes them."""
    if one.settings != other.settings or any(isinstance(each, ir.Redirect) for each in (*one.actions, *other.actions)):
        return one.settings == other.settings and one.actions == other.actions and one.match.path == other.match.path
    return {*one.actions} == {*other.actions}


def _older(one: Choice, other: Choice) -> int:
    """1 if the first comes first in their object or is older, -1 if the second is, 0 where that is not known."""
    if one.route is other.route:
        return 1 if one.place < other.place else -1
    times = [mapping(each.route.data.get("metadata")).get("creationTimestamp") for each in (one, other)]
    first, second = times
    if not isinstance(first, str) or not isinstance(second, str):
        return 0
    # Times of the API have one form, which sorts as it stands; of those that are the same, the name decides.
    keys = [(time, *_name(each)) for time, each in ((first, one), (second, other))]
    return (keys[1] > keys[0]) - (keys[0] > keys[1])


def _name(choice: Choice) -> tuple[str, str, str, str]:
    route = choice.route
    return route.group, route.kind, route.namespace, route.name


def _sorted(before: list[set[int]]) -> list[int]:
    """The places in an order in which each comes after those that stand before it. Raises NotUnderstoodError where there is none."""
    left, found = list(range(len(before))), list[int]()
    done: set[int] = set()
    while left:
        ready = next((one for one in left if before[one] <= done), None)
        if ready is None:
            raise NotUnderstoodError("routes are preferred to each other in a circle", "spec", "rules")
        left.remove(ready)
        done.add(ready)
        found.append(ready)
    return found
