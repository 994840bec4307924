"""Wording: items and points in a few words."""

from collections.abc import Iterable

from meshc.coverage.model import Coverage, Edge, Item, Kind, count


def describe(item: Item, edges: Iterable[Edge]) -> str:
    """An item, or some of its points, its place left out."""
    match item.kind:
        case Kind.CLAUSE:
            return f"{' and '.join(edge.value for edge in edges)} {item.text}"
        case Kind.RULE:
            return "rule"
        case Kind.REGION:
            return item.text.partition(" by `")[0] + _at(item)
        case Kind.ROUTE:
            return item.text


def _at(item: Item) -> str:
    return "" if item.port is None else f" at {item.port[1]}:{item.port[2]}"


def headline(coverage: Coverage) -> str:
    """The counts in one line."""
    counted = [one for one in coverage.entries if one.counts]
    exercised = sum(one.is_exercised for one in counted)
    kinds = [
        f"{found.exercised} of {found.total} {kind.value}{'' if found.total == 1 else 's'}"
        for kind in Kind
        if (found := count(coverage.entries, kind)).total
    ]
    shown = f"coverage: {percent_text(coverage.percent)}, {exercised} of {len(counted)}"
    return f"{shown}: {', '.join(kinds)}" if kinds else f"{shown}: there is nothing to exercise"


def percent_text(percent: float) -> str:
    """Whole percents, rounded down, so that 100 means all."""
    return f"{int(percent)} %"
