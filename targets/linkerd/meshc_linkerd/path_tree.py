"""Paths cut into classes that no pattern tells apart, by a walk from segment to segment, and back as matches of routes.

Every pattern here is literal segments and captures. A path is in just one class, and no two matches of different classes
match one path, so that precedence never has to choose between them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc.semantics.languages.templates import ROOT, Nodes, Templates
from meshc_linkerd.regular import quoted
from meshc_linkerd.resources.gateway import PathMatch
from meshc_linkerd.segments import SEGMENT, other_segments

MAX_PLACES: Final = 5_000
"""The most places of one tree."""

Kinds = Mapping[int, int]
"""For each label the number of what becomes of its paths; paths of one kind are put together."""


class TooManyPathsError(Exception):
    """The patterns combine in too many ways."""


class PathTree:
    """All paths, cut by some patterns; bit i of a label stands for pattern i. Raises TooManyPathsError."""

    def __init__(self, patterns: Sequence[ir.ExactPath | ir.TemplatePath]) -> None:
        self._root = _path_tree(patterns)

    def labels(self) -> frozenset[int]:
        """The sets of patterns that match some path together."""
        return frozenset(_labels(self._root))

    def matches(self, kinds: Kinds, wanted: Iterable[int]) -> Mapping[int, tuple[PathMatch, ...]]:
        """For some kinds, matches that match all their paths in normal form, and no others."""
        below: dict[int, int] = {}
        _look(self._root, kinds, below)
        return {kind: tuple(_Printer(kinds, below, kind).matches(self._root)) for kind in wanted}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What a path can be after some segments. Values are sets of patterns, as bits.

    `here` is what matches a path that ends there (None before the first segment), `slash` one that ends in a slash.
    `named` are the places after segments that some pattern names, `other` is the one after any other; None where the same
    patterns, `slash`, match all that is below.
    """

    here: int | None
    slash: int
    named: Mapping[str, "_Place"]
    other: "_Place | None"


def _path_tree(patterns: Sequence[ir.ExactPath | ir.TemplatePath]) -> _Place:
    """The tree of all paths; bit i stands for pattern i. Raises TooManyPathsError."""
    templates = Templates()
    for number, pattern in enumerate(patterns):
        templates.add(pattern, 1 << number)
    return _Builder(templates).place(ROOT, templates.resting(ROOT), is_root=True)


class _Builder:
    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._left = MAX_PLACES

    def place(self, nodes: Nodes, resting: int, *, is_root: bool = False) -> _Place:
        self._left -= 1
        if self._left < 0:
            raise TooManyPathsError
        templates = self._templates
        here = None if is_root else resting | templates.ending(nodes)
        if not nodes:
            return _Place(here=here, slash=resting, named={}, other=None)
        empty = templates.after(nodes, "")
        slash = resting | templates.resting(empty) | templates.ending(empty)
        named = {segment: self._next(nodes, resting, segment) for segment in templates.literals(nodes) if segment}
        return _Place(here=here, slash=slash, named=named, other=self._next(nodes, resting, None))

    def _next(self, nodes: Nodes, resting: int, segment: str | None) -> _Place:
        after = self._templates.after(nodes, segment)
        return self.place(after, resting | self._templates.resting(after))


def _labels(place: _Place) -> Iterator[int]:
    """The sets of patterns that match some path together."""
    if place.here is not None:
        yield place.here
    yield place.slash
    for child in place.named.values():
        yield from _labels(child)
    if place.other is not None:
        yield from _labels(place.other)


def _look(place: _Place, kinds: Kinds, below: dict[int, int]) -> int:
    """The kinds of all paths from a place on, as bits; `below` collects them by the identity of places."""
    found = 1 << kinds[place.slash]
    if place.here is not None:
        found |= 1 << kinds[place.here]
    for child in place.named.values():
        found |= _look(child, kinds, below)
    if place.other is not None:
        found |= _look(place.other, kinds, below)
    below[id(place)] = found
    return found


class _Printer:
    """Matches for the paths of one kind."""

    def __init__(self, kinds: Kinds, below: Mapping[int, int], wanted: int) -> None:
        self._kinds = kinds
        self._below = below
        self._wanted = wanted

    def matches(self, root: _Place) -> Iterator[PathMatch]:
        """Matches that match all paths of the kind that are in normal form, and no others."""
        if self._is_uniform(root):
            yield _expression(f"/(?:{SEGMENT}/)*{SEGMENT}?")
            return
        yield from self._matches(root, "", "")

    def _matches(self, place: _Place, literal: str | None, before: str) -> Iterator[PathMatch]:
        """`before` leads to the place; `literal` is the same as plain text, None where it is no single text."""
        if self._is_uniform(place):
            yield _expression(f"{before}(?:/{SEGMENT})*/?")
            return
        here, slash = place.here is not None and self._is_wanted(place.here), self._is_wanted(place.slash)
        if here and slash and literal is None:
            yield _expression(f"{before}/?")
        else:
            yield from (_match(literal, before),) if here else ()
            yield from (_match(None if literal is None else f"{literal}/", f"{before}/"),) if slash else ()
        yield from self._children(place, literal, before)

    def _children(self, place: _Place, literal: str | None, before: str) -> Iterator[PathMatch]:
        if place.other is None:
            if self._is_wanted(place.slash):
                yield _expression(f"{before}/{SEGMENT}(?:/{SEGMENT})*/?")
            return
        is_rest = self._is_uniform(place.other)
        apart = [name for name, child in place.named.items() if not (is_rest and self._is_uniform(child))]
        for segment in apart:
            child = place.named[segment]
            if self._has_wanted(child):
                text = None if literal is None else f"{literal}/{segment}"
                yield from self._matches(child, text, f"{before}/{quoted(segment)}")
        if self._has_wanted(place.other):
            for segment in other_segments(frozenset(apart)):
                yield from self._matches(place.other, None, f"{before}/{segment}")

    def _is_wanted(self, label: int) -> bool:
        return self._kinds[label] == self._wanted

    def _is_uniform(self, place: _Place) -> bool:
        """Whether every path from here on is of the kind."""
        return self._below[id(place)] == 1 << self._wanted

    def _has_wanted(self, place: _Place) -> bool:
        return bool(self._below[id(place)] >> self._wanted & 1)


_EXACT: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/._~!$&'()*+,;=:@%",
)
"""What the Gateway API allows in an `Exact` path."""


def _match(literal: str | None, expression: str) -> PathMatch:
    if literal is not None and _EXACT.issuperset(literal):
        return PathMatch(type="Exact", value=literal)
    return _expression(expression)


def _expression(expression: str) -> PathMatch:
    return PathMatch(type="RegularExpression", value=f"^(?:{expression})$")
