"""What tests can exercise, as values: items, the points of each that some request shows, and how each of them stands.

`docs/testing.md` defines in words what counts; `measure` finds it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from meshc.ir import Mesh
from meshc.request import Request
from meshc.semantics.decide import PortKey
from meshc.source import SourceFile, Span


class Kind(Enum):
    """RULE: an access rule. CLAUSE: one source, method, path, address or test of it. REGION: one way to answer requests to a
    port, with what decides so. ROUTE: one operation of a route, or what no route matches.
    """

    RULE = "rule"
    CLAUSE = "clause"
    REGION = "region"
    ROUTE = "route"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to exercise. Rules, clauses and routes count once as they are written, whichever ports they are in scope of.

    `span` is the place in the source. `port` is set for regions alone. `path` tells clauses of one rule apart: the way down to
    them. `rule` is the text of a clause's rule, empty for other kinds.
    """

    kind: Kind
    span: Span
    text: str
    port: PortKey | None = None
    path: tuple[int, ...] = ()
    rule: str = ""


class Edge(Enum):
    """Which part of an item a request shows: all of it, or one of the two edges of a clause."""

    WHOLE = "whole"
    INSIDE = "inside"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Point:
    """What one request can show. A clause has two points, everything else one."""

    item: Item
    edge: Edge = Edge.WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program for one environment (None: the base), and the requests of the tests that run there.

    `sources` are its texts, so that rules can be shown as they are written.
    """

    environment: str | None
    mesh: Mesh
    requests: tuple[Request, ...] = ()
    sources: Mapping[str, SourceFile] = field(default_factory=dict)


class Standing(Enum):
    """How a point stands. Only the first two, and UNDECIDED, count: it is taken for one that no test shows.

    IMPOSSIBLE: no request could show it. UNTESTABLE: requests do, but none that a test can send.
    """

    SHOWN = "shown"
    MISSING = "missing"
    UNDECIDED = "undecided"
    UNTESTABLE = "untestable"
    IMPOSSIBLE = "impossible"


COUNTED = frozenset({Standing.SHOWN, Standing.MISSING, Standing.UNDECIDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One item with how its points stand; `services` are those that it is of, as `namespace.name`, sorted.

    `reasons` say of untestable and undecided points why.
    """

    item: Item
    services: tuple[str, ...]
    points: Mapping[Edge, Standing]
    reasons: Mapping[Edge, str] = field(default_factory=dict)

    @property
    def counts(self) -> bool:
        """Whether some test could exercise it, as far as is known."""
        return any(one in COUNTED for one in self.points.values())

    @property
    def is_exercised(self) -> bool:
        """Whether tests show all of its points that count, of which there is at least one."""
        return self.counts and all(one is Standing.SHOWN for one in self.points.values() if one in COUNTED)

    @property
    def is_dead(self) -> bool:
        """Whether no request at all could exercise it."""
        return all(one is Standing.IMPOSSIBLE for one in self.points.values())

    @property
    def unshown(self) -> tuple[Edge, ...]:
        """The edges that tests should show and do not."""
        return tuple(edge for edge, one in self.points.items() if one in COUNTED and one is not Standing.SHOWN)

    @property
    def untestable(self) -> tuple[Edge, ...]:
        """The edges that requests show, though none that a test can send."""
        return tuple(edge for edge, one in self.points.items() if one is Standing.UNTESTABLE)

    @property
    def subject(self) -> str:
        """Whose it is: one service, one namespace, or the mesh."""
        if len(self.services) == 1:
            return self.services[0]
        namespaces = {one.partition(".")[0] for one in self.services}
        return f"namespace {namespaces.pop()}" if len(namespaces) == 1 else "mesh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many items of a kind are exercised, of how many that count."""

    exercised: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """A port that is too complex to be looked at exactly: what tests do not show there counts as not exercised."""

    environment: str | None
    port: PortKey
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the tests of a program exercise, in all environments in which they run."""

    entries: tuple[Entry, ...]
    undecided: tuple[Undecided, ...] = ()

    @property
    def percent(self) -> float:
        """Exercised items among those that count, 0 to 100; 100 where nothing counts."""
        return percent(self.entries)

    @property
    def missing(self) -> tuple[Entry, ...]:
        """What tests should exercise and do not."""
        return tuple(one for one in self.entries if one.counts and not one.is_exercised)

    @property
    def dead(self) -> tuple[Entry, ...]:
        """Rules and routes that decide nothing, whatever is asked."""
        return tuple(one for one in self.entries if one.is_dead and one.item.kind in {Kind.RULE, Kind.ROUTE})

    @property
    def untestable(self) -> tuple[Entry, ...]:
        """What requests show, though none that a test can send."""
        return tuple(one for one in self.entries if one.untestable)

    def by_subject(self) -> Mapping[str, tuple[Entry, ...]]:
        """The entries that count by whose they are, in order of their names; the mesh's and namespaces' come first."""
        found: dict[str, list[Entry]] = {}
        for one in self.entries:
            if one.counts:
                found.setdefault(one.subject, []).append(one)
        ordered = sorted(found, key=lambda name: (name != "mesh", not name.startswith("namespace "), name))
        return {name: tuple(found[name]) for name in ordered}


def count(entries: Iterable[Entry], kind: Kind) -> Count:
    """The items of one kind among some entries."""
    mine = [one for one in entries if one.item.kind is kind and one.counts]
    return Count(exercised=sum(one.is_exercised for one in mine), total=len(mine))


def percent(entries: Iterable[Entry]) -> float:
    """Exercised items among those that count, 0 to 100; 100 where nothing counts."""
    counted = [one for one in entries if one.counts]
    return 100 * sum(one.is_exercised for one in counted) / len(counted) if counted else 100.0
