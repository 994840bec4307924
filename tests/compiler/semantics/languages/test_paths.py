"""Path patterns: every vector that occurs is returned, and every vector returned occurs."""

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshc.ir import ANY_PATH, ExactPath, PathPattern, RegexPath, TemplatePath
from meshc.path_patterns import read_path_pattern
from meshc.semantics.languages import Signature, TooComplexError, Universe, path_signatures
from meshc.semantics.languages.universes import membership
from meshc.semantics.paths import normalize_path, path_matcher

SHORT = [
    path
    for pieces, longest in ((["/", "a", "b"], 7), (["/", ".", ";", "%", "2", "a"], 5))
    for length in range(longest)
    for word in product(pieces, repeat=length)
    if membership(Universe.PATH)(path := "/" + "".join(word))
]


def check(patterns: Sequence[PathPattern]) -> tuple[Signature, ...]:
    signatures = path_signatures(patterns)
    matchers = [path_matcher(pattern) for pattern in patterns]

    def vector(path: str) -> int:
        return sum(1 << place for place, matches in enumerate(matchers) if matches(path))

    for one in signatures:
        assert vector(one.witness) == one.holds, one
        assert membership(Universe.PATH)(one.witness), one
    returned = [one.holds for one in signatures]
    assert returned == sorted(set(returned))
    for path in SHORT:
        assert vector(path) in returned, path
    return signatures


def vectors(*spelled: str) -> dict[str, str]:
    """The vectors as bits, the first pattern first, and their witnesses; a pattern without a slash is an expression."""
    patterns = [RegexPath(one[3:]) if one.startswith("re:") else read_path_pattern(one) for one in spelled]
    return {f"{one.holds:0{len(patterns)}b}"[::-1]: one.witness for one in check(patterns)}


# ---- by hand --------------------------------------------------------------------------------------------------------


def test_no_patterns() -> None:
    assert [one.holds for one in path_signatures(())] == [0]


def test_below_a_prefix() -> None:
    assert vectors("/a/**", "/a", "/a/", "/a/b", "/**") == {
        "00001": "/",
        "11001": "/a",
        "10101": "/a/",
        "10001": "/a/a",
        "10011": "/a/b",
    }


def test_a_capture_is_one_segment_that_is_not_empty() -> None:
    assert vectors("/{x}", "/a", "/", "/{x}/", "/{x}/**") == {
        "00000": "//",
        "00100": "/",
        "10001": "/b",
        "11001": "/a",
        "00011": "/a/",
        "00001": "/a/a",
    }


def test_templates_that_cross() -> None:
    found = vectors("/a/{x}", "/{x}/b", "/a/b")
    assert found == {"000": "/", "100": "/a/a", "010": "/b/b", "111": "/a/b"}


def test_names_step_out_of_each_others_way() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    found = vectors("/{x}", *(f"/{letter}" for letter in letters))
    assert found["1" + "0" * 26] == "/aa"


def test_a_path_that_cannot_occur_is_never_matched() -> None:
    patterns = (
        ExactPath("/a//b"),
        ExactPath("/%41"),
        ExactPath("a"),
        ExactPath("/../a"),
        ExactPath("/a?b"),
        TemplatePath(("..",), (), rest=True),
        TemplatePath(("", None), ("x",), rest=False),
        TemplatePath((), (), rest=False),
    )
    assert check(patterns) == (Signature(holds=0, witness="/"),)


def test_slashes_alone_are_a_path() -> None:
    assert vectors("re:/", "re:/+", "/**") == {"111": "/", "011": "//", "001": "/a"}
    assert [one.witness for one in check((ExactPath("//"),))] == ["/", "//"]


def test_dots_with_parameters_are_a_path() -> None:
    """They come of escaped dots."""
    found = vectors("re:/\\.\\.[^/]*", "re:/\\.[^.]*", "re:/\\.+")
    assert found["100"] == "/..a"
    assert found["010"] == "/.a"
    assert found["101"] == "/..."
    assert vectors("re:.*/\\.\\.;a")["1"] == normalize_path("/%2e%2e;a")


def test_escapes() -> None:
    assert set(vectors("re:.*%2[Ff].*", "re:.*%41.*", "re:.*%00")) == {"000"}
    assert set(vectors("re:.*%20", "re:.*%", "/a%20")) == {"000", "100", "010", "101"}


def test_an_expression_over_several_segments() -> None:
    found = vectors("re:/files/[a-z]+(/.*)?\\.txt", "/files/{x}", "/files/**", "/files/a.txt", "re:/files/.*")
    assert found["11101"] == "/files/b.txt"
    assert found["10101"] == "/files/a/.txt"
    assert found["11111"] == "/files/a.txt"


def test_expressions_and_exact_paths_in_their_way() -> None:
    exact = [f"/v{digit}/list" for digit in range(9)]
    found = vectors("re:/v[0-9]/list", *exact)
    assert found["1" + "0" * 9] == "/v9/list"
    assert set(vectors("re:/v[0-8]/list", *exact)) == {bits for bits in found if bits != "1" + "0" * 9}


def test_a_word_boundary_sees_the_slash() -> None:
    assert vectors(r"re:/\b.*", "/a", "/-") == {"000": "/", "100": "/b", "110": "/a", "001": "/-"}


def test_what_is_no_expression_is_an_error() -> None:
    with pytest.raises(ValueError, match="not RE2"):
        path_signatures((RegexPath("["),))


@pytest.mark.slow
def test_too_many_combinations_are_refused_with_a_reason() -> None:
    with pytest.raises(TooComplexError) as refused:
        path_signatures([RegexPath(f".*{one}.*") for one in "abcdefghijklmnopqrstuv"])
    assert refused.value.reason == "its tests combine in too many ways to look at all of them"


def test_the_same_every_time() -> None:
    patterns = (RegexPath("/[a-z]+/x"), ExactPath("/a/x"), TemplatePath((None, "x"), ("n",), rest=True), ANY_PATH)
    assert path_signatures(patterns) == path_signatures(patterns)


def many() -> list[PathPattern]:
    patterns: list[PathPattern] = [ExactPath(f"/api/v{number % 10}/item{number}/list") for number in range(1000)]
    patterns += [TemplatePath(("site", f"p{number}"), (), rest=True) for number in range(200)]
    patterns += [TemplatePath(("t", None, f"k{number % 10}", f"{number}"), ("x",), rest=False) for number in range(100)]
    return patterns


def test_thousands_of_patterns() -> None:
    assert len(path_signatures(many())) == 1301


def test_thousands_of_patterns_and_expressions() -> None:
    expressions = (RegexPath(r"/api/v[0-9]+/.*"), RegexPath(r".*\.(png|jpg)"))
    # Each pattern once; the prefixes, no pattern and the first expression with pictures and without.
    assert len(path_signatures((*many(), *expressions))) == 1301 + 200 + 1 + 2


# ---- by brute force -------------------------------------------------------------------------------------------------

_segment = st.sampled_from([None, "a", "b", "aa", "..", "%2", ".;"])
_expressions = st.recursive(
    st.sampled_from(["a", "b", "/", ".", "[^a]", "[^/]+", r"\W", r"\b", "$", "(?i)A", "%", r"\.", "2"]),
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds("({}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}"])),
    ),
    max_leaves=5,
)


@st.composite
def templates(draw: st.DrawFn) -> PathPattern:
    segments = draw(st.lists(_segment, max_size=3))
    if draw(st.booleans()):
        segments.append("")
    names = tuple(f"n{place}" for place, one in enumerate(segments) if one is None)
    return TemplatePath(tuple(segments), names, rest=draw(st.booleans()))


exact = st.lists(_segment.filter(bool), max_size=3).map(lambda some: ExactPath("/" + "/".join(map(str, some))))
slashed = exact.map(lambda one: ExactPath(one.path + "/"))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(templates(), exact, slashed), max_size=6))
def test_literal_patterns(patterns: list[PathPattern]) -> None:
    check(patterns)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(templates(), exact), max_size=4),
    st.lists(_expressions.map(lambda one: RegexPath("/" + one)), max_size=3),
)
def test_patterns_with_expressions(patterns: list[PathPattern], expressions: list[PathPattern]) -> None:
    check((*patterns, *expressions))


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(templates(), exact), max_size=5))
def test_an_expression_that_always_holds_changes_nothing(patterns: list[PathPattern]) -> None:
    plain = {one.holds for one in path_signatures(patterns)}
    always = 1 << len(patterns)
    found = {one.holds for one in path_signatures((*patterns, RegexPath(".*")))}
    assert found == {holds | always for holds in plain}
