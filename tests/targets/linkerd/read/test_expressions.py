"""Expressions against what Rust's `find` makes of them: nothing is said to match as a whole that is found in part."""

from random import Random

import pytest
import re2

from meshc_linkerd.read.expressions import whole_of


@pytest.mark.parametrize(
    ("expression", "whole"),
    [
        ("^(?:/a|/ab)$", "/a|/ab"),
        ("^/(a|ab)$", "/(a|ab)"),
        ("/(a|ab)$", "/(a|ab)"),
        ("/a.*", "/a.*"),
        ("/a/[^/]+", "/a/[^/]+"),
        ("^/a$", "/a"),
        ("^/[|$]$", "/[|$]"),
        ("^/[]|]$", "/[]|]"),
        ("/(a|ab)", None),
        ("/a|/b", None),
        ("^/a$|^/b$", None),
        ("/a*(ab)*", None),
        ("/a*ab", None),
        ("(?U)/a.*", None),
        ("/a.*?", None),
        (r"/a\$", r"/a\$"),
    ],
)
def test_the_end_decides_what_an_expression_takes(expression: str, whole: str | None) -> None:
    assert whole_of(expression) == whole


def test_whole_matches_are_those_that_are_found() -> None:
    random = Random(7)
    known = 0
    for _ in range(400):
        atoms = ["a", "b", "(a|ab)", "(ab|a)", "(ab)", "[ab]", "."]
        parts = (random.choice(atoms) + random.choice(["", "", "*", "+", "?"]) for _ in range(random.randint(1, 3)))
        expression = random.choice(["", "^"]) + random.choice(["", "|"]).join(parts) + random.choice(["", "$"])
        whole = whole_of(expression)
        if whole is None:
            continue
        known += 1
        for _ in range(20):
            text = "".join(random.choice("ab") for _ in range(random.randint(0, 5)))
            found = re2.search(expression, text)
            is_found = found is not None and found.span() == (0, len(text))
            assert is_found is (re2.fullmatch(whole, text) is not None), (expression, text)
    assert known > 150
