"""Texts tested by literals alone: every longest prefix with every longest suffix, or every set of parts; no automaton.

What holds of a text that is no tested literal itself depends on its longest tested prefix and its longest tested suffix. If
after each tested prefix some letter may follow with which no longer one goes on, and before each suffix likewise, then every
pair occurs: such letters stand between the two. A shorter text has one of these pairs too, so nothing is missing.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, combinations, count, product

from meshc.semantics.languages.literals import Literals
from meshc.semantics.languages.model import RESULT_STEPS, Budget, Universe
from meshc.semantics.languages.universes import membership, shape_of


def ends_of_texts(literals: Literals, universe: Universe, budget: Budget) -> dict[int, str] | None:
    """What can hold of texts that are not tested for as a whole, each with such a text, by prefixes and suffixes.

    None where letters are too few, or may not stand side by side freely, so that an automaton must tell.
    """
    shape = shape_of(universe)
    is_entangled = any(not shape.entangled.isdisjoint(one) for one in (*literals.prefixes, *literals.suffixes))
    if not shape.free or is_entangled:
        return None
    is_possible = membership(universe)
    letter = shape.letters[0]
    prefixes = [one for one in dict.fromkeys(("", *literals.prefixes)) if is_possible(one + letter)]
    suffixes = [one for one in dict.fromkeys(("", *literals.suffixes)) if is_possible(letter + one)]
    after = _free_letters(prefixes, shape.letters)
    before = _free_letters([one[::-1] for one in suffixes], shape.letters)
    if not all((*after.values(), *before.values())):
        return None
    starts = [(one, literals.prefix_label(one)) for one in prefixes]
    ends = [(one, literals.suffix_label(one)) for one in suffixes]
    found: dict[int, str] = {}
    for (prefix, start), (suffix, end) in product(starts, ends):
        budget.spend(RESULT_STEPS)
        wanted = literals.present | start | end
        between = _between(after[prefix], before[suffix[::-1]], shape.letters)
        texts = (f"{prefix}{middle}{suffix}" for middle in chain(("",) if prefix or suffix else (), between))
        found[wanted] = next(text for text in texts if literals.label(text) == wanted and is_possible(text))
    return found


def _free_letters(prefixes: list[str], letters: str) -> Mapping[str, str]:
    """The letters after each prefix with which no longer one begins."""
    taken: dict[str, set[str]] = {one: set() for one in prefixes}
    lengths = sorted({len(one) for one in prefixes})
    for one in prefixes:
        for length in lengths:
            if length < len(one) and one[:length] in taken:
                taken[one[:length]].add(one[length])
    return {one: "".join(letter for letter in letters if letter not in taken[one]) for one in prefixes}


def _between(first: str, last: str, letters: str) -> Iterator[str]:
    """Texts to stand between a prefix and a suffix, short ones first, without end."""
    yield from (letter for letter in first if letter in last)
    for length in count():
        for one, middle, other in product(first, product(letters, repeat=length), last):
            yield one + "".join(middle) + other


def sets_of_parts(literals: Literals, budget: Budget) -> dict[int, str]:
    """The same for claims of which only parts are tested for: each set of parts, put together with single spaces."""
    is_possible = membership(Universe.CLAIM)
    parts = [one for one in literals.parts if " " not in one and is_possible(one)]
    found: dict[int, str] = {}
    for some in chain.from_iterable(combinations(parts, size) for size in range(len(parts) + 1)):
        budget.spend(RESULT_STEPS)
        texts = (" ".join((*some, *more)) for more in _other_words(parts))
        wanted = literals.present
        for part in some:
            wanted |= literals.parts[part]
        found[wanted] = next(text for text in texts if text and literals.label(text) == wanted)
    return found


def _other_words(parts: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Nothing, then a word that is no part, then two of them, and so on."""
    known = frozenset(parts)
    letters = shape_of(Universe.CLAIM).letters
    words = ("".join(some) for length in count(1) for some in product(letters, repeat=length))
    word = next(one for one in words if one not in known)
    for size in count():
        yield (word,) * size
