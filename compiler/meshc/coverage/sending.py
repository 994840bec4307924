"""Sending: which requests arrive in a region, by what their callers' proxies make of them on the way.

A region of a port is about requests that arrive. A test sends its request through the caller's proxy, which picks a route,
changes headers, host or path, or answers itself. So what a test must send to arrive in a region is worked out backwards.
Paths that a route rewrites by what it captured are the exception: nothing is sent that way, as far as this module knows.
"""

from collections.abc import Iterator, Mapping
from functools import partial

from meshc.difference.model import Side
from meshc.difference.routes import Routes, Taken, routes_of
from meshc.errors import InternalError
from meshc.ir import FaultAbort, FaultDelay, Forward, HeaderIs, HostIs, PathIs, Route, Settings, Workload
from meshc.semantics.conditions import condition_check
from meshc.semantics.facts import Facts
from meshc.semantics.normalize import BLANKS, normalize_host
from meshc.semantics.paths import RefusedError, normalize_path
from meshc.semantics.regions.diagram import Diagram, Region, any_region
from meshc.semantics.regions.forest import Edge, Node, bits_of
from meshc.semantics.regions.ports import PortSide
from meshc.semantics.regions.space import Question, Space
from meshc.semantics.regions.texts import HeaderVariables
from meshc.semantics.regions.variables import Variable

Fixed = Mapping[int, int]
"""The class that some variables always have, by their levels."""


class Sending:
    """The way to one port. The space must have been cut by `questions`."""

    def __init__(self, side: PortSide) -> None:
        self._side = side
        self._routes = Routes(side=Side(mesh=side.mesh), port=side, bare=side, routes=routes_of(side))

    def questions(self) -> Iterator[Question]:
        """Everything that the routes look at; nothing where all requests are sent on as they are."""
        if not self._is_plain:
            yield from self._routes.questions()

    @property
    def _is_plain(self) -> bool:
        routes = self._routes.routes
        return len(routes) == 1 and _is_untouched(routes[0].settings) and self._leads_here(routes[0])

    def taking(self, space: Space, place: int) -> Region:
        """The requests that take the route at a place."""
        taken = self._routes.taken(space)
        return taken.where(lambda one: one is not None and one.route == place) & space.feasible

    def sent(self, space: Space, arriving: Region) -> Region:
        """The requests that a caller may send to the port to arrive there in a region."""
        if self._is_plain:
            return arriving
        taken = self._routes.taken(space)
        found: list[Region] = []
        for place, route in enumerate(self._routes.routes):
            fixed = self._fixed(space, route) if self._leads_here(route) else None
            if fixed is not None:
                passing = taken.where(partial(self._passes, place))
                found.append(passing & _substituted(arriving, fixed))
        return any_region(space.forest, found) & space.feasible

    # ---- routes -----------------------------------------------------------------------------------------------------

    def _leads_here(self, route: Route) -> bool:
        """Whether a route sends requests to the port itself, to a version that answers, among others perhaps."""
        if not isinstance(route.action, Forward):
            return False
        sent = [one for one in route.action.destinations if one.weight > 0]
        here = [one for one in sent if (one.namespace, one.service, one.port) == self._side.key]
        versions = _versions(self._side)
        return bool(here) and (versions is None or any(one.version is None or one.version in versions for one in here))

    def _passes(self, place: int, taken: Taken | None) -> bool:
        """Whether a route is the one at a place, and does not abort all requests that take it so."""
        if taken is None or taken.route != place:
            return False
        settings = self._routes.routes[place].settings
        faults: tuple[FaultDelay | FaultAbort, ...] = (*settings.delays, *settings.aborts)
        struck = (faults[one] for one in taken.faults)
        return not any(isinstance(one, FaultAbort) and one.percent >= 100 for one in struck)

    def _fixed(self, space: Space, route: Route) -> Fixed | None:
        """The classes that requests have after a route changed them; None where its rewrite is not a constant."""
        settings, aspects = route.settings, space.aspects
        fixed: dict[int, int] = {}
        try:
            if settings.rewrite_path is not None and aspects.path is not None:
                if "{" in settings.rewrite_path or settings.rewrite_path.endswith("/**"):
                    return None
                facts = Facts(identity=None, peer=None, client=None, path=normalize_path(settings.rewrite_path))
                fixed[aspects.path.level] = _class_of(aspects.path, facts)
            if settings.rewrite_host is not None and aspects.host is not None:
                facts = Facts(identity=None, peer=None, client=None, host=normalize_host(settings.rewrite_host))
                fixed[aspects.host.level] = _class_of(aspects.host, facts)
        except RefusedError:
            return None  # answered with 400
        for change in settings.header_changes:
            header = aspects.headers.get(change.name)
            if header is not None and change.direction == "request":
                fixed |= _of_header(header, change.operation, (change.value or "").strip(BLANKS))
        return fixed


def _is_untouched(settings: Settings) -> bool:
    is_same = settings.rewrite_path is None and settings.rewrite_host is None
    return is_same and not settings.header_changes and not settings.aborts


def _versions(side: PortSide) -> frozenset[str | None] | None:
    """The versions that have endpoints; None where that is not known, and so all of them may."""
    match side.owner:
        case Workload(endpoints=endpoints) if endpoints:
            return frozenset(one.version for one in endpoints)
        case _:
            return None


# ---- classes --------------------------------------------------------------------------------------------------------


def _class_of(variable: Variable, facts: Facts) -> int:
    """The class of a path or host."""
    classes = variable.full
    for test, holds in zip(variable.tests, variable.holds, strict=True):
        if not isinstance(test, PathIs | HostIs):
            raise InternalError(f"no test of paths or hosts: {test}")
        classes &= holds if condition_check(test)(facts) else ~holds
    return next(bits_of(classes))


def _of_header(header: HeaderVariables, operation: str, value: str) -> Fixed:
    """The classes that a change gives to the variables of its header."""
    facts = Facts(identity=None, peer=None, client=None, headers={header.name: (value,)})
    passed = {
        one.level: int(isinstance(test, HeaderIs) and condition_check(test)(facts))
        for one in header.variables
        for test in one.tests
    }
    if operation == "remove":
        return dict.fromkeys(passed, 0)
    return {level: yes for level, yes in passed.items() if yes} if operation == "add" else passed


def _substituted(region: Region, fixed: Fixed) -> Region:
    """Where a region holds once some variables have these classes, whatever classes they had before."""
    forest = region.forest

    def expand(node: Node) -> Node | tuple[int, tuple[Edge, ...]]:
        while (level := forest.level(node)) in fixed:
            node = next(child for bits, child in forest.edges(node) if bits >> fixed[level] & 1)
        return node if level == forest.bottom else (level, forest.edges(node))

    return Diagram(forest, forest.grow(region.root, expand))
