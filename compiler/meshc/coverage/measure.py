"""Measure: what the tests of a program exercise, and what else they could."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from meshc.coverage.model import Coverage, Edge, Entry, Item, Kind, Point, Program, Standing, Undecided
from meshc.coverage.observe import Observer
from meshc.coverage.placing import Placed, Placing
from meshc.coverage.ports import PortItems
from meshc.coverage.sayable import Unsayable
from meshc.coverage.witnesses import Witnesses
from meshc.semantics.decide import PortKey
from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions.ports import sides_of
from meshc.semantics.show import identity_names

_NOWHERE_ALIKE = "it is answered otherwise in an environment, and tests of the program run in all of them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Coverage, and tests that would show what is missing: each point that is, is shown by one of them at least.

    `boundaries` are tests just outside of a clause, which people find easier to read; they show no more than `tests`.
    """

    coverage: Coverage
    tests: tuple[Placed, ...]
    boundaries: tuple[Placed, ...] = ()


def measure(programs: Sequence[Program], *, boundaries: bool = False) -> Measured:
    """The coverage of a program by the tests that run in some of its environments, the base first.

    Tests just outside of clauses are looked for only if `boundaries` are asked for.
    """
    return _Measuring(programs).measured(boundaries=boundaries)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was found out. `services` are those that an item is of. `asked` says where a point was looked for that is missing."""

    standings: dict[Point, Standing] = field(default_factory=dict)
    reasons: dict[Point, str] = field(default_factory=dict)
    services: dict[Item, set[str]] = field(default_factory=dict)
    tests: dict[Point, Placed] = field(default_factory=dict)
    asked: dict[Point, tuple[int, Witnesses]] = field(default_factory=dict)


class _Measuring:
    def __init__(self, programs: Sequence[Program]) -> None:
        self._programs = programs
        self._ports = [_ports(program) for program in programs]
        observers = [Observer(one.mesh, ports) for one, ports in zip(programs, self._ports, strict=True)]
        self._placing = Placing(programs, observers)
        self._shown = frozenset(
            point
            for one, observer in zip(programs, observers, strict=True)
            for request in one.requests
            for point in observer.shown(request)
        )
        self._found = _Found()
        self._undecided: list[Undecided] = []

    def measured(self, *, boundaries: bool) -> Measured:
        for number, ports in enumerate(self._ports):
            for items in ports.values():
                self._look_at(number, items)
        coverage = Coverage(entries=tuple(self._entries()), undecided=tuple(self._undecided))
        missing = [Point(one.item, edge) for one in coverage.entries for edge in one.unshown]
        tests = [self._found.tests[point] for point in missing if point in self._found.tests]
        beside = [test for point in missing if (test := self._boundary(point)) is not None] if boundaries else []
        return Measured(coverage=coverage, tests=tuple(tests), boundaries=tuple(beside))

    def _boundary(self, point: Point) -> Placed | None:
        """A test just outside of a clause, if there is one that people would think of."""
        if point.edge is not Edge.OUTSIDE or point not in self._found.asked:
            return None
        number, witnesses = self._found.asked[point]
        for request in witnesses.near(point):
            if self._placing.shows(request, number, point):
                return self._placing.place(request, number, point)
        return None

    # ---- ports ------------------------------------------------------------------------------------------------------

    def _look_at(self, number: int, items: PortItems) -> None:
        """Say how the points of one port stand, as far as this environment tells."""
        witnesses = Witnesses(items)
        try:
            for point in items.points():
                self._found.services.setdefault(point.item, set()).add(items.service)
                self._settle(number, point, witnesses)
        except TooComplexError as error:
            environment = self._programs[number].environment
            self._undecided.append(Undecided(environment=environment, port=items.key, reason=error.reason))
            for point in items.points():
                self._found.services.setdefault(point.item, set()).add(items.service)
                self._stand(point, Standing.SHOWN if point in self._shown else Standing.UNDECIDED, error.reason)

    def _settle(self, number: int, point: Point, witnesses: Witnesses) -> None:
        if self._found.standings.get(point) in {Standing.SHOWN, Standing.MISSING}:
            self._found.asked.setdefault(point, (number, witnesses))
            return
        if point in self._shown:
            self._stand(point, Standing.SHOWN)
            return
        found = witnesses.find(point)
        if isinstance(found, Standing):
            self._stand(point, found)
        elif isinstance(found, Unsayable):
            self._stand(point, Standing.UNTESTABLE, found.reason)
        else:
            placed = self._placing.place(found, number, point)
            if placed is None:
                self._stand(point, Standing.UNTESTABLE, _NOWHERE_ALIKE)
                return
            self._found.asked.setdefault(point, (number, witnesses))
            for one in placed.shown - self._shown:
                self._stand(one, Standing.MISSING)
                self._found.tests.setdefault(one, placed)

    def _stand(self, point: Point, standing: Standing, reason: str = "") -> None:
        """Note how a point stands. What one environment or port can show, it need not show in another."""
        known = self._found.standings.get(point)
        if known is None or _ORDER[standing] < _ORDER[known]:
            self._found.standings[point] = standing
            self._found.reasons[point] = reason

    # ---- entries ----------------------------------------------------------------------------------------------------

    def _entries(self) -> Iterator[Entry]:
        points: dict[Item, dict[Edge, Standing]] = {}
        for point, standing in self._found.standings.items():
            points.setdefault(point.item, {})[point.edge] = standing
        dead = {
            (item.span, item.text)
            for item, edges in points.items()
            if item.kind is Kind.RULE and edges[Edge.WHOLE] is Standing.IMPOSSIBLE
        }
        kinds = list(Kind)
        for item in sorted(points, key=lambda one: (one.span.path, one.span.start, kinds.index(one.kind), one.path)):
            if item.kind is Kind.CLAUSE and (item.span, item.rule) in dead:
                continue  # a rule that decides nothing is told as a whole
            edges = {edge: points[item][edge] for edge in Edge if edge in points[item]}
            reasons = {edge: reason for edge in edges if (reason := self._found.reasons[Point(item, edge)])}
            services = tuple(sorted(self._found.services[item]))
            yield Entry(item=item, services=services, points=edges, reasons=reasons)


def _ports(program: Program) -> dict[PortKey, PortItems]:
    names = identity_names(program.mesh)
    sides = sides_of(program.mesh).items()
    return {key: PortItems(side=side, names=names, sources=program.sources) for key, side in sides}


_ORDER = {standing: place for place, standing in enumerate(Standing)}
