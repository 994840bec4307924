"""Did you mean: only what is really close."""

import pytest

from meshc.suggest import closest


@pytest.mark.parametrize(
    ("word", "candidates", "expected"),
    [
        ("paymens", ["payments", "ledger"], "payments"),
        ("frontned", ["frontend", "backend"], "frontend"),  # a swap of neighbours is one edit
        ("crat", ["cart"], "cart"),
        ("cart", ["cart"], None),  # the word itself is no suggestion
        ("cart", ["ledger", "payments"], None),
        ("a", ["b"], "b"),
        ("ab", ["cd"], None),
        ("abc", ["xyz"], None),
        ("x", [], None),
        ("", ["a"], "a"),
        ("stripe", ["strict", "strife"], "strife"),  # the nearest of two that are close
        ("cat", ["car", "bat"], "bat"),  # of equals, the first of the alphabet
        ("données", ["donnees"], "donnees"),
    ],
)
def test_closest(word: str, candidates: list[str], expected: str | None) -> None:
    assert closest(word, candidates) == expected


def test_the_order_of_candidates_has_no_effect() -> None:
    assert closest("cat", ["car", "bat"]) == closest("cat", ["bat", "car"])
