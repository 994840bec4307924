"""The space of all requests to a port, cut by everything that some versions of it look at: the whole of what they do, exactly.

`Space.of` takes the sides that are to be compared: versions of one port, mostly. Every question is then answered for all
requests at once, with `Region`s, which are sets of requests, and diagrams, which give each request a value. All of one space
can be compared and combined: equal regions are equal values.

Requests of a space are well formed (others are answered with 400 whatever a port says), come from a peer with an address, name
their host, and to externals their server name too. Where a port sees connections alone, requests stand for those.

Everything here raises TooComplexError beyond a bound of work. Then nothing is known, and callers must say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from meshc.errors import InternalError
from meshc.ir import Condition, External, Mesh, PortPolicy, Principals, Settings, Workload
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc.semantics.regions.aspects import Aspects, build_aspects
from meshc.semantics.regions.compile import SideCompiler
from meshc.semantics.regions.diagram import Cell, Diagram, Region
from meshc.semantics.regions.forest import MAX_WORK, Forest
from meshc.semantics.regions.literals import collect_literals
from meshc.semantics.regions.ports import Cause, Outcome, PortSide, View, outcome_of
from meshc.semantics.regions.predicates import Predicates
from meshc.semantics.regions.rules import RuleRegion
from meshc.semantics.regions.witness import is_outcome, request_to


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked beside what the ports look at; a space can only answer what it was cut for."""

    principals: Principals
    condition: Condition


class Space:
    """All requests to some versions of one port. Made by `Space.of`."""

    def __init__(self, sides: Sequence[PortSide], aspects: Aspects, forest: Forest) -> None:
        self.sides = tuple(sides)
        self.aspects = aspects
        self.forest = forest
        self.feasible: Region = Diagram(forest, aspects.feasible(forest))
        predicates: dict[View, Predicates] = {}
        self._compilers: dict[PortSide, SideCompiler] = {}
        for side in self.sides:
            # Sides that see requests alike share what was worked out for their conditions.
            seen = predicates.setdefault(side.view, Predicates(side.view, aspects, forest))
            self._compilers[side] = SideCompiler(side, seen, forest, self.feasible.root)
        self._outcomes: dict[PortSide, Diagram[Outcome | None]] = {}
        self._causes: dict[PortSide, Diagram[Cause | None]] = {}
        self._evaluators: dict[PortSide, Evaluator] = {}

    @classmethod
    def of(cls, sides: Sequence[PortSide], questions: Sequence[Question] = (), *, work: int = MAX_WORK) -> "Space":
        """The space for at least one side, cut for some further questions too. `work` bounds the work, in steps of about a microsecond.

        Raises TooComplexError, and ValueError for a pattern that is not RE2 syntax.
        """
        literals = collect_literals(sides)
        for question in questions:
            literals.add_principals(question.principals)
            for side in sides:
                literals.add_condition(side.view, question.condition)
        aspects = build_aspects(sides, literals)
        forest = Forest([variable.size for variable in aspects.ordered], work=work)
        return cls(sides, aspects, forest)

    # ---- what becomes of requests -----------------------------------------------------------------------------------

    def outcomes(self, side: PortSide) -> Diagram[Outcome | None]:
        """What becomes of each request; None where there is no such request."""
        if side not in self._outcomes:
            self._outcomes[side] = self._compilers[side].outcomes()
        return self._outcomes[side]

    def allowed(self, side: PortSide) -> Region:
        """The requests that are let through."""
        return self.outcomes(side).where(lambda outcome: outcome is Outcome.ALLOWED)

    def causes(self, side: PortSide) -> Diagram[Cause | None]:
        """What becomes of each request and what decides so; None where there is no such request."""
        if side not in self._causes:
            self._causes[side] = self._compilers[side].causes()
        return self._causes[side]

    def rule_regions(self, side: PortSide) -> tuple[RuleRegion, ...]:
        """All rules that have a say, in order."""
        compiler = self._compilers[side]
        reaching, causes = self.reaching_rules(side), self.causes(side)
        deciding = causes.values()
        found: list[RuleRegion] = []
        for place, stage in side.stages:
            for number, (rule, node) in enumerate(zip(stage.rules, compiler.rules(place), strict=True)):
                cause = Cause(outcome=outcome_of(stage.effect), stage=place, rule=number)
                found.append(
                    RuleRegion(
                        rule=rule,
                        cause=cause,
                        is_deciding=cause in deciding,
                        matched=Diagram(self.forest, node),
                        reaching=reaching,
                        causes=causes,
                    )
                )
        return tuple(found)

    def cell(self, cell: Cell) -> Region:
        """The requests of a product of classes."""
        forest = self.forest
        literals = (forest.literal(level, bits) for level, bits in enumerate(cell))
        return Diagram(forest, forest.all_of((self.feasible.root, *literals)))

    # ---- questions --------------------------------------------------------------------------------------------------

    def reaching_rules(self, side: PortSide) -> Region:
        """The requests with a connection, and a token where one is needed: those that stages are asked about."""
        return Diagram(self.forest, self._compilers[side].reaching_rules())

    def callers(self, principals: Principals) -> Region:
        """The requests of these callers, whether a port gets to know their identity or not."""
        compiler = self._compilers[self.sides[0]]
        return Diagram(self.forest, self.forest.all_of((self.feasible.root, compiler.predicates.callers(principals))))

    def meant(self, side: PortSide, principals: Principals) -> Region:
        """The requests of callers whom a port's rules take as these: where it sees no identities, only `anyone` means somebody."""
        node = self._compilers[side].predicates.meant(principals)
        return Diagram(self.forest, self.forest.all_of((self.feasible.root, node)))

    def condition(self, side: PortSide, condition: Condition) -> Region:
        """The requests for which a condition holds, as a port sees them."""
        node = self._compilers[side].predicates.condition(condition)
        return Diagram(self.forest, self.forest.all_of((self.feasible.root, node)))

    # ---- examples ---------------------------------------------------------------------------------------------------

    @property
    def preferred(self) -> tuple[int, ...]:
        """The class of each variable that examples take if they may."""
        return tuple(variable.preferred for variable in self.aspects.ordered)

    def witness(self, region: Region) -> Request | None:
        """A request of a region, addressed to the first side; None if there is none.

        `decide` was asked for every side, each without its routes, and says what the space says. Raises InternalError where it
        does not: then this engine is wrong.
        """
        assignment = (region & self.feasible).any_path(self.preferred)
        return None if assignment is None else self.request(assignment)

    def request(self, assignment: Sequence[int]) -> Request:
        """A request of just these classes, checked as witnesses are."""
        request = request_to(self.sides, self.aspects, assignment)
        for side in self.sides:
            namespace, service, port = side.key
            decision = self._evaluator(side).decide(replace(request, namespace=namespace, service=service, port=port))
            outcome = self.outcomes(side).at(assignment)
            if outcome is None or not is_outcome(decision, outcome):
                raise InternalError(f"regions say {outcome} of {request}, and `decide` says {decision}")
        return request

    def _evaluator(self, side: PortSide) -> Evaluator:
        """`decide` for one port alone, without what callers do before it is asked."""
        if side not in self._evaluators:
            port = replace(side.port, routes=(), settings=Settings())
            self._evaluators[side] = Evaluator(_alone(side, port))
        return self._evaluators[side]


def _alone(side: PortSide, port: PortPolicy) -> Mesh:
    match side.owner:
        case Workload() as workload:
            return replace(side.mesh, workloads=(replace(workload, ports=(port,)),), externals=())
        case External() as external:
            return replace(side.mesh, workloads=(), externals=(replace(external, ports=(port,)),))
        case _:
            assert_never(side.owner)
