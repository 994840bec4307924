"""Tests of one text, sorted by kind, each literal with the bits of the tests that name it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import assert_never

from meshc.ir import Contains, EndsWith, Equals, IsPresent, Matches, StartsWith, TextTest


class Literals:
    """Tests by kind. Values are labels: bit i is set where test i is meant.

    `present` holds always. `parts` are those of `Contains`, `patterns` those of `Matches`.
    """

    def __init__(self, tests: Sequence[TextTest | Contains]) -> None:
        self.present = 0
        self.whole: dict[str, int] = {}
        self.prefixes: dict[str, int] = {}
        self.suffixes: dict[str, int] = {}
        self.parts: dict[str, int] = {}
        self.patterns: dict[str, int] = {}
        for place, test in enumerate(tests):
            self._add(test, 1 << place)
        self._prefix_lengths = _lengths(self.prefixes)
        self._suffix_lengths = _lengths(self.suffixes)

    def _add(self, test: TextTest | Contains, label: int) -> None:
        match test:
            case IsPresent():
                self.present |= label
            case Equals(value=value):
                _put(self.whole, value, label)
            case StartsWith(value=value):
                _put(self.prefixes, value, label)
            case EndsWith(value=value):
                _put(self.suffixes, value, label)
            case Contains(value=value):
                _put(self.parts, value, label)
            case Matches(pattern=pattern):
                _put(self.patterns, pattern, label)
            case _:
                assert_never(test)

    def prefix_label(self, text: str) -> int:
        """The tests for prefixes that hold of a text."""
        found = (self.prefixes.get(text[:length], 0) for length in self._prefix_lengths if length <= len(text))
        return _any_of(found)

    def suffix_label(self, text: str) -> int:
        """The tests for suffixes that hold of a text."""
        size = len(text)
        found = (self.suffixes.get(text[size - length :], 0) for length in self._suffix_lengths if length <= size)
        return _any_of(found)

    def label(self, text: str) -> int:
        """The tests that hold of a text, patterns left out."""
        found = self.present | self.whole.get(text, 0) | self.prefix_label(text) | self.suffix_label(text)
        if self.parts:
            found |= _any_of(self.parts.get(part, 0) for part in set(text.split(" ")))
        return found


def _put(labels: dict[str, int], literal: str, label: int) -> None:
    labels[literal] = labels.get(literal, 0) | label


def _lengths(labels: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sorted({len(literal) for literal in labels}))


def _any_of(labels: Iterable[int]) -> int:
    found = 0
    for label in labels:
        found |= label
    return found
