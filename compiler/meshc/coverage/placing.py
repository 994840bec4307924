"""Placing: which environments a test would run in, and what it would show there.

A test of the program runs in each of its environments and must hold in all of them; one within an environment runs there alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from meshc.coverage.model import Point, Program
from meshc.coverage.observe import Observer
from meshc.errors import InternalError
from meshc.ir import Mesh
from meshc.request import Decision, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A request as a test, of the program (None) or of one environment, with what it shows and how it is answered.

    `mesh` is the program for that environment.
    """

    mesh: Mesh
    request: Request
    environment: str | None
    shown: frozenset[Point]
    decision: Decision


class Placing:
    """Places requests among the environments of one program. `programs` are those that tests run in."""

    def __init__(self, programs: Sequence[Program], observers: Sequence[Observer]) -> None:
        self._programs = programs
        self._observers = observers

    def place(self, request: Request, number: int, point: Point) -> Placed | None:
        """A test that shows a point by a request that does so in the environment of this number; None if none can be written.

        It is a test of the whole program if it is answered alike everywhere. Raises InternalError if the request does not
        show the point.
        """
        if not self.shows(request, number, point):
            raise InternalError(f"regions say that {request} shows {point}, and it does not")
        answers = [observer.decide(request) for observer in self._observers]
        if self._programs[0].environment is None and len({_answer(one) for one in answers}) == 1:
            shown = frozenset[Point]().union(*(observer.shown(request) for observer in self._observers))
            mesh = self._programs[0].mesh
            return Placed(mesh=mesh, request=request, environment=None, shown=shown, decision=answers[0])
        for place in (number, *(other for other in range(len(self._programs)) if other != number)):
            environment = self._programs[place].environment
            shown = self._observers[place].shown(request)
            if environment is not None and point in shown:
                mesh = self._programs[place].mesh
                return Placed(mesh=mesh, request=request, environment=environment, shown=shown, decision=answers[place])
        return None

    def shows(self, request: Request, number: int, point: Point) -> bool:
        """Whether a request shows a point in the environment of this number."""
        return point in self._observers[number].shown(request)


def _answer(decision: Decision) -> object:
    """What a test can expect of a decision."""
    sent = frozenset(
        (one.namespace, one.service, one.port, one.version) for one in decision.destinations if one.weight > 0
    )
    return decision.allowed, decision.status, decision.redirect, sent
