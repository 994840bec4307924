"""Expressions for paths, by enumeration: they match what normalization leaves alone, and each text at most once."""

from collections.abc import Callable
from itertools import product
from typing import Final

import pytest
import re2

from meshc.semantics.paths import RefusedError, normalize_path
from meshc_linkerd.segments import ANY_RAW_PATH, PLAIN_PATH, SEGMENT, other_raw_paths, other_segments

PIECES: Final = (
    "a",
    "b",
    ".",
    "/",
    "%41",
    "%2e",
    "%2F",
    "%20",
    "%c3",
    "%3b",
    ";",
    "%",
    "%2",
    "\\",
    "{",
    "%00",
    "é",
    "0",
)
"""What paths are put together from: each kind of character and escape, some of them halves of others."""


def _paths(length: int) -> list[str]:
    return sorted({"/" + "".join(some) for size in range(length + 1) for some in product(PIECES, repeat=size)})


def _is_left_alone(path: str) -> bool:
    try:
        return path.isascii() and normalize_path(path) == path and path != "//"
    except RefusedError:
        return False


def _whole(expression: str) -> Callable[[str], bool]:
    """A test as Linkerd makes it: found anywhere, but only from end to end."""
    search = re2.compile(f"^(?:{expression})$").search
    return lambda text: search(text) is not None


NORMAL: Final = _whole(f"/(?:{SEGMENT}/)*{SEGMENT}?")


@pytest.mark.slow
def test_only_normal_paths_match() -> None:
    """What matches is left alone by normalization; what is left alone matches, but for `;` and stray percent signs."""
    matched = 0
    for path in _paths(4):
        is_matched = NORMAL(path)
        matched += is_matched
        if is_matched:
            assert _is_left_alone(path), path
        elif _is_left_alone(path):
            assert ";" in path or "%3b" in path or _has_stray(path), path
    assert matched > 1_000


@pytest.mark.slow
def test_raw_paths_are_all_that_is_not_refused() -> None:
    raw = _whole(ANY_RAW_PATH)
    for path in _paths(4):
        try:
            normalize_path(path)
            is_refused = not path.isascii()
        except RefusedError:
            is_refused = True
        if raw(path):
            assert not is_refused, path
        else:
            assert is_refused or _has_stray(path), path


@pytest.mark.parametrize(
    "words", [{"a"}, {"ab", "b"}, {"a", "ab", "abb"}, {"..a"}, {"a0", "b;"}, {"admin", "internal", "a" * 60, "b" * 60}]
)
def test_other_segments_are_all_but_some_words(words: set[str]) -> None:
    whole = _whole(SEGMENT)
    parts = [_whole(one) for one in other_segments(frozenset(words))]
    letters = (*"ab.0", "%20", "%c3")
    texts = {"".join(some) for size in range(1, 5) for some in product(letters, repeat=size)}
    texts |= words | {f"{word}x" for word in words} | {word[:-1] for word in words}
    for text in texts:
        is_other = whole(text) and text not in words
        assert any(part(text) for part in parts) == is_other, text


def test_words_with_escapes_leave_out_all_escapes() -> None:
    (expression,) = other_segments(frozenset({"a%20"}))
    other = _whole(expression)
    assert other("a")
    assert not other("a%20")
    assert not other("b%20")


def test_long_lists_of_words_are_split() -> None:
    words = frozenset(f"word{number}x{number * number}" for number in range(60))
    parts = other_segments(words)
    assert len(parts) > 1
    assert all(len(part) < 700 for part in parts)
    for word in words:
        assert not any(_whole(part)(word) for part in parts)
        assert any(_whole(part)(f"{word}y") for part in parts)
        assert any(_whole(part)(word[:-1]) for part in parts if word[:-1] not in words)


@pytest.mark.parametrize("paths", [{"/healthz"}, {"/"}, {"/", "/a/b"}, {"/a", "/a/"}])
def test_other_raw_paths_are_all_but_some(paths: set[str]) -> None:
    raw = _whole(ANY_RAW_PATH)
    parts = [_whole(one) for one in other_raw_paths(frozenset(paths))]
    for path in {*_paths(3), *paths}:
        expected = raw(path) and path not in paths
        assert any(part(path) for part in parts) == expected, path


def test_paths_without_escapes() -> None:
    plain = _whole(PLAIN_PATH)
    for path in _paths(3):
        assert (plain(path)) == (NORMAL(path) and "%" not in path), path


def _has_stray(path: str) -> bool:
    left = path
    while (at := left.find("%")) >= 0:
        if len(left) < at + 3 or not all(char in "0123456789abcdefABCDEF" for char in left[at + 1 : at + 3]):
            return True
        left = left[at + 3 :]
    return False
