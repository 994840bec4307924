"""Routing of one port, compared exactly: which requests go elsewhere, or travel with other settings.

Every request is given what its first route does with it, faults whose condition holds included; then the two sides are
compared request by request, all at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

from meshc.difference.access import NO_PORT
from meshc.difference.examples import Examples
from meshc.difference.model import Answer, Blame, Change, Presence, Region, Scope, SettingChange, Undecided, Witness
from meshc.difference.phrases import Phrases
from meshc.difference.pieces import Piece, pieces_of
from meshc.difference.ports import Ports
from meshc.difference.replay import from_caller
from meshc.difference.routes import Routes, Taken, bare, is_same_list, routes_of
from meshc.difference.travel import NOWHERE, Differing, Travel, differences, span_of, travel_of
from meshc.errors import InternalError
from meshc.ir import ALWAYS, ANY_PATH, MethodIs, Protocol, Route
from meshc.request import Decision, Request
from meshc.semantics.decide import Evaluator, first_route
from meshc.semantics.languages import TooComplexError
from meshc.semantics.normalize import Malformed
from meshc.semantics.regions.diagram import Diagram
from meshc.semantics.regions.diagram import Region as Requests
from meshc.semantics.regions.space import Space
from meshc.semantics.routing import active_faults
from meshc.semantics.show import Names, show_condition, show_operation, show_principals

ROUTING: Final = (Change.ROUTING, Change.SETTINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What differs in routing: where requests go, and the settings that they travel with."""

    regions: tuple[Region, ...] = ()
    settings: tuple[SettingChange, ...] = ()
    undecided: tuple[Undecided, ...] = ()


def routing_differences(ports: Ports) -> Found:
    """What differs, of each kind the largest region first, and what could not be decided."""
    is_seen_alike = ports.old.mesh.trusted_hops == ports.new.mesh.trusted_hops
    if is_seen_alike and is_same_list(routes_of(ports.old), routes_of(ports.new)):
        return Found()
    try:
        return _Comparison(ports).all()
    except TooComplexError as error:
        return Found(undecided=(Undecided(changes=ROUTING, reason=error.reason),))


Pair = tuple[Travel, Travel]


class _Comparison:
    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._old, self._new = (
            Routes(side=side, port=port, bare=bare(port), routes=routes_of(port))
            for side, port in ((ports.old_side, ports.old), (ports.new_side, ports.new))
        )
        questions = (*self._old.questions(), *self._new.questions())
        self._space = Space.of((self._new.bare, self._old.bare), questions)
        self._phrases = Phrases(aspects=self._space.aspects, naming=ports.naming)
        self._examples = Examples(self._space, ports.naming, (self._new.bare, self._old.bare))

    @cached_property
    def _taken(self) -> tuple[Diagram[Taken | None], Diagram[Taken | None]]:
        return self._old.taken(self._space), self._new.taken(self._space)

    @cached_property
    def _evaluators(self) -> tuple[Evaluator, Evaluator]:
        return from_caller(self._ports.old), from_caller(self._ports.new)

    def all(self) -> Found:
        old, new = (taken.map(routes.travel) for routes, taken in zip((self._old, self._new), self._taken, strict=True))
        pairs: Diagram[Pair | None] = old.zip_with(new, lambda one, other: (one, other), same=None)
        differing: dict[Differing, set[Pair]] = {}
        for pair in filter(None, pairs.values()):
            for one in differences(*pair):
                differing.setdefault(one, set()).add(pair)
        regions: list[tuple[int, Region]] = []
        settings: list[tuple[int, SettingChange]] = []
        undecided: list[Undecided] = []
        for one in sorted(differing, key=lambda found: (found.name or "", found.old, found.new)):
            region = pairs.where(differing[one].__contains__) & self._space.feasible
            try:
                pieces = pieces_of(region, self._told(region), self._examples.preferred)
            except TooComplexError as error:
                change = Change.ROUTING if one.name is None else Change.SETTINGS
                undecided.append(Undecided(changes=(change,), reason=f"it differs, and {error.reason}"))
                continue
            for piece in pieces:
                if one.name is None:
                    regions.append((piece.size, self._region(one, piece)))
                else:
                    settings.append((piece.size, self._setting(one.name, one, piece)))
        return Found(regions=_largest_first(regions), settings=_largest_first(settings), undecided=tuple(undecided))

    def _told(self, region: Requests) -> Requests:
        """The requests that are worth a word: on grpc ports calls, which are POST, unless only others differ."""
        method = self._space.aspects.method
        ports = (self._ports.old, self._ports.new)
        if method is None or any(side.port.protocol is not Protocol.GRPC for side in ports):
            return self._space.feasible
        posts = sum(bits for test, bits in zip(method.tests, method.holds, strict=True) if test == MethodIs(("POST",)))
        calls = self._space.feasible.restrict(method.level, posts)
        return self._space.feasible if (region & calls).is_empty else calls

    # ---- findings ---------------------------------------------------------------------------------------------------

    def _region(self, found: Differing, piece: Piece) -> Region:
        presence = self._ports.presence
        old = self._answer(found.old, self._old, self._inside(0, piece.inside))
        new = self._answer(found.new, self._new, self._inside(1, piece.inside))
        return Region(
            change=Change.ROUTING,
            scope=self._phrases.scope(piece.wanted),
            old=NO_PORT if presence is Presence.ADDED else old,
            new=NO_PORT if presence is Presence.REMOVED else new,
            witness=self._witness(found, piece.inside),
        )

    def _setting(self, name: str, found: Differing, piece: Piece) -> SettingChange:
        scope = self._phrases.scope(piece.wanted)
        places = [
            routes.side.place(span_of(name, routes.routes[taken[0].route])) if taken else None
            for routes, taken in (
                (self._old, self._inside(0, piece.inside)),
                (self._new, self._inside(1, piece.inside)),
            )
        ]
        presence = self._ports.presence
        return SettingChange(
            name=name,
            old=found.old,
            new=found.new,
            scope=None if scope == Scope() else scope,
            witness=self._witness(found, piece.inside),
            old_place=None if presence is Presence.ADDED else places[0],
            new_place=None if presence is Presence.REMOVED else places[1],
        )

    def _inside(self, side: int, region: Requests) -> list[Taken]:
        """The routes that requests of a region take on one side, in order."""
        diagram, forest = self._taken[side], self._space.forest
        outside = forest.terminal(None)
        root = forest.combine(
            diagram.root, region.root, lambda value, inside: value if inside == forest.true else outside
        )
        found: Diagram[Taken | None] = Diagram(forest, root)
        taken = (one for one in found.values() if one is not None)
        return sorted(taken, key=lambda one: (one.route, one.faults))

    def _answer(self, text: str, routes: Routes, taken: Iterable[Taken]) -> Answer:
        blame: Mapping[int, Blame] = {
            one.route: Blame(
                text=_shown(routes.routes[one.route], self._ports.naming.names),
                place=routes.side.place(routes.routes[one.route].span),
            )
            for one in taken
        }
        return Answer(text=text, blame=tuple(blame.values()))

    # ---- examples ---------------------------------------------------------------------------------------------------

    def _witness(self, found: Differing, inside: Requests) -> Witness:
        """A request of a region, after both sides' own evaluators took the routes that the region is about."""
        request = self._examples.request(inside)
        travels = [
            _replayed(evaluator, routes, request)
            for evaluator, routes in zip(self._evaluators, (self._old, self._new), strict=True)
        ]
        if found not in differences(*travels):
            raise InternalError(f"regions say {found} of {request}, and `decide` says {travels}")
        old, new = (evaluator.decide(request) for evaluator in self._evaluators)
        presence = self._ports.presence
        return self._examples.witness(
            request, _unless(old, presence, Presence.ADDED), _unless(new, presence, Presence.REMOVED)
        )


def _unless(decision: Decision, presence: Presence, missing: Presence) -> Decision | None:
    return None if presence is missing else decision


def _replayed(evaluator: Evaluator, routes: Routes, request: Request) -> Travel:
    """How a request travels by the evaluator that `decide` is."""
    port = evaluator.port(routes.port.key)
    facts = None if port is None else evaluator.observe(port, request)
    if port is None or facts is None or isinstance(facts, Malformed):
        raise InternalError(f"an example of routing reaches no route: {request}")
    if not port.routes:
        return travel_of(routes.routes[0], active_faults(port.faults, facts))
    taken = first_route(port, facts)
    return NOWHERE if taken is None else travel_of(taken.route, active_faults(taken.faults, facts))


def _shown(route: Route, names: Names) -> str:
    """What a route matches, as it is written; what it does is said beside it."""
    parts = [show_operation(route.methods, route.path)]
    if route.condition != ALWAYS:
        parts.append(f"when {show_condition(route.condition)}")
    if route.callers is not None:
        parts.append(f"by {show_principals(route.callers, names)}")
    if parts == [show_operation((), ANY_PATH)]:
        return "what holds for all other requests"
    return f"route {' '.join(parts)}"


Item = TypeVar("Item")


def _largest_first(found: list[tuple[int, Item]]) -> tuple[Item, ...]:
    return tuple(one for _, one in sorted(found, key=lambda pair: -pair[0]))
