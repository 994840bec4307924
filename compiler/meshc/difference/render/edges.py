"""Changed edges: who newly reaches what and who no longer does, for pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from meshc.difference.model import Change, Difference, Region, SubjectDifference

_WORDS: Final = {
    Change.OPENED: "opened",
    Change.CLOSED: "closed",
    Change.CHANGED: "answered differently",
    Change.ROUTING: "goes elsewhere",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Some callers and a destination. `count` regions of this kind lie on it, and `label` says what the first is about."""

    sources: str
    destination: str
    change: Change
    label: str
    count: int


def edges_of(difference: Difference) -> tuple[Edge, ...]:
    """The edges on which requests are decided otherwise: by subject, what opened before what closed and the rest."""
    return tuple(edge for subject in difference.subjects for edge in _edges(subject))


def _edges(subject: SubjectDifference) -> Iterator[Edge]:
    for change in _WORDS:
        found: dict[str, list[Region]] = {}
        for region in subject.regions:
            if region.change is change:
                found.setdefault(region.scope.sources, []).append(region)
        for sources, regions in found.items():
            about = regions[0].scope.narrowing.strip()
            yield Edge(
                sources=sources,
                destination=str(subject.subject),
                change=change,
                label=f"{_WORDS[change]}: {about}" if about else _WORDS[change],
                count=len(regions),
            )
