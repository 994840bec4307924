"""Paths: patterns as tests of a uri, and what two patterns have in common."""

from collections.abc import Iterable
from typing import Final, assert_never

from meshc import ir
from meshc.semantics.paths import path_matcher
from meshc_istio.obstacles import Obstacle
from meshc_istio.resources.networking import StringMatch
from meshc_istio.texts import ANYTHING, quote

_SEGMENT: Final = "[^/]+"


def uri_matches(pattern: ir.PathPattern) -> tuple[StringMatch | None, ...]:
    """Tests of the path, any one of which must hold; None stands for no test at all."""
    match pattern:
        case ir.ExactPath(path):
            return (StringMatch(exact=path),)
        case ir.RegexPath(pattern=regex):
            return (StringMatch(regex=regex),)
        case ir.TemplatePath(segments, _, rest):
            if None in segments:
                return (StringMatch(regex=path_expression(pattern)),)
            path = prefix_path(segments)
            if not rest:
                return (StringMatch(exact=path),)
            # Istio's prefix is one of the text: `/a` would match `/ab` too.
            return (StringMatch(exact=path), StringMatch(prefix=f"{path}/")) if path else (None,)
        case _:
            assert_never(pattern)


def prefix_path(segments: Iterable[str | None]) -> str:
    """The path of literal segments."""
    return "".join(f"/{segment}" for segment in segments)


def path_expression(pattern: ir.TemplatePath) -> str:
    """A regular expression for the paths of a template."""
    steps = "".join("/" + (_SEGMENT if step is None else quote(step)) for step in pattern.segments)
    return steps + (f"(?:/{ANYTHING})?" if pattern.rest else "")


def intersect(one: ir.PathPattern, other: ir.PathPattern) -> ir.PathPattern | Obstacle | None:
    """The paths that match both; None if there are none."""
    if other in (one, ir.ANY_PATH):
        return one
    if one == ir.ANY_PATH:
        return other
    if isinstance(other, ir.ExactPath):
        one, other = other, one
    if isinstance(one, ir.ExactPath):
        return one if path_matcher(other)(one.path) else None
    if isinstance(one, ir.TemplatePath) and isinstance(other, ir.TemplatePath):
        return _intersect_templates(one, other)
    return Obstacle(
        reason="test a path for a regular expression and for another pattern at once",
        advice="write one pattern that says both",
    )


def _intersect_templates(one: ir.TemplatePath, other: ir.TemplatePath) -> ir.TemplatePath | None:
    short, long = sorted((one, other), key=lambda pattern: len(pattern.segments))
    if len(short.segments) < len(long.segments) and not short.rest:
        return None
    shared = zip(short.segments, long.segments, strict=False)
    segments: list[str | None] = []
    for mine, theirs in shared:
        literal = theirs if mine is None else mine
        is_hole = mine is None or theirs is None
        if literal == "" if is_hole else mine != theirs:
            return None
        segments.append(literal)
    segments += long.segments[len(short.segments) :]
    rest = long.rest if len(short.segments) < len(long.segments) else one.rest and other.rest
    return ir.TemplatePath(segments=tuple(segments), names=(), rest=rest)
