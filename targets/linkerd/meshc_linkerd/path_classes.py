"""Paths of one port: its patterns -> classes of paths, and the matches that stand for each."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from meshc import ir
from meshc_linkerd.path_automaton import PathAutomaton
from meshc_linkerd.path_tree import PathTree
from meshc_linkerd.resources.gateway import PathMatch
from meshc_linkerd.segments import other_raw_paths

Outcome = TypeVar("Outcome", bound=Hashable)
"""What becomes of the paths of a class; classes with the same outcome are put together. A false one needs no match."""

Paths = PathTree | PathAutomaton


def cut_paths(patterns: Sequence[ir.PathPattern]) -> Paths:
    """All paths, cut by patterns; bit i of a label stands for pattern i.

    Raises TooManyPathsError, and TooComplexError where expressions combine in too many ways.
    """
    plain = [pattern for pattern in patterns if not isinstance(pattern, ir.RegexPath)]
    return PathTree(plain) if len(plain) == len(patterns) else PathAutomaton(patterns)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathClasses(Generic[Outcome]):
    """The matches of each outcome. `are_normal` is set where only paths in normal form match."""

    matches: Mapping[Outcome, tuple[PathMatch, ...]]
    are_normal: bool


def path_classes(
    patterns: Sequence[ir.PathPattern],
    probes: Mapping[str, int],
    outcome_of: Callable[[int], Outcome],
    added: Callable[[Outcome, Outcome], Outcome | None],
) -> PathClasses[Outcome]:
    """Put paths of the same outcome together; `probes` are the paths of probes, each with the number of its pattern.

    Where nothing but probes makes paths differ, those are literal, and all other paths match however they are spelled.
    `added` says what a probe's outcome adds to that of all other paths where both may match one path; None if they may not.
    Raises as `cut_paths` does, and UnprintableError where an expression would be too long.
    """
    paths = cut_paths(patterns)
    labels = sorted(paths.labels())
    probed = sum({1 << number for number in probes.values()})
    outcomes = {label: outcome_of(label) for label in labels}
    apart = {outcome_of(label & ~probed) for label in labels}
    # Paths with escapes have no label in an automaton, so that it cannot tell that all paths are alike.
    if len(apart) == 1 and isinstance(paths, PathTree):
        return PathClasses(matches=_raw(probes, outcomes, added, apart.pop()), are_normal=False)
    numbers = {outcome: number for number, outcome in enumerate(dict.fromkeys(outcomes.values()))}
    kinds = {label: numbers[outcome] for label, outcome in outcomes.items()}
    matches = paths.matches(kinds, [number for outcome, number in numbers.items() if outcome])
    found = {outcome: matches[number] for outcome, number in numbers.items() if outcome}
    return PathClasses(matches=found, are_normal=True)


def _raw(
    probes: Mapping[str, int],
    outcomes: Mapping[int, Outcome],
    added: Callable[[Outcome, Outcome], Outcome | None],
    common: Outcome,
) -> Mapping[Outcome, tuple[PathMatch, ...]]:
    found: dict[Outcome, tuple[PathMatch, ...]] = {}
    apart: set[str] = set()
    for path, number in sorted(probes.items()):
        outcome = next(outcome for label, outcome in outcomes.items() if label >> number & 1)
        more = added(outcome, common)
        if more is None:
            apart.add(path)
            more = outcome
        if more:
            found[more] = (*found.get(more, ()), PathMatch(type="Exact", value=path))
    if common:
        found[common] = (*found.get(common, ()), *map(_raw_match, other_raw_paths(frozenset(apart))))
    return found


def _raw_match(expression: str) -> PathMatch:
    if expression == "/":
        return PathMatch(type="Exact", value="/")
    return PathMatch(type="RegularExpression", value=f"^(?:{expression})$")
