"""Path classes: disjoint, complete over canonical paths, and blind to all others."""

import re

import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from meshc import ir
from meshc.semantics import is_comparable, normalize_path
from meshc.semantics.normalize import RefusedError
from meshc.semantics.paths import path_matcher
from meshc_linkerd.resources.gateway import PathMatch
from meshc_linkerd.route_paths import PathClass, path_classes

SEGMENTS = st.sampled_from(["a", "b", "ab", "abc", ".x", "...", "b.c", "%20", None])
PATTERNS = st.one_of(
    st.lists(SEGMENTS.filter(lambda one: one is not None), min_size=1, max_size=3).map(
        lambda parts: ir.ExactPath("/" + "/".join(str(one) for one in parts))
    ),
    st.just(ir.ExactPath("/")),
    st.tuples(st.lists(SEGMENTS, min_size=1, max_size=3), st.booleans()).map(
        lambda drawn: ir.TemplatePath(
            tuple(drawn[0]), tuple(f"n{place}" for place, one in enumerate(drawn[0]) if one is None), rest=drawn[1]
        )
    ),
)
PIECES = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        "abc",
        "abcd",
        "x",
        ".x",
        "..x",
        "...",
        "b.c",
        "%20",
        "%41",
        "%2f",
        ".",
        "..",
        "",
        ";v",
        "a;v",
        "é",
    ]
)
PATHS = st.lists(PIECES, max_size=4).map(lambda parts: "/" + "/".join(parts))


def fits(match: PathMatch, path: str) -> bool:
    return path == match.value if match.type == "Exact" else re2.fullmatch(match.value, path) is not None


def classes_of(found: tuple[PathClass, ...], path: str) -> list[frozenset[int]]:
    return [one.patterns for one in found for shape in one.shapes if fits(shape.match(), path)]


def is_canonical(path: str) -> bool:
    try:
        return normalize_path(path) == path and ";" not in path and is_comparable(path)
    except RefusedError:
        return False


@settings(max_examples=400, deadline=None)
@given(st.lists(PATTERNS, max_size=4, unique=True), PATHS)
def test_each_canonical_path_is_in_the_class_that_it_belongs_to(patterns: list[ir.PathPattern], path: str) -> None:
    found = classes_of(path_classes(patterns), path)
    expected = frozenset(number for number, one in enumerate(patterns) if path_matcher(one)(path))
    if not is_canonical(path):
        # Only what is written out letter for letter may be anything but canonical, and patterns are.
        assert found == []
    elif "%" in path:
        assert found in ([], [expected])
    else:
        assert found == [expected]


def test_expressions_are_anchored() -> None:
    (everything,) = path_classes([])
    (shape,) = everything.shapes
    assert re.fullmatch(r"\^.*\$", shape.match().value)
