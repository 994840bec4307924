"""Who may call one port: the policies of its server, and routes by their order of preference, as rules of an ALLOW stage.

A request is let in by the policies of the one route that is preferred for it, or by those of its server. Where the two orders of
precedence that are in use prefer different routes, with different policies, who may call is not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from meshc import ir
from meshc.reading import ConfigObject
from meshc_linkerd.read.account import NotUnderstoodError
from meshc_linkerd.read.authorities import Admitted
from meshc_linkerd.read.matches import Match, may_overlap, preferred, settles


@dataclass(frozen=True, slots=True)
class Choice:
    """A match, and whom the policies of its route let in."""

    match: Match
    admitted: tuple[Admitted, ...]
    route: ConfigObject


def access_of(
    server: Sequence[Admitted], choices: Sequence[Choice] | None, source: ConfigObject, *, is_clean: bool = False
) -> ir.Stage:
    """The stage of a port, whose server has no routes if `choices` is None; `is_clean` says that no path holds `;`. Raises NotUnderstoodError where orders of precedence differ in what they let in."""
    reached = ir.ALWAYS if choices is None else _reached(choices, is_clean=is_clean)
    rules = [_rule(one, reached, number) for number, one in enumerate(server)]
    for choice, over in _with_winners(choices or ()):
        if not choice.admitted:
            continue
        condition = choice.match.condition(is_clean=is_clean)
        if over:
            outranked = tuple(dict.fromkeys(one.condition(is_clean=is_clean) for one in over))
            condition = ir.AllOf((condition, ir.Not(outranked[0] if len(outranked) == 1 else ir.AnyOf(outranked))))
        rules += [_rule(one, condition, len(rules) + number) for number, one in enumerate(choice.admitted)]
    return ir.Stage(effect=ir.Effect.ALLOW, rules=tuple(_joined(rules)), span=source.span("spec"))


def _reached(choices: Sequence[Choice], *, is_clean: bool) -> ir.Condition:
    """What some route matches: the rest is answered with 404, whoever the server lets in."""
    conditions = tuple(dict.fromkeys(one.match.condition(is_clean=is_clean) for one in choices))
    if ir.ALWAYS in conditions:
        return ir.ALWAYS
    return conditions[0] if len(conditions) == 1 else ir.AnyOf(conditions)


def _rule(admitted: Admitted, condition: ir.Condition, number: int) -> ir.Rule:
    parts = [one for one in (condition, admitted.networks) if one != ir.ALWAYS]
    whole = ir.AllOf(tuple(parts)) if len(parts) > 1 else (parts[0] if parts else ir.ALWAYS)
    return ir.Rule(
        identifier=f"{admitted.by}-{number}",
        principals=admitted.principals,
        condition=whole,
        span=admitted.source.span("spec"),
    )


def _joined(rules: Sequence[ir.Rule]) -> list[ir.Rule]:
    """Rules of one policy as one: any of their conditions."""
    found: dict[tuple[str, ir.Principals], list[ir.Rule]] = {}
    for rule in rules:
        found.setdefault((rule.identifier.rpartition("-")[0], rule.principals), []).append(rule)
    joined: list[ir.Rule] = []
    for (name, principals), some in found.items():
        conditions = tuple(dict.fromkeys(rule.condition for rule in some))
        condition = conditions[0] if len(conditions) == 1 else ir.AnyOf(conditions)
        number = sum(one.identifier.startswith(name) for one in joined)
        identifier = name if number == 0 else f"{name}-{number + 1}"
        joined.append(ir.Rule(identifier=identifier, principals=principals, condition=condition, span=some[0].span))
    return joined


def _with_winners(choices: Sequence[Choice]) -> list[tuple[Choice, list[Match]]]:
    """Each choice with the matches that are preferred to it, and whose policies are others."""
    found: list[tuple[Choice, list[Match]]] = [(one, []) for one in choices]
    for place, (one, over) in enumerate(found):
        for other, over_other in found[place + 1 :]:
            if _says_the_same(one, other) or not may_overlap(one.match, other.match):
                continue
            older = preferred(one.match, other.match, newer=False)
            newer = preferred(one.match, other.match, newer=True)
            if older and older == newer:
                (over_other if older > 0 else over).append((one if older > 0 else other).match)
            elif not any(settles(third.match, one.match, other.match) for third in choices):
                message = "which of two routes is preferred depends on the release of Linkerd, or on their age"
                raise NotUnderstoodError(message, "spec", "rules")
    return found


def _says_the_same(one: Choice, other: Choice) -> bool:
    said = [{(item.principals, item.networks) for item in choice.admitted} for choice in (one, other)]
    return said[0] == said[1]
