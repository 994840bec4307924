"""Targets with captures, compared by what they make of a path: the names of captures mean nothing, their places do.

A target is one of a rewrite or redirect. Two targets with the patterns of their routes are the same if they make the same of
every path that both patterns match.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from meshc.ir import ExactPath, PathPattern, RegexPath, TemplatePath

_CAPTURE: Final = re.compile(r"\{([^{}]*)\}")
_REST: Final = "/**"


@dataclass(frozen=True, slots=True)
class _Segment:
    """The segment at this place of the path, counted from 0."""

    place: int


@dataclass(frozen=True, slots=True)
class _Rest:
    """All segments from this place on, each after its slash."""

    place: int


_Piece = str | _Segment | _Rest


@dataclass(frozen=True, slots=True)
class Target:
    """What a route makes of a path: a text with captures of its pattern; None leaves the path as it is."""

    text: str | None
    pattern: PathPattern

    def pieces(self) -> Iterator[_Piece]:
        """The text cut where something of the path goes in. Source: `meshc.semantics.paths.substitute`."""
        if self.text is None:
            yield _Rest(0)
            return
        stem = self.text.removesuffix(_REST)
        places = _captures(self.pattern)
        at = 0
        for found in _CAPTURE.finditer(stem):
            if found[1] in places:
                yield stem[at : found.start()]
                yield _Segment(places[found[1]])
                at = found.end()
        yield stem[at:]
        if stem != self.text and isinstance(self.pattern, TemplatePath) and self.pattern.rest:
            yield _Rest(len(self.pattern.segments))


def is_same(one: Target, other: Target) -> bool:
    """Whether two targets make the same of all paths that both patterns match."""
    if one == other:
        return True
    known = {**_literals(one.pattern), **_literals(other.pattern)}
    length = next((found for target in (one, other) if (found := _length(target.pattern)) is not None), None)
    starts = [piece.place for target in (one, other) for piece in target.pieces() if isinstance(piece, _Rest)]
    spelled = [tuple(_spelled(target.pieces(), known, length, max(starts, default=0))) for target in (one, other)]
    return spelled[0] == spelled[1]


def _spelled(pieces: Iterator[_Piece], known: Mapping[int, str], length: int | None, rest: int) -> Iterator[_Piece]:
    """The pieces with all literal text joined; what is left of the path starts at `rest`, or is spelled out to its `length`."""
    text = ""
    for piece in _expanded(pieces, length, rest):
        match piece:
            case str():
                text += piece
            case _Segment(place=place) if place in known:
                text += known[place]
            case _:
                yield text
                yield piece
                text = ""
    yield text


def _expanded(pieces: Iterator[_Piece], length: int | None, rest: int) -> Iterator[_Piece]:
    is_empty = True
    for piece in pieces:
        if not isinstance(piece, _Rest):
            is_empty = is_empty and piece == ""
            yield piece
            continue
        end = rest if length is None else length
        for place in range(piece.place, end):
            is_empty = False
            yield "/"
            yield _Segment(place)
        if length is None:
            is_empty = False
            yield _Rest(end)
    if is_empty:
        yield "/"  # a path that would be empty


def _captures(pattern: PathPattern) -> dict[str, int]:
    if not isinstance(pattern, TemplatePath):
        return {}
    places = (place for place, segment in enumerate(pattern.segments) if segment is None)
    return dict(zip(pattern.names, places, strict=False))


def _literals(pattern: PathPattern) -> dict[int, str]:
    match pattern:
        case ExactPath(path=path):
            return dict(enumerate(path[1:].split("/")))
        case TemplatePath(segments=segments):
            return {place: segment for place, segment in enumerate(segments) if segment is not None}
        case RegexPath():
            return {}


def _length(pattern: PathPattern) -> int | None:
    match pattern:
        case ExactPath(path=path):
            return path.count("/")
        case TemplatePath(segments=segments, rest=False):
            return len(segments)
        case _:
            return None
