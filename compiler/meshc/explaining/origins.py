"""Origins: which lines of a program a compiled file has its rules, routes and settings from.

A compiled rule stands for the rules of the program that contain it, as sets of requests, or, where none does, for those that it shares
requests with. Routes and limits are told by what they say, settings by their names, as the program has them for the same request.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from meshc.ir import Effect, Mesh
from meshc.semantics.explain import DestinationFinding, Explanation
from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions import PortSide, RuleRegion, Space, sides_of
from meshc.source import BUILTIN, Span

Origins = Mapping[Span, tuple[Span, ...]]
"""Places of compiled files, with the places of the program that they are from, in the order of the program."""

NO_ORIGINS: Final[Origins] = {}


def origins_of(read: Mesh, program: Mesh, found: Explanation, own: Explanation) -> Origins:
    """The origins of all that an explanation of what was read names; `own` is the program's of the same request."""
    origins: dict[Span, tuple[Span, ...]] = {}
    for finding in found.destinations:
        origins |= dict(_rules(read, program, finding))
    named = dict(_named(own))
    for key, span in _named(found):
        if (origin := named.get(key)) is not None and span != origin:
            origins[span] = tuple(dict.fromkeys((*origins.get(span, ()), origin)))
    return origins


def _named(explanation: Explanation) -> Iterator[tuple[tuple[str, str, str], Span]]:
    """What is told apart by words, with its place."""
    for key, span in _places(explanation):
        if span is not None and span != BUILTIN:
            yield key, span


def _places(explanation: Explanation) -> Iterator[tuple[tuple[str, str, str], Span | None]]:
    for route in explanation.routes:
        yield ("route", "", route.text), route.route.span
    for one in explanation.settings:
        yield ("setting", one.name, ""), one.span
    for finding in explanation.destinations:
        place = f"{finding.namespace}.{finding.service}:{finding.port}"
        for one in finding.settings:
            yield ("setting", place, one.name), one.span
        for limit in finding.limits:
            yield ("limit", place, limit.text), limit.limit.span


def _rules(read: Mesh, program: Mesh, finding: DestinationFinding) -> Iterator[tuple[Span, tuple[Span, ...]]]:
    key = (finding.namespace, finding.service, finding.port)
    compiled, source = sides_of(read).get(key), sides_of(program).get(key)
    if compiled is None or source is None:
        return
    new, old = _all_asked(compiled), _all_asked(source)
    try:
        space = Space.of((new, old))
        known = [(_kind(source, one), one) for one in space.rule_regions(old)]
        for rule in space.rule_regions(new):
            kind = _kind(compiled, rule)
            origins = tuple(_containing(rule, [one for other, one in known if other == kind]))
            if origins and origins != (rule.rule.span,):
                yield rule.rule.span, origins
    except TooComplexError:
        return  # the places of the files are still right; only where they are from is not told


def _all_asked(side: PortSide) -> PortSide:
    """A port whose shadow rules have a say, so that regions speak of them too."""
    stages = tuple(replace(stage, shadow=False) for stage in side.port.access)
    return PortSide(mesh=side.mesh, owner=side.owner, port=replace(side.port, access=stages))


def _kind(side: PortSide, rule: RuleRegion) -> tuple[Effect, bool]:
    stage = side.port.access[rule.cause.stage or 0]
    return stage.effect, stage.shadow


def _containing(rule: RuleRegion, known: Iterable[RuleRegion]) -> Iterator[Span]:
    sharing = [one for one in known if not (one.matched & rule.matched).is_empty]
    containing = [one for one in sharing if rule.matched <= one.matched]
    yield from dict.fromkeys(one.rule.span for one in containing or sharing)
