"""Access to one port: for each kind of callers whether some request is let through, and on what condition.

Exact, asked of the regions of `meshc.semantics.regions`. Where those give up on a port, each kind of callers is asked about
alone, by the rules that mean it; what is still too complex then is UNDECIDED.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from meshc.graph.callers import Caller, callers_of
from meshc.graph.clauses import clause_of
from meshc.graph.model import Clause, Example, Reach
from meshc.ir import ALWAYS, Effect, Rule, Stage
from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions.diagram import Region, any_region
from meshc.semantics.regions.forest import MAX_WORK
from meshc.semantics.regions.ports import PortSide
from meshc.semantics.regions.space import Question, Space
from meshc.semantics.show import Names
from meshc.semantics.show_request import show_request


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a port says to one kind of callers; `reach` is None where nothing is let through. As in `model.Edge`."""

    caller: Caller
    reach: Reach | None = None
    reason: str = ""
    allows: tuple[tuple[Clause, ...], ...] = ()
    denies: tuple[Clause, ...] = ()
    example: Example | None = None

    def says_the_same(self, other: "Verdict") -> bool:
        """Whether two kinds of callers need not be told apart."""
        return (self.reach, self.allows, self.denies) == (other.reach, other.allows, other.denies)


def verdicts_of(side: PortSide, names: Names) -> tuple[Verdict, ...]:
    """A verdict for every kind of callers that the port tells apart."""
    callers = callers_of(side)
    asked = [one for caller in callers if (one := _asked(side, caller)).may_pass]
    found = {verdict.caller: verdict for verdict in _Port(side, names).judge(asked)} if asked else {}
    return tuple(found.get(caller) or Verdict(caller=caller) for caller in callers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Some callers, and of each stage that decides the rules that mean them."""

    caller: Caller
    allowing: tuple[tuple[Rule, ...], ...]
    denying: tuple[tuple[Rule, ...], ...]

    @property
    def may_pass(self) -> bool:
        """Whether the sources of the rules alone leave anything open; this spares most callers any further work."""
        is_closed = any(rule.condition == ALWAYS for rules in self.denying for rule in rules)
        return all(self.allowing) and not is_closed

    @property
    def denies(self) -> list[Rule]:
        return [rule for rules in self.denying for rule in rules]


def _asked(side: PortSide, caller: Caller) -> _Asked:
    meant = [(stage.effect, _meant(stage, caller)) for _, stage in side.stages]
    return _Asked(
        caller=caller,
        allowing=tuple(rules for effect, rules in meant if effect is Effect.ALLOW),
        denying=tuple(rules for effect, rules in meant if effect is Effect.DENY),
    )


def _meant(stage: Stage, caller: Caller) -> tuple[Rule, ...]:
    return tuple(rule for rule in stage.rules if caller.is_meant(rule.principals))


class _Port:
    def __init__(self, side: PortSide, names: Names) -> None:
        self._side = side
        self._names = names

    def judge(self, asked: Sequence[_Asked]) -> list[Verdict]:
        try:
            answers = _Answers(self._side)
            return [self._judge(answers, one) for one in asked]
        except TooComplexError:
            return [self._judge_alone(one, work=MAX_WORK // len(asked)) for one in asked]

    def _judge_alone(self, asked: _Asked, *, work: int) -> Verdict:
        """The same by the rules that mean these callers, as if the port had no others."""
        port = self._side.port
        stages = tuple(replace(stage, rules=_meant(stage, asked.caller)) for _, stage in self._side.stages)
        side = replace(self._side, port=replace(port, access=stages))
        try:
            return self._judge(_Answers(side, asked.caller, work=work), asked)
        except TooComplexError as error:
            return Verdict(
                caller=asked.caller,
                reach=Reach.UNDECIDED,
                reason=error.reason,
                allows=tuple(self._clauses(rules, Effect.ALLOW) for rules in asked.allowing),
                denies=self._clauses(asked.denies, Effect.DENY),
            )

    def _judge(self, answers: "_Answers", asked: _Asked) -> Verdict:
        who = answers.callers(asked.caller)
        passed = answers.allowed & who
        request = answers.space.witness(passed)
        if request is None:
            return Verdict(caller=asked.caller)
        open_to = answers.reaching_rules & who
        for rules in asked.allowing:
            open_to &= answers.any_of(rules)
        allows = (answers.needed(rules, passed) for rules in asked.allowing)
        return Verdict(
            caller=asked.caller,
            reach=Reach.ALLOWED,
            allows=tuple(self._clauses(rules, Effect.ALLOW) for rules in allows),
            denies=self._clauses(answers.needed(asked.denies, open_to), Effect.DENY),
            example=Example(request=request, text=show_request(request, self._side.port.protocol, self._names)),
        )

    def _clauses(self, rules: Iterable[Rule], effect: Effect) -> tuple[Clause, ...]:
        return tuple(clause_of(rule, effect, self._side.port.protocol, self._names) for rule in rules)


class _Answers:
    """What the regions say of a port, or of one kind of its callers. Everything here raises TooComplexError."""

    def __init__(self, side: PortSide, caller: Caller | None = None, *, work: int = MAX_WORK) -> None:
        questions: list[Question] = []
        if caller is not None and not side.hides_identities:
            questions.append(Question(principals=caller.principals, condition=ALWAYS))
        self.space = Space.of((side,), questions, work=work)
        self.allowed = self.space.allowed(side)
        self.reaching_rules = self.space.reaching_rules(side)
        self._side = side

    def callers(self, caller: Caller) -> Region:
        """The requests of these callers."""
        # Without a variable for callers nothing tells them apart, so what holds for one kind holds for all.
        return self.space.feasible if self.space.aspects.caller is None else self.space.callers(caller.principals)

    def any_of(self, rules: Iterable[Rule]) -> Region:
        """The requests that fulfil the condition of one of some rules."""
        return any_region(self.space.forest, (self.space.condition(self._side, rule.condition) for rule in rules))

    def needed(self, rules: Iterable[Rule], among: Region) -> list[Rule]:
        """The rules that say something of some requests which no wider rule says, in the order of the source."""
        matched = [(rule, self.space.condition(self._side, rule.condition) & among) for rule in rules]
        covered = any_region(self.space.forest, ())
        kept: list[Rule] = []
        for rule, region in sorted(matched, key=lambda one: -one[1].size):
            if not region <= covered:
                kept.append(rule)
                covered |= region
        return sorted(kept, key=lambda rule: (rule.span.path, rule.span.start, rule.identifier))
