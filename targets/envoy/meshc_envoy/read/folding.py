"""Views of single callers put together: what a port's callers are told, as one list of routes or of access stages.

A sidecar holds only what its identity may reach. What is said of a port therefore speaks of the callers that hold it; callers
that agree share one list, and that of the first identity stands last, for everybody. A caller that may reach nothing behind the port
is refused there whatever its routes are, so nothing is lost by leaving it among the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from meshc import ir
from meshc.source import Span

Routes = tuple[ir.Route, ...]


def fold_routes(lists: Mapping[str, Routes]) -> Routes:
    """The lists of all callers, known by identity, as one."""
    groups: dict[Routes, list[str]] = {}
    for identity in sorted(lists):
        groups.setdefault(lists[identity], []).append(identity)
    if not groups:
        return ()
    rest = next(iter(groups))
    found: list[ir.Route] = []
    for routes, identities in groups.items():
        if routes is not rest:
            callers = ir.Principals(tuple(map(ir.ExactIdentity, identities)))
            found += (replace(one, callers=callers) for one in routes)
    return (*found, *rest)


Labelled = Mapping[str, ir.Stage]
"""Stages by the names of their filters, in order, with rules for whoever calls."""


def fold_access(holders: Mapping[str, Labelled], span: Span) -> tuple[ir.Stage, ...]:
    """The stages of an external's port: each caller's own sidecar asks its own. Nobody else gets there."""
    labels = sorted({label for stages in holders.values() for label in stages})
    found = [_stage(label, holders) for label in labels]
    if not any(one.effect is ir.Effect.ALLOW and not one.shadow for one in found):
        identities = tuple(map(ir.ExactIdentity, sorted(holders)))
        everything = ir.Rule(identifier="holders", principals=ir.Principals(identities), condition=ir.ALWAYS, span=span)
        rules = (everything,) if identities else ()
        found.append(ir.Stage(effect=ir.Effect.ALLOW, rules=rules, span=span))
    return tuple(found)


def _stage(label: str, holders: Mapping[str, Labelled]) -> ir.Stage:
    have = {identity: stages[label] for identity, stages in sorted(holders.items()) if label in stages}
    first = next(iter(have.values()))
    groups: dict[ir.Condition, list[str]] = {}
    places: dict[ir.Condition, ir.Rule] = {}
    for identity, stage in have.items():
        for rule in stage.rules:
            groups.setdefault(rule.condition, []).append(identity)
            places.setdefault(rule.condition, rule)
    if first.effect is ir.Effect.ALLOW and not first.shadow:
        passing = [identity for identity in sorted(holders) if identity not in have]
        if passing:
            groups.setdefault(ir.ALWAYS, []).extend(passing)
    rules = [
        _rule(f"{label}.{number}", condition, identities, places.get(condition), first)
        for number, (condition, identities) in enumerate(groups.items(), start=1)
    ]
    return replace(first, rules=tuple(rules))


def _rule(
    name: str, condition: ir.Condition, identities: Sequence[str], rule: ir.Rule | None, stage: ir.Stage
) -> ir.Rule:
    principals = ir.Principals(tuple(map(ir.ExactIdentity, dict.fromkeys(identities))))
    span = stage.span if rule is None else rule.span
    return ir.Rule(identifier=name, principals=principals, condition=condition, span=span)
