"""Which path patterns can match one path together.

A walk from segment to segment through the tree of all patterns: over each segment that some pattern names at that place, over
one that none does, and over the empty one at the end. Expressions are automata that read along; among the segments that no
pattern names, one is tried for each state that they can be in afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, product
from string import ascii_lowercase

from meshc.ir import ExactPath, PathPattern, RegexPath, TemplatePath
from meshc.semantics.languages.dfa import DEAD, Product, State
from meshc.semantics.languages.model import STATE_STEPS, Budget, Signature, Universe
from meshc.semantics.languages.nfa import expression_nfa
from meshc.semantics.languages.re2_syntax import read_re2
from meshc.semantics.languages.search import Words, shortest_texts, texts_but
from meshc.semantics.languages.templates import ROOT, Nodes, Templates
from meshc.semantics.languages.universes import SEGMENT, membership, preference, shape_of
from meshc.semantics.texts import fullmatcher


def path_signatures(patterns: Sequence[PathPattern]) -> tuple[Signature, ...]:
    """The sets of patterns that match some normalized path together, by rising `holds`; none is missing.

    Raises TooComplexError beyond a bound of work, and ValueError for a pattern that is not RE2 syntax.
    """
    found = _Walk(patterns).all_labels()
    return tuple(Signature(holds=holds, witness=found[holds]) for holds in sorted(found))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a path is among the templates, which `/**` it has come by, and what the expressions have read of it."""

    nodes: Nodes
    resting: int
    read: State


class _Walk:
    def __init__(self, patterns: Sequence[PathPattern]) -> None:
        self._budget = Budget()
        self._templates = Templates()
        expressions: dict[str, int] = {}
        is_path = membership(Universe.PATH)
        for number, pattern in enumerate(patterns):
            match pattern:
                case RegexPath(pattern=expression):
                    fullmatcher(expression)  # refuses what is no expression
                    expressions[expression] = expressions.get(expression, 0) | 1 << number
                case ExactPath(path=path) if not is_path(path):
                    pass
                case ExactPath() | TemplatePath():
                    self._templates.add(pattern, 1 << number)
        self._segments = _Segments(expressions, self._budget)

    def all_labels(self) -> dict[int, str]:
        """The labels of all paths, each with such a path."""
        start = _Place(ROOT, self._templates.resting(ROOT), self._segments.start)
        found: dict[int, str] = {}
        seen = {start}
        reached = [(start, "")]
        for place, path in reached:  # grows meanwhile
            read = self._segments.after(place.read, "/")
            empty = self._after(place, "", read)
            for end, text in ((place, path), (empty, f"{path}/")):
                label = self._label(end)
                if text and len(text) < len(found.get(label, f"{text}/")):
                    found[label] = text
            if not place.nodes and self._segments.is_over(read):
                continue  # nothing can change any more
            for segment, after in self._next(place, read):
                if after not in seen:
                    self._budget.spend(STATE_STEPS)
                    seen.add(after)
                    reached.append((after, f"{path}/{segment}"))
        found.setdefault(self._label(self._slashes(start)), "//")
        return found

    def _slashes(self, start: _Place) -> _Place:
        """Where the path `//` ends, the only one with an empty segment before another."""
        read = self._segments.after(start.read, "/")
        return self._after(self._after(start, "", read), "", self._segments.after(read, "/"))

    def _label(self, place: _Place) -> int:
        return place.resting | self._templates.ending(place.nodes) | self._segments.label(place.read)

    def _after(self, place: _Place, segment: str | None, read: State) -> _Place:
        nodes = self._templates.after(place.nodes, segment)
        return _Place(nodes, place.resting | self._templates.resting(nodes), read)

    def _next(self, place: _Place, read: State) -> Iterator[tuple[str, _Place]]:
        """The places after one more segment that is not empty, each with such a segment."""
        named = self._templates.literals(place.nodes)
        self._budget.spend(1 + len(named))
        for segment in named:
            if self._segments.is_segment(segment):
                yield segment, self._after(place, segment, self._segments.after(read, segment))
        for segment, after in self._segments.others(read, named):
            yield segment, self._after(place, None, after)


class _Segments:
    """The segments of normalized paths, as some expressions read them.

    A state is one of each expression, behind the one in which the automaton of segments starts.
    """

    def __init__(self, expressions: Mapping[str, int], budget: Budget) -> None:
        automata = [expression_nfa(read_re2(SEGMENT), 1, budget)] if expressions else []
        automata += (expression_nfa(read_re2(pattern), label, budget) for pattern, label in expressions.items())
        self._budget = budget
        self._product = Product(automata, preference(shape_of(Universe.PATH)), budget)
        self._others: dict[tuple[State, frozenset[bytes]], Mapping[State, bytes]] = {}
        self.start: State = self._product.start
        self.is_segment = fullmatcher(SEGMENT)

    def is_over(self, read: State) -> bool:
        """Whether no expression can match any more."""
        return all(one == DEAD for one in read[1:])

    def after(self, read: State, text: str) -> State:
        """The state after more text."""
        return read if self.is_over(read) else self._at_start(self._product.run(read, text.encode()))

    def label(self, read: State) -> int:
        """The expressions that match a path which ends here."""
        return 0 if self.is_over(read) else sum(self._product.labels(read)[1:])

    def others(self, read: State, named: Sequence[str]) -> list[tuple[str, State]]:
        """The states after a segment that has no name here, each with such a segment."""
        if self.is_over(read):
            return [(next(one for one in _short_names() if one not in named), read)]
        words = frozenset(one.encode("utf-8", "surrogatepass") for one in named)
        found = texts_but(words, lambda avoided: self._shortest(read, avoided))
        return [(segment.decode(), state) for state, segment in found.items()]

    def _shortest(self, read: State, avoided: frozenset[bytes]) -> Mapping[State, bytes]:
        def end(state: State) -> State | None:
            return self._at_start(state) if self._product.labels(state)[0] else None

        known = self._others.get((read, avoided))
        if known is None:
            known = shortest_texts(self._product, read, end, Words(avoided), self._budget)
            self._others[read, avoided] = known
        return known

    def _at_start(self, state: State) -> State:
        return self._product.start[:1] + state[1:]


def _short_names() -> Iterator[str]:
    for length in count(1):
        yield from map("".join, product(ascii_lowercase, repeat=length))
