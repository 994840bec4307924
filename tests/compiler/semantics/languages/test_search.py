"""The search for short texts, on automata whose texts are plain to see."""

import re
from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshc.semantics.languages import TooComplexError, Universe
from meshc.semantics.languages.dfa import Product, State
from meshc.semantics.languages.model import Budget
from meshc.semantics.languages.nfa import expression_nfa, part_nfa, prefix_nfa, suffix_nfa
from meshc.semantics.languages.re2_syntax import read_re2
from meshc.semantics.languages.search import Words, shortest_texts, texts_but
from meshc.semantics.languages.universes import preference, shape_of

READABLE = preference(shape_of(Universe.CLAIM))


def search(patterns: Sequence[str], avoided: frozenset[bytes] = frozenset(), steps: int = 10**6) -> dict[State, bytes]:
    """For each set of patterns that hold together, the shortest text; all texts match the first."""
    budget = Budget(steps)
    automata = Product([expression_nfa(read_re2(one), 1, budget) for one in patterns], READABLE, budget)

    def kind(state: State) -> State | None:
        first, *others = automata.labels(state)
        return tuple(others) if first else None

    return shortest_texts(automata, automata.start, kind, Words(avoided), budget)


def test_the_shortest_text_is_found_and_reads_well() -> None:
    assert search(["(?s).*", "[^!]{2}", "[A-Z]+"]) == {(0, 0): b"a", (1, 0): b"aa", (0, 1): b"A", (1, 1): b"AA"}


def test_the_empty_text_stands_where_there_is_no_other() -> None:
    assert search(["a*", "a*"]) == {(1,): b"a"}
    assert search(["|a", "a"]) == {(0,): b"", (1,): b"a"}


def test_words_to_avoid() -> None:
    words = frozenset({b"a", b"b", b"ab", b""})
    assert search(["[ab]*", "[ab]{0,2}"], words) == {(1,): b"aa", (0,): b"aaa"}
    assert search(["[ab]?"], words) == {}
    assert search(["(?s).", "[a-c]", "[a-z]"], words) == {(1, 1): b"c", (0, 1): b"d", (0, 0): b"0"}


def test_the_most_readable_of_equally_long_texts_is_found_beside_words() -> None:
    assert search([r"\w|[A-D]-"], frozenset({b"a", b"A"})) == {(): b"b"}


@pytest.mark.slow
@given(st.frozensets(st.text("ab", max_size=3).map(str.encode)))
def test_avoiding_words_only_where_they_are_met_finds_the_same(words: frozenset[bytes]) -> None:
    """Law: the sets of patterns are those of all texts but the words"""
    patterns = ["[ab]{0,3}", "a*", "[ab]?b*"]
    found = texts_but(words, lambda avoided: search(patterns, avoided))
    texts = ("".join(some) for length in range(4) for some in product("ab", repeat=length))
    others = [text for text in texts if text.encode() not in words]
    holding = {tuple(int(re.fullmatch(one, text) is not None) for one in patterns[1:]) for text in others}
    assert found.keys() == search(patterns, words).keys() == holding
    assert {text.decode() for text in found.values()} <= set(others)


def test_a_search_ends_when_its_steps_are_used_up() -> None:
    with pytest.raises(TooComplexError, match="too many ways"):
        search(["(?s).*", ".*a.*b.*c.*d"], steps=200)


@given(st.text("ab ", max_size=6))
def test_literals_as_automata(text: str) -> None:
    labels = {"a": 1, "ab": 2, "": 4, "ba": 8}
    literals = {one.encode(): label for one, label in labels.items()}
    budget = Budget()
    automata = Product([build(literals, budget) for build in (prefix_nfa, suffix_nfa, part_nfa)], READABLE, budget)
    assert automata.labels(automata.run(automata.start, text.encode())) == (
        sum(label for one, label in labels.items() if text.startswith(one)),
        sum(label for one, label in labels.items() if text.endswith(one)),
        sum(label for one, label in labels.items() if one in text.split(" ")),
    )


def test_running_is_stepping() -> None:
    """Law: the state after a text is the one that its bytes lead to, one after the other"""
    budget = Budget()
    automata = Product([expression_nfa(read_re2(one), 1, budget) for one in (r"a\b.*", "(ab)*")], READABLE, budget)
    for text in map(bytes, product(b"ab-", repeat=3)):
        state = automata.start
        for byte in text:
            state = tuple(automata.step(state))[automata.classes.of_byte[byte]]
        assert automata.run(automata.start, text) == state
