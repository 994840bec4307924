"""Lints of rules that decide nothing because of others, found over all possible requests.

What another rule plainly covers is found by comparing the two (`cover`). Here the regions of a port say for each rule that is
left whether denies take all that it allows, or others of its kind match all that it does; on every port that it is in scope of.
The rules to blame are as few as can be: taking any of them away would let the rule count. A port that is too complex to decide
says nothing, and rules for a namespace or the mesh are left alone: they are for services to come, too.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.errors import InternalError
from meshc.lint.access import atoms
from meshc.lower.access import ScopedRule
from meshc.lower.program import Lowered
from meshc.semantics.regions import PortSide, RuleRegion, Space, TooComplexError, sides_of
from meshc.semantics.regions.diagram import Region, any_region

_LABELS: Final = 6
"""How many rules to blame are shown."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Why a rule decides nothing on a port: `denied`, `covered` or `never`, and the rules to blame."""

    kind: str
    blamed: tuple[ir.Rule, ...]
    opposite: ir.Rule | None = None
    """Of the rules with the other effect, the one that takes most of what the rule matches."""


def decide_nothing(lowered: Lowered, rules: Sequence[ScopedRule], idle: frozenset[str]) -> Iterator[Diagnostic]:
    """The findings about some rules; `idle` are the identifiers of those that were found to do nothing already."""
    wanted = {one.rule.identifier: one for one in rules if not one.shadow and one.target.service is not None}
    found: dict[str, list[_Verdict]] = defaultdict(list)
    alive = set(idle)
    dropped = set(idle)
    for side in sides_of(lowered.mesh).values():
        asked = _candidates(side, wanted, alive)
        alive |= {name for name in _names(side) if name in wanted and name not in asked}
        if not asked:
            continue
        try:
            regions = Space.of([side]).rule_regions(side)
        except TooComplexError:
            alive |= asked
            continue
        for name in sorted(asked):
            verdict = _judge(regions, name, frozenset(dropped))
            if verdict is None:
                alive.add(name)
            else:
                found[name].append(verdict)
                if verdict.kind == "covered":
                    # Of two that cover each other, one stays.
                    dropped.add(name)
    for name, verdicts in found.items():
        if name not in alive and not (_reads_claims(wanted[name]) and all(one.kind == "never" for one in verdicts)):
            yield _report(wanted[name], verdicts)


def _reads_claims(rule: ScopedRule) -> bool:
    """Where nobody verifies a token such a rule never matches, which `claims-without-jwt` says better."""
    return any(isinstance(atom, ir.ClaimIs) for atom in atoms(rule.rule.condition))


def _names(side: PortSide) -> list[str]:
    return [rule.identifier for _, stage in side.stages for rule in stage.rules]


# ---- a filter that is sure ------------------------------------------------------------------------------------------


def _candidates(side: PortSide, wanted: Mapping[str, ScopedRule], alive: Iterable[str]) -> set[str]:
    """The rules of a port that others might cover, by their sources."""
    known = set(alive)
    stages = [stage for _, stage in side.stages]
    denies = [rule for stage in stages if stage.effect is ir.Effect.DENY for rule in stage.rules]
    found = set()
    for stage in stages:
        rivals = stage.rules if stage.effect is ir.Effect.DENY else (*denies, *stage.rules)
        index = _Index.of(rivals)
        for rule in stage.rules:
            if rule.identifier in wanted and rule.identifier not in known and index.meets_another(rule):
                found.add(rule.identifier)
    return found


@dataclass(frozen=True, slots=True)
class _Index:
    """Rules by the single identities that they name, and those that name many."""

    single: Mapping[str, list[str]]
    broad: tuple[str, ...]

    @classmethod
    def of(cls, rules: Iterable[ir.Rule]) -> "_Index":
        single: dict[str, list[str]] = defaultdict(list)
        broad: list[str] = []
        for rule in rules:
            for one in rule.principals.include:
                if isinstance(one, ir.ExactIdentity):
                    single[one.identity].append(rule.identifier)
                else:
                    broad.append(rule.identifier)
        return cls(single, tuple(broad))

    def meets_another(self, rule: ir.Rule) -> bool:
        """Whether another rule may speak of somebody that a rule speaks of; one that speaks of many may meet any."""
        if any(name != rule.identifier for name in self.broad):
            return True
        for one in rule.principals.include:
            lists = (
                [self.single.get(one.identity, [])] if isinstance(one, ir.ExactIdentity) else list(self.single.values())
            )
            if any(name != rule.identifier for names in lists for name in names):
                return True
        return False


# ---- verdicts -------------------------------------------------------------------------------------------------------


def _judge(regions: Sequence[RuleRegion], name: str, dropped: frozenset[str]) -> _Verdict | None:
    own = next(one for one in regions if one.rule.identifier == name)
    matched = own.matches
    if matched.is_empty:
        return _Verdict("never", ())
    others = [one for one in regions if one is not own and one.rule.identifier not in dropped and _outlives(one, own)]
    denies = [one for one in others if _stage(one) < _stage(own)]
    kin = [one for one in others if _stage(one) == _stage(own)]
    if _is_inside(matched, denies):
        return _Verdict("denied", _few(matched, denies))
    left = matched - any_region(matched.forest, [one.matched for one in denies])
    return _Verdict("covered", _few(left, kin), _largest(matched, denies)) if _is_inside(left, kin) else None


def _largest(matched: Region, rules: Sequence[RuleRegion]) -> ir.Rule | None:
    """The rule that takes most of a region; None where none takes anything."""
    sizes = [((one.matched & matched).size, -place) for place, one in enumerate(rules)]
    size, place = max(sizes, default=(0, 0))
    return rules[-place].rule if size else None


def _stage(region: RuleRegion) -> int:
    """The place of a rule's stage: denies stand before allows."""
    if region.cause.stage is None:
        raise InternalError("a rule without a stage")
    return region.cause.stage


def _outlives(other: RuleRegion, own: RuleRegion) -> bool:
    until = other.rule.until
    return until is None or (own.rule.until is not None and own.rule.until <= until)


def _is_inside(region: Region, rules: Sequence[RuleRegion]) -> bool:
    return bool(rules) and region <= any_region(region.forest, [one.matched for one in rules])


def _few(region: Region, rules: Sequence[RuleRegion]) -> tuple[ir.Rule, ...]:
    """Rules that together hold a region, none of which could be spared."""
    needed = [one for one in rules if not (one.matched & region).is_empty]
    for one in tuple(needed):
        rest = [other for other in needed if other is not one]
        if _is_inside(region, rest):
            needed = rest
    return tuple(one.rule for one in needed)


def _report(scoped: ScopedRule, verdicts: Sequence[_Verdict]) -> Diagnostic:
    kinds = {one.kind for one in verdicts}
    blamed = sorted(
        {rule.span: rule for one in verdicts for rule in one.blamed}.items(),
        key=lambda one: (one[0].path, one[0].start),
    )
    text = "this rule has a part in it" if len(blamed) > 1 else "this rule covers it"
    labels = tuple(Label(span=place, text=text) for place, _ in blamed[:_LABELS])
    opposite = next((one.opposite for one in verdicts if one.opposite is not None), None)
    if opposite is not None:
        labels += (Label(span=opposite.span, text="this deny takes most of the rest"),)
    closes = scoped.effect is ir.Effect.ALLOW
    advice = ("as an `allow` it still closes its ports: without it, `default access` decides",) if closes else ()
    span = scoped.rule.span
    if kinds == {"never"}:
        message = "this rule can never match: no request fits all that it asks"
        return diagnose("covered-rule", span, message, advice=("mend its condition, or remove the rule", *advice))
    if "covered" not in kinds:
        message = "this rule allows nothing: denies match all that it matches, and denies win"
        return diagnose(
            "denied-allow", span, message, labels=labels, advice=("narrow the denies, or remove this rule", *advice)
        )
    message = "this rule changes nothing: others match all that it matches"
    return diagnose("covered-rule", span, message, labels=labels, advice=("remove it, or narrow the others", *advice))
