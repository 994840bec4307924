"""Every text but some words, as regular expressions: Rust's have no complement, so it is spelled letter by letter."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from meshc_linkerd.regular import alternatives, byte_class, quoted

_LONGEST: Final = 450
"""How long one expression may become before it is split: two of them and more must fit into a path of 1024 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alphabet:
    """What texts are made of: some bytes, each for itself, and escapes, which start with `%`."""

    letters: int
    escape: str

    @property
    def letter(self) -> str:
        """One of the letters."""
        return byte_class(self.letters)

    def others(self, words: Iterable[str]) -> tuple[str, ...]:
        """Expressions that together match every text that is not empty and none of `words`; each of moderate length.

        Words with other letters cannot be such a text. If one has an escape, no text with an escape is matched.
        """
        every = sorted(set(words))
        trie = _Trie()
        for word in every:
            if all(self.letters >> ord(char) & 1 for char in word):
                trie.add(word)
        found = list(self._split(trie, ""))
        if not any("%" in word for word in every):
            found.append(f"{self.letter}*{self.escape}(?:{self.letter}|{self.escape})*")
        return tuple(_packed(found))

    def _split(self, trie: "_Trie", before: str) -> Iterator[str]:
        """Expressions for what is no word and starts with `before`, which leads to this node."""
        whole = self._after(trie)
        if len(whole) <= _LONGEST:
            may_end = before and not trie.is_word
            yield f"{quoted(before)}(?:{whole})?" if may_end else f"{quoted(before)}{whole}"
            return
        if before and not trie.is_word:
            yield quoted(before)
        yield f"{quoted(before)}{self._diverging(trie)}{self.letter}*"
        for char, child in trie.children.items():
            yield from self._split(child, before + char)

    def _after(self, trie: "_Trie") -> str:
        """What may follow, not nothing, so that no word is spelled."""
        ends = _ended(trie)
        return alternatives([f"{self._diverged(trie)}{self.letter}*", *([ends] if ends else [])])

    def _diverging(self, trie: "_Trie") -> str:
        return byte_class(self.letters & ~sum(1 << ord(char) for char in trie.children))

    def _diverged(self, trie: "_Trie") -> str:
        """Up to the first letter with which no word goes on."""
        branches = [self._diverging(trie)]
        branches += (f"{quoted(char)}{self._diverged(child)}" for char, child in trie.children.items())
        return alternatives(branches)


@dataclass(slots=True)
class _Trie:
    """Words by their letters; `is_word` is set where one ends."""

    children: dict[str, "_Trie"] = field(default_factory=dict)
    is_word: bool = False

    def add(self, word: str) -> None:
        node = self
        for char in word:
            node = node.children.setdefault(char, _Trie())
        node.is_word = True


def _ended(trie: _Trie) -> str | None:
    """What is only the beginning of words, not empty; None where there is none."""
    branches: list[str] = []
    for char, child in trie.children.items():
        inner = _ended(child)
        if child.is_word:
            branches += [f"{quoted(char)}{inner}"] if inner else []
        else:
            branches.append(f"{quoted(char)}(?:{inner})?" if inner else quoted(char))
    return alternatives(branches) if branches else None


def _packed(expressions: Iterable[str]) -> Iterator[str]:
    """Put short expressions together."""
    waiting: list[str] = []
    for one in expressions:
        if waiting and sum(map(len, waiting)) + len(one) > _LONGEST:
            yield alternatives(waiting)
            waiting = []
        waiting.append(one)
    yield alternatives(waiting)
