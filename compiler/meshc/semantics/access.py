"""Access: the stages of one port, compiled; which rule lets a request through or refuses it."""

from collections.abc import Iterable
from dataclasses import dataclass

from meshc.ir import Effect, Rule, Stage
from meshc.semantics.conditions import Check, condition_check
from meshc.semantics.facts import Facts
from meshc.semantics.index import NEVER, Classes, PathIndex, index_paths, with_method
from meshc.semantics.principals import IdentityCheck, principals_check
from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the stages let a request through. `rule` is the place that decided, None for `default access allow`.

    `reason` is empty where a rule decided.
    """

    allowed: bool
    rule: Span | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    """A rule with its parts as functions, and the verdict that it stands for."""

    rule: Rule
    is_meant: IdentityCheck
    holds: Check
    verdict: Verdict

    def matches(self, facts: Facts) -> bool:
        return self.is_meant(facts.identity) and self.holds(facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledStage:
    """A stage, and the verdict where none of its rules matches and it then refuses."""

    stage: Stage
    rules: tuple[CompiledRule, ...]
    otherwise: Verdict

    def first_match(self, facts: Facts) -> CompiledRule | None:
        identity = facts.identity
        for rule in self.rules:
            if rule.is_meant(identity) and rule.holds(facts):
                return rule
        return None


DEFAULT_ALLOW = Verdict(allowed=True, rule=None, reason="default access allow")


class AccessPolicy:
    """The compiled stages of one port, in order."""

    def __init__(self, stages: tuple[CompiledStage, ...]) -> None:
        self.stages = stages
        self._enforced = tuple(one for one in stages if not one.stage.shadow)
        self._shadows = tuple(one for one in stages if one.stage.shadow)
        self._classes = Classes(
            (one.rule.principals, one.rule.condition) for each in self._enforced for one in each.rules
        )
        self._plans: dict[tuple[object, str | None], tuple[_Step, ...]] = {}

    def judge(self, facts: Facts) -> Verdict:
        """Ask the stages in order; shadow stages have no say."""
        kind = self._classes.of(facts)
        plan = self._plans.get(kind)
        if plan is None:
            plan = self._plans[kind] = tuple(_step(one, facts.identity, kind[1]) for one in self._enforced)
        verdict = DEFAULT_ALLOW
        for is_deny, index, verdicts, otherwise in plan:
            found = index.first(facts)
            if is_deny:
                if found is not None:
                    return verdicts[found]
            elif found is None:
                return otherwise
            else:
                verdict = verdicts[found]
        return verdict

    def shadow_matches(self, facts: Facts) -> tuple[Span, ...]:
        """The places of all shadow rules that match, in order, whatever the verdict is."""
        if not self._shadows:
            return ()
        return tuple(rule.rule.span for stage in self._shadows for rule in stage.rules if rule.matches(facts))


_Step = tuple[bool, PathIndex, tuple[Verdict, ...], Verdict]
"""One stage for one class of requests: whether it denies, its rules, their verdicts, and the one where none matches."""


def _step(compiled: CompiledStage, identity: str | None, method: str | None) -> _Step:
    meant = (
        (place, with_method(one.rule.condition, method))
        for place, one in enumerate(compiled.rules)
        if one.is_meant(identity)
    )
    index = index_paths((place, condition) for place, condition in meant if condition != NEVER)
    verdicts = tuple(one.verdict for one in compiled.rules)
    return compiled.stage.effect is Effect.DENY, index, verdicts, compiled.otherwise


def compile_access(stages: Iterable[Stage]) -> AccessPolicy:
    """Raises ValueError for a pattern that is not RE2 syntax."""
    return AccessPolicy(tuple(_compile_stage(stage) for stage in stages))


def _compile_stage(stage: Stage) -> CompiledStage:
    reason = "no allow rule matches" if stage.rules else "default access deny"
    return CompiledStage(
        stage=stage,
        rules=tuple(_compile_rule(rule, stage.effect) for rule in stage.rules),
        otherwise=Verdict(allowed=False, rule=stage.span, reason=reason),
    )


def _compile_rule(rule: Rule, effect: Effect) -> CompiledRule:
    return CompiledRule(
        rule=rule,
        is_meant=principals_check(rule.principals),
        holds=condition_check(rule.condition),
        verdict=Verdict(allowed=effect is Effect.ALLOW, rule=rule.span),
    )
