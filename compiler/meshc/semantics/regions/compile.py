"""Compile a port: its connections, tokens and stages -> what becomes of every request, as decision diagrams.

This is `semantics.decide` for all requests at once: first the connection, then the token, then the stages in order. None
stands for assignments that are of no request.
"""

from collections.abc import Iterator

from meshc.ir import AllOf, AnyOf, Condition, Effect, MtlsMode, Rule, Stage
from meshc.semantics.regions.diagram import Diagram
from meshc.semantics.regions.forest import Forest, Node
from meshc.semantics.regions.ports import Cause, Outcome, PortSide
from meshc.semantics.regions.predicates import Predicates
from meshc.semantics.regions.variables import HasIdentity, InTrustDomain

_SKIP = "not decided yet"


class SideCompiler:
    """One port over the variables of a space. `feasible` are the assignments that are of some request."""

    def __init__(self, side: PortSide, predicates: Predicates, forest: Forest, feasible: Node) -> None:
        self._side = side
        self._forest = forest
        self._feasible = feasible
        self._skip = forest.terminal(_SKIP)
        self._rules: dict[int, tuple[Node, ...]] = {}
        self.predicates = predicates

    def outcomes(self) -> Diagram[Outcome | None]:
        """What becomes of each request."""
        forest = self._forest
        forbidden = forest.terminal(Outcome.FORBIDDEN)
        steps = [self._where(self._feasible, forest.terminal(None), holds=False)]
        steps += self._before_rules(Outcome.NO_CONNECTION, Outcome.UNAUTHENTICATED)
        for _, stage in self._side.stages:
            matched = self._matched(stage)
            steps.append(self._where(matched, forbidden, holds=stage.effect is Effect.DENY))
        return Diagram(forest, forest.first_of((*steps, forest.terminal(Outcome.ALLOWED)), self._skip))

    def causes(self) -> Diagram[Cause | None]:
        """What becomes of each request, and which rule or stage decides so."""
        forest = self._forest
        steps = [self._where(self._feasible, forest.terminal(None), holds=False)]
        steps += self._before_rules(Cause(outcome=Outcome.NO_CONNECTION), Cause(outcome=Outcome.UNAUTHENTICATED))
        allowed: list[Node] = []
        for place, stage in self._side.stages:
            if stage.effect is Effect.DENY:
                steps += self._each_rule(place, Outcome.FORBIDDEN)
                continue
            allowed = self._each_rule(place, Outcome.ALLOWED)
            refused = forest.terminal(Cause(outcome=Outcome.FORBIDDEN, stage=place))
            steps.append(self._where(self._matched(stage), refused, holds=False))
        otherwise = forest.terminal(Cause(outcome=Outcome.ALLOWED))
        return Diagram(forest, forest.first_of((*steps, *allowed, otherwise), self._skip))

    def reaching_rules(self) -> Node:
        """The requests that have a connection, and a token where one is needed: those that stages are asked about."""
        return self._forest.all_of((self._feasible, self._connected(), self.predicates.accepted()))

    def rules(self, place: int) -> tuple[Node, ...]:
        """For each rule of a stage the assignments that it matches."""
        known = self._rules.get(place)
        if known is None:
            known = self._rules[place] = tuple(self._rule(rule) for rule in self._side.port.access[place].rules)
        return known

    def _matched(self, stage: Stage) -> Node:
        """The assignments that some rule of a stage matches."""
        # Alternatives of all rules are put together at once: rule by rule would be several times the work.
        nodes: list[Node] = []
        for rule in stage.rules:
            meant = self.predicates.meant(rule.principals)
            nodes += (
                self._forest.all_of((meant, self.predicates.condition(one))) for one in alternatives(rule.condition)
            )
        return self._forest.any_of(nodes)

    def _rule(self, rule: Rule) -> Node:
        meant = self.predicates.meant(rule.principals)
        return self._forest.all_of((meant, self.predicates.condition(rule.condition)))

    def _each_rule(self, place: int, outcome: Outcome) -> list[Node]:
        causes = (Cause(outcome=outcome, stage=place, rule=number) for number in range(len(self.rules(place))))
        return [
            self._where(node, self._forest.terminal(cause), holds=True)
            for node, cause in zip(self.rules(place), causes, strict=True)
        ]

    def _before_rules(self, refused: Outcome | Cause, unauthenticated: Outcome | Cause) -> Iterator[Node]:
        yield self._where(self._connected(), self._forest.terminal(refused), holds=False)
        yield self._where(self.predicates.accepted(), self._forest.terminal(unauthenticated), holds=False)

    def _connected(self) -> Node:
        """The requests whose caller gets a connection."""
        side, forest = self._side, self._forest
        if side.is_external or side.hides_identities:
            return forest.true
        known = forest.any_of(self.predicates.having(InTrustDomain(domain)) for domain in side.mesh.trust_domains)
        if side.port.mtls is MtlsMode.STRICT:
            return known
        return forest.any_of((known, forest.negate(self.predicates.having(HasIdentity()))))

    def _where(self, condition: Node, value: Node, *, holds: bool) -> Node:
        """`value` where a condition holds, or where it does not; elsewhere something later decides."""
        decides = self._forest.terminal(holds)
        return self._forest.convert(condition, lambda terminal: value if terminal == decides else self._skip)


def alternatives(condition: Condition) -> tuple[Condition, ...]:
    """Conditions of which one at least holds where this one does: its parts, if it is a list of them, or holds a single such list."""
    match condition:
        case AnyOf(conditions=parts):
            return parts
        case AllOf(conditions=parts) if sum(isinstance(part, AnyOf) for part in parts) == 1:
            place = next(place for place, part in enumerate(parts) if isinstance(part, AnyOf))
            return tuple(AllOf((*parts[:place], one, *parts[place + 1 :])) for one in alternatives(parts[place]))
        case _:
            return (condition,)
