"""Comments that say where a block comes from: the first place in each object, and the object."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from meshc.importing.pieces import Line
from meshc.reading import ConfigObject
from meshc.source import BUILTIN, Span

_SERVICES: Final = frozenset({"", "apps", "batch", "argoproj.io"})
"""Groups of objects that declare services and their workloads."""

MOST_PLACES: Final = 4
"""Places that one comment names."""

Describe = Callable[[Span], str | None]
"""What a place in a file belongs to, as `VirtualService shop/cart`; empty where that is not known, None where the object only declares services."""


def unknown_object(_: Span) -> str:
    """Nothing is known of any place."""
    return ""


def described(objects: Iterable[ConfigObject]) -> Describe:
    """What a place belongs to, by the objects of the files."""
    starts: dict[str, list[tuple[int, str | None]]] = {}
    for one in objects:
        named = "/".join(filter(None, (one.namespace, one.name)))
        starts.setdefault(one.file, []).append((one.span().start, _shown(one, named)))
    for some in starts.values():
        some.sort(key=lambda found: found[0])

    def describe(span: Span) -> str | None:
        before = [shown for start, shown in starts.get(span.path, ()) if start <= span.start]
        return before[-1] if before else ""

    return describe


def _shown(one: ConfigObject, named: str) -> str | None:
    if not one.kind:
        return ""
    return None if one.group in _SERVICES else f"{one.kind} {named}"


@dataclass(frozen=True, slots=True)
class Origins:
    """Comments on where things come from."""

    describe: Describe

    def comment(self, spans: Iterable[Span]) -> Iterator[Line]:
        """A comment of one line; none for what no file says."""
        found: dict[tuple[str, str], Span] = {}
        for span in spans:
            shown = self.describe(span)
            if span.path in {BUILTIN.path, ""} or shown is None:
                continue
            key = (span.path, shown or str(span))
            first = found.get(key)
            if first is None or span.start < first.start:
                found[key] = span
        places = [f"{span} {shown}" if shown != str(span) else str(span) for (_, shown), span in found.items()]
        if places:
            more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
            yield Line(f"# from {', '.join(places[:MOST_PLACES])}{more}")
