"""Expressions in Rust's syntax mean what RE2's mean."""

from itertools import product

import pytest
import re2

from meshc.semantics.languages.re2_syntax import read_re2
from meshc.semantics.texts import fullmatcher
from meshc_linkerd.elimination import spell
from meshc_linkerd.regular import UnprintableError, alternatives, byte_class, printed, quoted


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "a|ab",
            "(a|ab)(c|bcd)",
            "[a-c]+",
            "[^b]",
            "a{2}",
            "a{1,2}b?",
            "a{2,}",
            r"\d+",
            r"[\w-]+",
            ".*",
            "(?i)aB",
            r"\Qa.b\E",
        ),
        *(
            "[a&&b]",
            "[~~a]",
            "[]a]",
            r"\x41",
            r"a\.b",
            "(?s).",
            "",
            "a||b",
            "(?:ab)*?",
            "(?U)a+",
            r"\101",
            "[[:alpha:]]+",
        ),
    ],
)
def test_expressions_keep_their_meaning(pattern: str) -> None:
    shown = re2.compile(f"^(?:{printed(read_re2(pattern))})$")
    wanted = fullmatcher(pattern)
    for size in range(4):
        for some in product("abcAB.-&~]1 \n", repeat=size):
            text = "".join(some)
            assert (shown.search(text) is not None) == wanted(text), (pattern, shown.pattern, text)


@pytest.mark.parametrize("pattern", [r"a\bb", "é", "(?m)^a"])
def test_what_rust_reads_otherwise_is_refused(pattern: str) -> None:
    with pytest.raises(UnprintableError):
        printed(read_re2(pattern))


@pytest.mark.parametrize("text", ["a.b", r"\d", "a&&b", "[x]", "~~--", "a b", "{2}", "#", "/"])
def test_quoted_text_matches_itself(text: str) -> None:
    assert re2.fullmatch(quoted(text), text)


def test_classes_hold_their_bytes() -> None:
    for members in (1 << 45, sum(1 << ord(one) for one in r"a-c]^\&~.[ "), (1 << 128) - 1 - (1 << 10), (1 << 256) - 1):
        shown = re2.compile(f"(?s)^{byte_class(members)}$")
        for byte in range(128):
            assert (shown.search(chr(byte)) is not None) == bool(members >> byte & 1 or False), (members, byte)


def test_alternatives_of_one_need_no_group() -> None:
    assert alternatives(["a"]) == "a"
    assert alternatives(["a", "b"]) == "(?:a|b)"


def test_states_are_eliminated() -> None:
    """Texts of `a` and `b` with an even number of `a`."""
    a, b = 1 << ord("a"), 1 << ord("b")
    shown = re2.compile(f"^(?:{spell({0: {1: a, 0: b}, 1: {0: a, 1: b}}, 0, [0], longest=100)})$")
    for size in range(7):
        for some in product("ab", repeat=size):
            assert (shown.search("".join(some)) is not None) == (some.count("a") % 2 == 0)


def test_long_results_are_refused() -> None:
    a, b = 1 << ord("a"), 1 << ord("b")
    ring = {state: {(state + 1) % 20: a, (state * 7 + 3) % 20: b} for state in range(20)}
    with pytest.raises(UnprintableError):
        spell(ring, 0, [0], longest=200)
