"""Stages of a port -> rules as they are written, or the reason why the language cannot say them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Final

from meshc import ir
from meshc.importing.groups import Groups
from meshc.importing.meeting import meet_callers
from meshc.importing.unsayable import NotSayableError, parts_of
from meshc.semantics.show import Names, operation_condition, show_condition, show_rule_body
from meshc.source import Span

MOST_ALTERNATIVES: Final = 64
"""Rules that one rule may become."""
_EVERYBODY: Final = ir.Principals((ir.AnyPeer(),))


@dataclass(frozen=True, slots=True)
class Written:
    """One rule as text, and the place that it comes from."""

    text: str
    span: Span


def is_open(port: ir.PortPolicy) -> bool:
    """Whether a port lets in whom nothing denies."""
    return not any(stage.effect is ir.Effect.ALLOW and not stage.shadow for stage in port.access)


def written_rules(port: ir.PortPolicy, groups: Groups, *, is_allowed: bool = False) -> tuple[Written, ...]:
    """The rules of a port. Where nothing closes it, one lets everybody in, unless that `is_allowed` by default.

    Raises NotSayableError.
    """
    deciding = [stage for stage in port.access if not stage.shadow]
    allows = [stage for stage in deciding if stage.effect is ir.Effect.ALLOW]
    denies = [stage for stage in deciding if stage.effect is ir.Effect.DENY]
    asked = [*denies, *([_together(allows)] if allows else [])]
    found = [one for stage in asked for one in _stage(stage, groups)]
    if not allows and not is_allowed:
        span = deciding[0].span if deciding else port.span
        found.append(Written("allow anyone", span))
    found += [one for stage in port.access if stage.shadow for one in _stage(stage, groups)]
    return tuple(dict.fromkeys(found))


def _together(stages: Sequence[ir.Stage]) -> ir.Stage:
    """One list of what several lists of allowed callers all let through."""
    first, *others = stages
    for other in others:
        pairs = [_meet(one, two) for one in first.rules for two in other.rules]
        if len(pairs) > MOST_ALTERNATIVES:
            raise NotSayableError("two lists of allowed callers must both let a request through", other.span)
        first = replace(first, rules=tuple(one for one in pairs if one is not None))
    return first


def _meet(one: ir.Rule, other: ir.Rule) -> ir.Rule | None:
    """A rule for what both match; None if they plainly have no caller in common."""
    callers = meet_callers(ir.Principals(one.principals.include), ir.Principals(other.principals.include))
    if callers is None or not callers.include:
        return None
    excluded = tuple(dict.fromkeys((*one.principals.exclude, *other.principals.exclude)))
    parts = tuple(dict.fromkeys((*parts_of(one.condition), *parts_of(other.condition))))
    include = tuple(each for each in callers.include if each not in excluded)
    if not include:
        return None
    return replace(
        one,
        principals=ir.Principals(include, excluded),
        condition=parts[0] if len(parts) == 1 else ir.AllOf(parts),
        because=one.because or other.because,
    )


def _stage(stage: ir.Stage, groups: Groups) -> Iterator[Written]:
    effect = f"{'shadow ' if stage.shadow else ''}{stage.effect.value}"
    for rule in _with_all_callers(stage.rules):
        for condition in _alternatives(rule.condition, rule.span):
            text = show_rule_body(rule.principals, condition, groups.names)
            yield Written(f"{effect} {groups.shortened(rule.principals, text)}", rule.span)


def _with_all_callers(rules: tuple[ir.Rule, ...]) -> Iterator[ir.Rule]:
    """The rules, with those that stand at one place and differ in their callers alone as one."""
    waiting: ir.Rule | None = None
    for rule in rules:
        if waiting is not None and _is_same_but_callers(waiting, rule):
            include = tuple(dict.fromkeys((*waiting.principals.include, *rule.principals.include)))
            waiting = replace(waiting, principals=ir.Principals(include))
            continue
        if waiting is not None:
            yield waiting
        waiting = rule
    if waiting is not None:
        yield waiting


def _is_same_but_callers(one: ir.Rule, other: ir.Rule) -> bool:
    is_plain = not one.principals.exclude and not other.principals.exclude
    what = [(rule.span, rule.condition, rule.because, rule.until) for rule in (one, other)]
    return is_plain and what[0] == what[1]


def _alternatives(condition: ir.Condition, span: Span) -> Iterator[ir.Condition]:
    """Conditions of which one must hold; those that differ in what is called alone are one."""
    choices = [_choices(part) for part in parts_of(condition)]
    if prod(map(len, choices)) > MOST_ALTERNATIVES:
        raise NotSayableError(f"a rule with more than {MOST_ALTERNATIVES} alternatives", span)
    grouped: dict[tuple[ir.Condition, ...], list[ir.Condition]] = {}
    for chosen in product(*choices):
        called, rest = _split([part for one in chosen for part in parts_of(one)], span)
        grouped.setdefault(rest, []).append(called)
    for rest, calls in grouped.items():
        yield _joined(rest, tuple(dict.fromkeys(calls)))


def _joined(rest: tuple[ir.Condition, ...], calls: tuple[ir.Condition, ...]) -> ir.Condition:
    """In the order in which a rule has them: addresses, what is called, the rest."""
    peers = [one for one in rest if isinstance(one, ir.AddressIn) and one.address is ir.AddressOf.PEER]
    others = [one for one in rest if one not in peers]
    where: tuple[ir.Condition, ...] = ()
    if ir.ALWAYS not in calls:
        where = parts_of(calls[0]) if len(calls) == 1 else (ir.AnyOf(calls),)
    together = (*peers[:1], *where, *peers[1:], *others)
    return together[0] if len(together) == 1 else ir.AllOf(together)


def scope_text(condition: ir.Condition, names: Names, span: Span) -> str:
    """` to OPERATIONS when CONDITION` for a condition that one limit can have. Raises NotSayableError."""
    found = list(_alternatives(condition, span))
    if len(found) != 1:
        raise NotSayableError("one bucket for requests that the language tells apart only by several limits", span)
    first, *rest = parts_of(found[0]) or (ir.ALWAYS,)
    if isinstance(first, ir.AddressIn):
        # After `from` no limit can have it.
        called = [one for one in rest if _is_about_calls(one)]
        others = [first, *(one for one in rest if not _is_about_calls(one))]
        tests = show_condition(others[0] if len(others) == 1 else ir.AllOf(tuple(others)))
        operations = show_rule_body(_EVERYBODY, ir.AllOf(tuple(called)), names).removeprefix("anyone")
        return f"{operations} when {tests}"
    return show_rule_body(_EVERYBODY, found[0], names).removeprefix("anyone")


def _choices(part: ir.Condition) -> Sequence[ir.Condition]:
    """The alternatives of a part that speaks of what is called; other alternatives the language can say by `or`."""
    if isinstance(part, ir.AnyOf) and _is_about_calls(part):
        return [choice for one in part.conditions for choice in _choices(one)]
    return [part]


def _is_about_calls(condition: ir.Condition) -> bool:
    match condition:
        case ir.AllOf(parts) | ir.AnyOf(parts):
            return any(map(_is_about_calls, parts))
        case ir.Not(inner):
            return _is_about_calls(inner)
        case _:
            return isinstance(condition, ir.MethodIs | ir.PathIs)


def _split(parts: Sequence[ir.Condition], span: Span) -> tuple[ir.Condition, tuple[ir.Condition, ...]]:
    """One operation, and what else must hold."""
    methods = [one for one in parts if isinstance(one, ir.MethodIs)]
    paths = [one.pattern for one in parts if isinstance(one, ir.PathIs)]
    rest = tuple(one for one in parts if not isinstance(one, ir.MethodIs | ir.PathIs))
    if len(methods) > 1 or len(paths) > 1:
        raise NotSayableError("a rule that tests two paths at once", span)
    if any(_is_about_calls(one) for one in rest):
        raise NotSayableError("a rule for all methods or paths but some", span)
    if not methods and not paths:
        return ir.ALWAYS, rest
    called = operation_condition(methods[0].methods if methods else (), paths[0] if paths else ir.ANY_PATH)
    return called, rest
