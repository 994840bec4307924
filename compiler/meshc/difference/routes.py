"""The routes of one side: which of them each request takes, as a diagram over the space of all requests."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from meshc.difference.model import Side
from meshc.difference.travel import NOWHERE, Travel, travel_of
from meshc.ir import (
    ALWAYS,
    ANY_PATH,
    AllOf,
    AnyPeer,
    Condition,
    Destination,
    External,
    FaultAbort,
    FaultDelay,
    Forward,
    MethodIs,
    MtlsMode,
    PathIs,
    Principals,
    Route,
    TemplatePath,
)
from meshc.semantics.regions.diagram import Diagram
from meshc.semantics.regions.forest import Forest, Node
from meshc.semantics.regions.ports import PortSide
from meshc.semantics.regions.space import Question, Space

_EVERYBODY: Final = Principals((AnyPeer(),))


@dataclass(frozen=True, slots=True)
class Taken:
    """The route that a request takes, by its place in the port's list, and which of its faults strike a share of them."""

    route: int
    faults: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The routes of one side over a space. `bare` is the port as the space knows it, without rules and tokens."""

    side: Side
    port: PortSide
    bare: PortSide
    routes: tuple[Route, ...]

    def questions(self) -> Iterator[Question]:
        """Everything that routes look at."""
        for route in self.routes:
            yield Question(principals=route.callers or _EVERYBODY, condition=_match(route))
            yield from (Question(principals=_EVERYBODY, condition=fault.condition) for fault in _faults(route))

    def taken(self, space: Space) -> Diagram[Taken | None]:
        """Which route each request takes; None for none."""
        forest = space.forest
        skip = forest.terminal(None)
        nodes = [self._taken(space, place, route, skip) for place, route in enumerate(self.routes)]
        return Diagram(forest, forest.first_of(nodes, skip))

    def _taken(self, space: Space, place: int, route: Route, skip: Node) -> Node:
        forest = space.forest
        node = forest.terminal(Taken(place, ()))
        for number, fault in enumerate(_faults(route)):
            holds = space.condition(self.bare, fault.condition).root
            node = forest.combine(node, holds, partial(_with_fault, forest, number))
        matched = space.condition(self.bare, _match(route)) & space.callers(route.callers or _EVERYBODY)
        return forest.combine(node, matched.root, lambda one, yes: one if yes == forest.true else skip)

    def travel(self, taken: Taken | None) -> Travel:
        """How the requests that take a route travel."""
        if taken is None:
            return NOWHERE
        route = self.routes[taken.route]
        faults = _faults(route)
        return travel_of(route, tuple(faults[one] for one in taken.faults))


def _with_fault(forest: Forest, fault: int, node: Node, holds: Node) -> Node:
    """What a request takes, with one more fault if its condition holds."""
    taken = forest.value(node)
    if holds != forest.true or not isinstance(taken, Taken):
        return node
    return forest.terminal(Taken(taken.route, (*taken.faults, fault)))


def _match(route: Route) -> Condition:
    """What a route asks of a request; that every path will do is no question, so that connections pass it too."""
    parts: list[Condition] = [route.condition]
    if route.methods:
        parts.append(MethodIs(route.methods))
    if route.path != ANY_PATH:
        parts.append(PathIs(route.path))
    return AllOf(tuple(parts))


def bare(side: PortSide) -> PortSide:
    """The port as its callers' proxies know it: they ask nobody who calls, and let everything through."""
    port = replace(side.port, mtls=MtlsMode.OFF, access=(), jwts=(), limits=(), routes=())
    namespace, service, _ = side.key
    owner = External(namespace=namespace, name=service, hosts=(side.default_host,), ports=(port,), span=side.owner.span)
    return PortSide(mesh=side.mesh, owner=owner, port=port)


def routes_of(side: PortSide) -> tuple[Route, ...]:
    """The routes of a port; one that says nothing, where it has none: then requests go to the port itself."""
    if side.port.routes:
        return side.port.routes
    namespace, service, port = side.key
    itself = Destination(namespace=namespace, service=service, port=port)
    return (
        Route(
            methods=(),
            path=ANY_PATH,
            condition=ALWAYS,
            callers=None,
            action=Forward(destinations=(itself,)),
            settings=side.port.settings,
            span=side.port.span,
        ),
    )


def is_same_list(old: tuple[Route, ...], new: tuple[Route, ...]) -> bool:
    """Whether two lists of routes differ at most in words for parts of paths that nothing uses."""
    return old == new or (len(old) == len(new) and all(map(_is_same, old, new)))


def _is_same(old: Route, new: Route) -> bool:
    return old == new or _unnamed(old) == _unnamed(new)


def _unnamed(route: Route) -> Route:
    """The route without the names in its path, unless what it does may speak of them."""
    if not isinstance(route.path, TemplatePath) or not isinstance(route.action, Forward) or route.settings.rewrite_path:
        return route
    return replace(route, path=replace(route.path, names=()))


def _faults(route: Route) -> tuple[FaultDelay | FaultAbort, ...]:
    return (*route.settings.delays, *route.settings.aborts)
