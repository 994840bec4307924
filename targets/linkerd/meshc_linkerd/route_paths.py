r"""Path classes: the path patterns of a port -> classes of paths that no two patterns tell apart, each as Linkerd matches it.

Linkerd compares the path as it was sent, and of two expressions that match neither is sure to win. So the classes are disjoint,
and expressions match canonical paths alone: segments that are neither `.` nor `..`, without backslash, `;` or an escape that the
language would undo. What is written otherwise finds no route, which is a refusal.
Source: Linkerd's route matching; the segment expressions are checked against `normalize_path` in the tests.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from meshc import ir
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.resources.gateway import PathMatch

LONGEST: Final = 1024
"""Characters of a path match. Source: the CRD of HTTPRoute."""
MAX_CLASSES: Final = 512
_ESCAPE: Final = "%(?:0[1-9A-F]|1[0-9A-F]|2[0-9A-C]|3[A-F]|40|5[BDE]|60|7[BCDF]|[89A-F][0-9A-F])"
_PLAIN: Final = r"[^/;%\\]"
_ANY_SEGMENT: Final = frozenset({".", ".."})
"""What no canonical segment is."""

State = frozenset[tuple[int, int]]
"""Patterns that may still match, each with how many of its segments have been seen; -1 where all that follows matches."""

Forms = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathClass:
    """Paths that match exactly these patterns, by their numbers, and the shapes that they have."""

    patterns: frozenset[int]
    shapes: tuple["Shape", ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """One path, if all `segments` are literals; else the expressions of its segments, and whether more may follow."""

    segments: tuple[str, ...]
    is_literal: bool = False
    goes_on: bool = False

    def match(self) -> PathMatch:
        """As Linkerd matches it. Raises InexpressibleError for one that is too long."""
        if self.is_literal:
            return PathMatch(type="Exact", value="/" + "/".join(self.segments))
        stem = "".join(f"/{one}" for one in self.segments)
        return PathMatch(
            type="RegularExpression", value=_checked(f"{stem}(?:/{_other(())})*/?" if self.goes_on else stem)
        )


def path_classes(patterns: Sequence[ir.PathPattern]) -> tuple[PathClass, ...]:
    """The classes of some patterns, those that none matches included, in a fixed order. Raises InexpressibleError."""
    if any(isinstance(one, ir.RegexPath) for one in patterns):
        reason = "of two expressions that match a path, neither is sure to win on Linkerd"
        raise InexpressibleError(reason, "use `{name}` and `/**`, or list the paths")
    found: dict[frozenset[int], list[Shape]] = {}
    for matched, shape in _leaves([_segments(one) for one in patterns]):
        found.setdefault(matched, []).append(shape)
    return tuple(
        PathClass(patterns=matched, shapes=tuple(shapes))
        for matched, shapes in sorted(found.items(), key=lambda item: sorted(item[0]))
    )


@dataclass(frozen=True, slots=True)
class _Pattern:
    segments: tuple[str | None, ...]
    rest: bool


def _segments(pattern: ir.PathPattern) -> _Pattern:
    match pattern:
        case ir.ExactPath(path=path):
            return _Pattern(tuple(path[1:].split("/")), rest=False)
        case ir.TemplatePath(segments=segments, rest=rest):
            return _Pattern(segments, rest=rest)
        case _:
            raise InexpressibleError("Linkerd cannot tell expressions apart", "use `{name}` and `/**`")


def _leaves(patterns: Sequence[_Pattern]) -> Iterator[tuple[frozenset[int], Shape]]:
    """Every kind of path, told apart segment by segment."""
    start: State = frozenset((number, 0 if one.segments or not one.rest else -1) for number, one in enumerate(patterns))
    waiting: list[tuple[State, tuple[str, ...], bool]] = [(start, (), True)]
    count = 0
    while waiting:
        state, so_far, is_literal = waiting.pop()
        count += 1
        if count > MAX_CLASSES:
            reason = f"the paths of this port come to more than {MAX_CLASSES} classes"
            raise InexpressibleError(reason, "use fewer patterns that overlap")
        if not state or all(seen == -1 for _, seen in state):
            yield frozenset(number for number, _ in state), Shape(_quoted(so_far, is_literal=is_literal), goes_on=True)
            continue
        if so_far:
            yield _ended(patterns, state), Shape(so_far, is_literal)
        slash = frozenset(number for number, seen in _step(patterns, state, "") if _is_end(patterns, number, seen))
        yield slash, Shape((*so_far, ""), is_literal)
        literals = sorted({text for number, seen in state if (text := _next(patterns, number, seen))})
        waiting += [
            (_step(patterns, state, text), (*so_far, text if is_literal else re.escape(text)), is_literal)
            for text in literals
        ]
        other = (*_quoted(so_far, is_literal=is_literal), _other(literals))
        waiting.append((_step(patterns, state, None), other, False))


def _quoted(segments: tuple[str, ...], *, is_literal: bool) -> tuple[str, ...]:
    """Segments as parts of an expression."""
    return tuple(map(re.escape, segments)) if is_literal else segments


def _next(patterns: Sequence[_Pattern], number: int, seen: int) -> str | None:
    segments = patterns[number].segments
    return segments[seen] if 0 <= seen < len(segments) else None


def _step(patterns: Sequence[_Pattern], state: State, text: str | None) -> State:
    """What may still match after one more segment; None is one that no literal is."""
    found = set()
    for number, seen in state:
        one = patterns[number]
        if seen == -1:
            found.add((number, -1))
        elif seen < len(one.segments):
            wanted = one.segments[seen]
            fits = bool(text is None or text) if wanted is None else wanted == text
            if fits:
                is_last = seen + 1 == len(one.segments)
                found.add((number, -1 if is_last and one.rest else seen + 1))
    return frozenset(found)


def _is_end(patterns: Sequence[_Pattern], number: int, seen: int) -> bool:
    return seen == -1 or seen == len(patterns[number].segments)


def _ended(patterns: Sequence[_Pattern], state: State) -> frozenset[int]:
    return frozenset(number for number, seen in state if _is_end(patterns, number, seen))


# ---- expressions ----------------------------------------------------------------------------------------------------


def _checked(pattern: str) -> str:
    """Anchored, with escapes where there is room for them."""
    for escape in (f"|{_ESCAPE}", ""):
        whole = f"^{pattern.replace(_ROOM, escape)}$"
        if len(whole) <= LONGEST:
            return whole
    raise InexpressibleError(
        "these paths come to an expression that is too long for Linkerd", "use fewer or shorter patterns"
    )


_ROOM: Final = "\0"
"""Stands in an expression where a canonical escape may be let in beside plain characters."""
_NO_DOT: Final = rf"(?:[^/.;%\\]{_ROOM})"


def _other(literals: Iterable[str]) -> str:
    """A canonical segment that is none of these."""
    listed = {*literals, *_ANY_SEGMENT}
    if listed == _ANY_SEGMENT:
        return rf"(?:\.{{0,2}}{_NO_DOT}(?:\.|{_NO_DOT})*|\.{{3}}(?:\.|{_NO_DOT})*)"
    return f"(?:{_but(listed, is_first=True)})"


def _but(words: set[str], *, is_first: bool) -> str:
    """All texts that are none of some words, the empty one not at first."""
    firsts = sorted({word[0] for word in words if word and word[0] != "%"})
    parts = []
    for char in firsts:
        inner = _but({word[1:] for word in words if word.startswith(char)}, is_first=False)
        parts.append(f"{re.escape(char)}{inner}")
    excluded = "".join(_in_class(char) for char in firsts)
    has_escape = any(word.startswith("%") for word in words)
    more = f"(?:{_PLAIN}{_ROOM})*"
    own = f"[^/;%\\\\{excluded}]" if has_escape else f"(?:[^/;%\\\\{excluded}]{_ROOM})"
    parts.append(f"{own}{more}")
    body = "|".join(parts)
    if is_first:
        return body
    return f"(?:{body})?" if "" not in words else f"(?:{body})"


def _in_class(char: str) -> str:
    return f"\\{char}" if char in r"\]^-[" else char
