"""Tests of one text: every vector that occurs is returned, and every vector returned occurs."""

from collections.abc import Iterable, Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshc.ir import Contains, EndsWith, Equals, IsPresent, Matches, StartsWith, TextTest
from meshc.semantics.languages import Signature, TooComplexError, Universe, text_signatures
from meshc.semantics.languages.universes import membership, shape_of
from meshc.semantics.texts import claim_check

Tests = Sequence[TextTest | Contains]

LETTERS = {
    Universe.HEADER_VALUE: "ab \udc80",
    Universe.HOST: "ab.:[]",
    Universe.QUERY_VALUE: "ab%",
    Universe.CLAIM: "ab é",
    Universe.SERVER_NAME: "ab.",
    Universe.PATH: "/ab.",
    Universe.METHOD: "ABc",
}
SHORT = {
    universe: [
        text
        for length in range(6 if universe is not Universe.HOST else 5)
        for word in product(letters, repeat=length)
        if membership(universe)(text := "".join(word))
    ]
    for universe, letters in LETTERS.items()
}


def vector(tests: Tests, text: str) -> int:
    """What `decide` makes of the tests."""
    return sum(1 << place for place, test in enumerate(tests) if claim_check(test)(text))


def check(tests: Tests, universe: Universe, texts: Iterable[str] = ()) -> tuple[Signature, ...]:
    signatures = text_signatures(tests, universe)
    for one in signatures:
        assert vector(tests, one.witness) == one.holds, one
        assert membership(universe)(one.witness), one
    returned = [one.holds for one in signatures]
    assert returned == sorted(set(returned))
    checks = [claim_check(test) for test in tests]
    for text in (*texts, *SHORT[universe]):
        holds = sum(1 << place for place, passes in enumerate(checks) if passes(text))
        assert holds in returned, text
    return signatures


def vectors(tests: Tests, universe: Universe) -> dict[str, str]:
    """The vectors as bits, the first test first, and their witnesses."""
    return {f"{one.holds:0{len(tests)}b}"[::-1]: one.witness for one in check(tests, universe)}


# ---- by hand --------------------------------------------------------------------------------------------------------


def test_no_tests() -> None:
    assert [one.holds for one in text_signatures((), Universe.HEADER_VALUE)] == [0]


def test_a_whole_text_has_the_prefixes_and_suffixes_that_it_has() -> None:
    tests = (Equals("eu-1"), StartsWith("eu"), EndsWith("-1"), IsPresent())
    assert vectors(tests, Universe.HEADER_VALUE) == {
        "0001": "a",
        "0011": "-1",
        "0101": "eu",
        "0111": "eua-1",
        "1111": "eu-1",
    }


def test_a_longer_prefix_has_the_shorter_one() -> None:
    found = vectors((StartsWith("a"), StartsWith("ab"), StartsWith("")), Universe.QUERY_VALUE)
    assert found == {"001": "b", "101": "a", "111": "ab"}


def test_a_prefix_that_no_text_can_have_never_holds() -> None:
    tests = (StartsWith(" a"), EndsWith("\t"), StartsWith("a\n"), Equals("a "), EndsWith("b"))
    assert set(vectors(tests, Universe.HEADER_VALUE)) == {"00000", "00001"}


def test_a_host_has_no_upper_case_and_no_port() -> None:
    tests = (Equals("A"), StartsWith("a:"), EndsWith(":1"), Matches("[A-Z]+"), Matches(".*:[0-9]+"), Matches(r"\[.*\]"))
    found = vectors(tests, Universe.HOST)
    assert found == {"000000": "a", "000010": "[:0", "001010": "[:1", "000001": "[]"}


def test_where_every_readable_letter_is_taken_another_one_is_found() -> None:
    tests = [StartsWith(letter) for letter in shape_of(Universe.QUERY_VALUE).letters]
    assert check(tests, Universe.QUERY_VALUE)[0] == Signature(holds=0, witness='"')


def test_where_every_letter_is_taken_only_the_text_itself_is_left() -> None:
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1) if chr(code) not in "#&"]
    starts = [StartsWith(letter) for letter in letters] + [StartsWith(f"q{letter}") for letter in letters]
    signatures = check(starts, Universe.QUERY_VALUE)
    assert Signature(holds=0, witness="") in signatures
    assert Signature(holds=1 << letters.index("q"), witness="q") in signatures
    assert len(signatures) == 1 + 2 * len(letters)
    ends = [EndsWith(letter) for letter in letters]
    assert check(ends, Universe.QUERY_VALUE)[0] == Signature(holds=0, witness="")
    assert check([*ends, Equals("")], Universe.QUERY_VALUE)[0].holds == 1


def test_every_text_may_be_taken() -> None:
    tests = (Matches("[^a].*|"), Matches("a.*"), Equals(""), Equals("a"))
    assert set(vectors(tests, Universe.QUERY_VALUE)) == {"1000", "1010", "0100", "0101"}


def test_texts_that_tests_name_are_not_used_for_others() -> None:
    tests = (Matches("[ab]"), Equals("a"), Equals("b"))
    assert vectors(tests, Universe.QUERY_VALUE) == {"000": "c", "110": "a", "101": "b"}


def test_many_texts_in_the_way() -> None:
    named = [Equals(letter) for letter in "abcdefgh"]
    found = text_signatures([Matches("[a-i]"), *named], Universe.QUERY_VALUE)
    assert Signature(holds=1, witness="i") in found
    assert len(found) == len(named) + 2


def test_connect_is_no_method() -> None:
    tests = (Equals("CONNECT"), StartsWith("CONNEC"), EndsWith("T"), Matches("CONNECT?|GET"))
    assert "1111" not in vectors(tests, Universe.METHOD)
    assert vectors(tests, Universe.METHOD)["0101"] == "CONNEC"
    assert set(vectors((Matches("CONNECT"),), Universe.METHOD)) == {"0"}
    assert vectors((StartsWith("CONNE"), EndsWith("CT")), Universe.METHOD)["11"] == "CONNEACT"


def test_parts_of_a_claim_in_all_sets() -> None:
    tests = (Contains("read"), Contains("write"), Contains(""), Contains("a b"), Equals("read write"), IsPresent())
    found = vectors(tests, Universe.CLAIM)
    assert len(found) == 9
    assert found["110011"] == "read write"
    assert found["110001"] == "read write a"


def test_parts_together_with_prefixes() -> None:
    tests = (Contains("a"), Contains("b"), StartsWith("a "), EndsWith("b"), Contains(""))
    check(tests, Universe.CLAIM)
    assert set(vectors((Contains("a"), StartsWith("a ")), Universe.CLAIM)) == {"00", "10", "11"}


def test_parts_of_other_texts_are_left_to_automata() -> None:
    check((Contains(""), Contains("a")), Universe.HEADER_VALUE)


def test_bytes_beyond_ascii() -> None:
    tests = (
        Matches(r"\xc3\xa9"),
        Equals("é"),
        StartsWith("é"),
        Matches(r".\C"),
        Matches(r"\pL\C"),
        Matches(r"[\x80-\xff]"),
    )
    for universe in (Universe.CLAIM, Universe.HEADER_VALUE):
        found = vectors(tests, universe)
        assert found["111110"] == "é"
        assert ("000001" in found) is (universe is Universe.HEADER_VALUE)


def test_a_literal_that_is_no_text_is_refused_where_its_neighbours_count() -> None:
    with pytest.raises(TooComplexError, match="no Unicode text"):
        text_signatures((StartsWith("\udcc3"), Matches("a")), Universe.HEADER_VALUE)
    assert set(vectors((StartsWith("\udcc3"), EndsWith("\ud800"), Matches("a")), Universe.CLAIM)) == {"000", "001"}
    assert vectors((StartsWith("\udcc3"), Equals("\udca9")), Universe.HEADER_VALUE)["10"] == "\udcc3"


def test_paths_as_texts() -> None:
    tests = (StartsWith("/a"), EndsWith("/.."), Matches(r"/\.\..*"), Matches("/+"), EndsWith("%41"), EndsWith("%2F"))
    found = vectors(tests, Universe.PATH)
    assert set(found) == {"000000", "100000", "001000", "000100"}


def test_what_is_no_expression_is_an_error() -> None:
    with pytest.raises(ValueError, match="not RE2"):
        text_signatures((Matches("("),), Universe.CLAIM)


@pytest.mark.slow
def test_too_many_combinations_are_refused_with_a_reason() -> None:
    patterns = [Matches(f".*{one}.*") for one in "abcdefghijklmnopqrstuv"]
    with pytest.raises(TooComplexError) as refused:
        text_signatures(patterns, Universe.CLAIM)
    assert refused.value.reason == "its tests combine in too many ways to look at all of them"


@pytest.mark.slow
def test_too_many_parts_are_refused_with_a_reason() -> None:
    with pytest.raises(TooComplexError, match="too many ways"):
        text_signatures([Contains(f"scope{number}") for number in range(30)], Universe.CLAIM)


def test_the_same_every_time() -> None:
    tests = (Matches("[a-z]+"), StartsWith("a"), Equals("b"), Contains("c"), EndsWith("d"))
    assert text_signatures(tests, Universe.CLAIM) == text_signatures(tests, Universe.CLAIM)


def test_a_thousand_hosts_and_many_prefixes() -> None:
    tests: list[TextTest] = [Equals(f"host-{number}.shop.example") for number in range(1000)]
    tests += [StartsWith(f"tenant-{number}.") for number in range(200)]
    tests += [EndsWith(f".zone{number}.example") for number in range(20)]
    assert len(text_signatures(tests, Universe.HOST)) == 1000 + 201 * 21
    assert len(text_signatures([*tests[:1000], Matches(r"host-[0-9]+\.shop\..*")], Universe.HOST)) == 1000 + 2


# ---- by brute force -------------------------------------------------------------------------------------------------

_words = {universe: st.text(letters, max_size=3) for universe, letters in LETTERS.items()}
_expressions = st.recursive(
    st.sampled_from(["a", "b", ".", "[^a]", r"\W", r"\b", r"\B", "^", "$", "(?i)A", r"[\x80-\xff]", "/", r"\.", " ", "(?m)^"]),
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds("({}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}"])),
    ),
    max_leaves=5,
)  # fmt: skip


@st.composite
def drawn_tests(draw: st.DrawFn, *, with_expressions: bool) -> tuple[Universe, Tests]:
    universe = draw(st.sampled_from(sorted(LETTERS, key=lambda one: one.name)))
    words = _words[universe]
    kinds = [st.builds(kind, words) for kind in (Equals, StartsWith, EndsWith)]
    kinds.append(st.just(IsPresent()))
    if universe is Universe.CLAIM:
        kinds.append(st.builds(Contains, words))
    if with_expressions:
        kinds.append(st.builds(Matches, _expressions))
    return universe, draw(st.lists(st.one_of(kinds), max_size=5))


def _is_refused(universe: Universe, tests: Tests) -> bool:
    """Whether a literal is one that headers may not be tested for beside expressions."""
    return universe is Universe.HEADER_VALUE and any(
        isinstance(test, StartsWith | EndsWith) and "\udc80" in test.value for test in tests
    )


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(drawn_tests(with_expressions=False))
def test_literals(drawn: tuple[Universe, Tests]) -> None:
    universe, tests = drawn
    check(tests, universe)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(drawn_tests(with_expressions=True))
def test_expressions(drawn: tuple[Universe, Tests]) -> None:
    universe, tests = drawn
    if not _is_refused(universe, tests):
        check(tests, universe)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(drawn_tests(with_expressions=False))
def test_automata_find_what_combinations_find(drawn: tuple[Universe, Tests]) -> None:
    """Law: an expression that always holds changes nothing"""
    universe, tests = drawn
    if not _is_refused(universe, tests):
        plain = {one.holds for one in text_signatures(tests, universe)}
        always = 1 << len(tests)
        found = {one.holds for one in text_signatures((*tests, Matches(r"\C*")), universe)}
        assert found == {holds | always for holds in plain}
