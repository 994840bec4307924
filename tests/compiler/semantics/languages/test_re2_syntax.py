"""Expressions as automata, against google-re2 itself."""

import random
from collections.abc import Callable, Iterable
from itertools import product

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from meshc.semantics.languages import TooComplexError
from meshc.semantics.languages.dfa import Product
from meshc.semantics.languages.model import Budget
from meshc.semantics.languages.nfa import expression_nfa
from meshc.semantics.languages.re2_syntax import read_re2

FEATURES = [
    # literals and escapes
    "", "abc", r"a\.b", r"\x41\x{42}\x{e9}", r"\101\0\012", r"\a\f\n\r\t\v", r"a\{1\}", r"\-\_", r"\Qa.b*\Ec", r"\Qa|b", r"x\Q\E*",
    r"\Qab\E+", r"a{,2}", r"a{", r"a{x}", r"a{01}", "a]", "a}b", r"\Q\E", "é+", r"[é]", r"(?i)é",
    # classes
    ".", "(?s).", "(?s:.)b.", "(?-s).", r"\C", r"\C*", "[abc]", "[^abc]", "[a-c0-9]", "[]a]", "[^]a]", "[a-]", "[-a]", r"[\]a]",
    r"[\x00-\x1f]", r"[^\x00-\x7f]", r"[\w-]", r"[^\W_]", "[[:alpha:]]", "[[:^alpha:][:space:]]", "[^[:digit:]a]", "[[:word:]]", "[[:a]",
    "[a[:b]", r"\d\D", r"\s\S", r"\w\W", r"\pL", r"\p{Lu}", r"\PL", r"\p{^Lu}", r"\P{Greek}", r"\p{Greek}", r"a|\p{Greek}b", r"\p{Greek}*a", r"[\pN_]", r"\pZ", "[Q]",
    # letter case
    "(?i)aBc", "(?i)k", "(?i)s+", "(?i)[k-s]", "(?i)[^k]", "a(?i)b", "a(?i)b|c", "(?i:a)b", "(?i)a(?-i)b", "((?i)a)b", "(?i)µ", r"(?i)\xff",
    r"(?i)\xe5", r"(?i)\Qab\E", r"(?i)[[:upper:]]", r"(?i)\p{Lu}", r"(?is)a.", "(?i-s)a.", "(?i)ß",
    # groups, branches and repetition
    "a|b", "a|", "|a", "(|a)b", "(a|bc)*", "(?P<name>a)b", "(?<name>a)b", "(?:a|b)c", "a*?", "a+?", "a??", "a{2}", "a{2,}", "a{2,3}", "a{2,3}?", "a{0}",
    "a{0,1}", "(ab){2,}", "(a*)*", "(a|b*)+", "((a)|(b))*c", "(a{1,2}){2}", "(?U)a+", "(?U)a+?b", "a(?i)*", "(?:)*a", "(a*)+b", "(a?){3}",
    # places
    "^a$", r"\Aa\z", "a^b", "a$b", "(^a|b$)", "^*a", "(?m)^a$", "(?m)a$\n^b", "(?m:^a)\nb", "(?m)(^a\n)*", "(?-m)^a", r"\ba\b", r"a\bb", r"\Bab",
    r"a\B-", r"\B", r"\b", r"(\b|-)*a", r"a\b-\bb", r"\b.*\b", r"(?m)(a$|\n)*", r"(?:\ba|\Bb)*", r"(?m)^", r"(?m)$", r"(?s).*\b.*", r"(?:$)*a", r"^^a$$",
    "(?m)^^$$", r"\b\b", r"\b\B", r"(a\b|b)*c?",
]  # fmt: skip
POOL = bytes(range(256)) + b"abcABC01_- .\n|[]{}Q*" * 8 + b"kKsS\xe9\xc9\xc3\xa9\xe5\xc5\xff\xb5\xdf" * 4


def theirs(pattern: str) -> Callable[[bytes], bool]:
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    compiled = re2.compile(pattern.encode(), options)
    return lambda text: compiled.fullmatch(text) is not None


def ours(pattern: str, budget: Budget | None = None) -> Callable[[bytes], bool]:
    budget = budget or Budget()
    product = Product([expression_nfa(read_re2(pattern), 1, budget)], range(256), budget)
    return lambda text: product.labels(product.run(product.start, text)) == (1,)


def texts(pattern: str, draws: int) -> Iterable[bytes]:
    """All short texts of a few letters, single bytes, and random ones, some of them made of the pattern's own letters."""
    yield from (bytes((byte,)) for byte in range(256))
    yield from (bytes(some) for length in range(5) for some in product(b"abc\n-", repeat=length))
    luck = random.Random(pattern)
    own = pattern.encode() + b"ab"
    for _ in range(draws):
        pool = luck.choice((POOL, own, own + b"\n -_"))
        yield bytes(luck.choice(pool) for _ in range(luck.randrange(9)))


def differing(pattern: str, draws: int) -> list[bytes]:
    we, they = ours(pattern), theirs(pattern)
    return [text for text in texts(pattern, draws) if we(text) != they(text)]


@pytest.mark.parametrize("pattern", FEATURES)
def test_each_feature_means_what_re2_means(pattern: str) -> None:
    assert differing(pattern, 600) == []


pieces = st.sampled_from(
    ["a", "b", "c", ".", "[ab]", "[^a]", r"\w", r"\b", r"\B", "^", "$", "(?m)^", "(?m)$", r"\n", "-", "(?i)A", "(?s).", "\\Qa.\\E"]
)  # fmt: skip
repeats = st.sampled_from(["*", "+", "?", "*?", "{0,2}", "{2}", "{1,}", ""])
patterns = st.recursive(
    pieces,
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("{}|{}".format, inner, inner),
        st.builds("({}){}".format, inner, repeats),
        st.builds("(?:{}){}".format, inner, repeats),
        st.builds("(?i:{})".format, inner),
    ),
    max_leaves=10,
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(patterns)
def test_random_patterns_mean_what_re2_means(pattern: str) -> None:
    assert differing(pattern, 60) == []


def test_a_pattern_that_is_nested_too_deep_is_refused_with_a_reason() -> None:
    with pytest.raises(TooComplexError, match="nested more than 100 deep"):
        read_re2("(" * 120 + "a" + ")*" * 120)


def test_many_groups_around_one_letter_are_no_depth() -> None:
    assert ours("(" * 90 + "a" + ")" * 90)(b"a")


def test_an_expression_with_too_many_states_is_refused_with_a_reason() -> None:
    matches = ours("(a|b)*a" + "(a|b)" * 40, Budget(100_000))
    luck = random.Random(1)
    texts = (bytes(luck.choice(b"ab") for _ in range(300)) for _ in range(1000))
    with pytest.raises(TooComplexError, match="too many ways"):
        any(matches(text) for text in texts if text[-41:-40] == b"b")  # none does
