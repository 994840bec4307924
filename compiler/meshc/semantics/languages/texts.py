"""Which tests of one text can hold together.

Texts that a test names as a whole are looked at one by one. All others are covered by combining prefixes with suffixes where
only such literals are tested, and by running automata where expressions are.
"""

from collections.abc import Mapping, Sequence

from meshc.ir import Contains, TextTest
from meshc.semantics.languages.combinations import ends_of_texts, sets_of_parts
from meshc.semantics.languages.dfa import Product, State
from meshc.semantics.languages.literals import Literals
from meshc.semantics.languages.model import Budget, Signature, TooComplexError, Universe
from meshc.semantics.languages.nfa import Nfa, expression_nfa, part_nfa, prefix_nfa, suffix_nfa
from meshc.semantics.languages.re2_syntax import read_re2
from meshc.semantics.languages.search import Words, shortest_texts, texts_but
from meshc.semantics.languages.universes import membership, preference, shape_of
from meshc.semantics.texts import fullmatcher


def text_signatures(tests: Sequence[TextTest | Contains], universe: Universe) -> tuple[Signature, ...]:
    """The sets of tests that hold together for some text of a universe, by rising `holds`; none is missing.

    `IsPresent` holds for each text; of `Contains`, what it means for a string. Raises TooComplexError beyond a bound of work,
    and ValueError for a pattern that is not RE2 syntax.
    """
    literals = Literals(tests)
    matchers = [(label, fullmatcher(pattern)) for pattern, label in literals.patterns.items()]
    budget = Budget()
    found: dict[int, str] = {}
    is_possible = membership(universe)
    for text in filter(is_possible, literals.whole):
        holds = literals.label(text)
        for label, matches in matchers:
            holds |= label if matches(text) else 0
        found.setdefault(holds, text)
    others = _by_literals(literals, universe, budget)
    found |= _by_automata(literals, universe, budget) if others is None else others
    return tuple(Signature(holds=holds, witness=found[holds]) for holds in sorted(found))


def _by_literals(literals: Literals, universe: Universe, budget: Budget) -> dict[int, str] | None:
    """What holds of texts that no test names as a whole, where that is plain; else None."""
    if literals.patterns:
        return None
    if not literals.parts:
        return ends_of_texts(literals, universe, budget)
    if universe is not Universe.CLAIM or literals.prefixes or literals.suffixes:
        return None
    return sets_of_parts(literals, budget)


# ---- automata -------------------------------------------------------------------------------------------------------


def _by_automata(literals: Literals, universe: Universe, budget: Budget) -> dict[int, str]:
    """The same by automata."""
    shape = shape_of(universe)
    product = Product(_automata(literals, universe, budget), preference(shape), budget)

    def tests_holding(state: State) -> int | None:
        possible, *labels = product.labels(state)
        return sum(labels, literals.present) if possible else None

    def shortest(avoided: frozenset[bytes]) -> Mapping[int, bytes]:
        return shortest_texts(product, product.start, tests_holding, Words((*excluded, *avoided)), budget)

    excluded = [text.encode() for text in shape.excluded]
    named = filter(membership(universe), literals.whole)
    texts = texts_but(frozenset(text.encode("utf-8", "surrogateescape") for text in named), shortest)
    return {holds: text.decode("utf-8", "surrogateescape") for holds, text in texts.items()}


def _automata(literals: Literals, universe: Universe, budget: Budget) -> list[Nfa]:
    """One for the texts of the universe, then those of the tests."""
    automata = [expression_nfa(read_re2(shape_of(universe).pattern), 1, budget)]
    for labels, build in (
        (literals.prefixes, prefix_nfa),
        (literals.suffixes, suffix_nfa),
        ({part: label for part, label in literals.parts.items() if " " not in part}, part_nfa),
    ):
        if labels:
            automata.append(build(_bytes(labels, universe), budget))
    automata += (expression_nfa(read_re2(pattern), label, budget) for pattern, label in literals.patterns.items())
    return automata


def _bytes(labels: Mapping[str, int], universe: Universe) -> dict[bytes, int]:
    """Literals as bytes. In headers, a byte that is no UTF-8 reads as itself only as its neighbours allow: that is refused."""
    if universe is Universe.HEADER_VALUE and not all(map(_is_unicode, labels)):
        raise TooComplexError("a literal is no Unicode text")
    return {literal.encode("utf-8", "surrogatepass"): label for literal, label in labels.items()}


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
