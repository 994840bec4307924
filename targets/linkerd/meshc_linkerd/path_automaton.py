"""Paths cut into classes by patterns of which some are regular expressions, and back as matches of routes.

All patterns are read at once by one automaton, together with one for paths in normal form. Each kind is then the language
of some of its states, and is spelled by eliminating states. The precedence of Linkerd's routes gives expressions no order, so
that classes must be disjoint; here they are by construction. Paths with escapes match none of them: more is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, assert_never

from meshc import ir
from meshc.semantics.languages.dfa import DEAD, Product, State
from meshc.semantics.languages.model import MAX_STEPS, Budget
from meshc.semantics.languages.nfa import expression_nfa
from meshc.semantics.languages.re2_syntax import read_re2
from meshc_linkerd.elimination import Edges, spell
from meshc_linkerd.path_tree import Kinds
from meshc_linkerd.regular import MAX_LENGTH, UnprintableError, quoted
from meshc_linkerd.resources.gateway import PathMatch
from meshc_linkerd.segments import PLAIN_PATH

MAX_STATES: Final = 200
"""The most states of an automaton that is spelled."""

_BYTES: Final = tuple(range(256))
_NORMAL: Final = 1


class PathAutomaton:
    """All paths without escapes, cut by some patterns; bit i of a label stands for pattern i. Raises TooComplexError."""

    def __init__(self, patterns: Sequence[ir.PathPattern]) -> None:
        budget = Budget(MAX_STEPS // 10)
        automata = [expression_nfa(read_re2(PLAIN_PATH), _NORMAL, budget)]
        automata += (
            expression_nfa(read_re2(_re2(pattern)), 1 << number, budget) for number, pattern in enumerate(patterns)
        )
        product = Product(automata, _BYTES, budget)
        self._edges: list[dict[int, int]] = []
        self._labels: list[int | None] = []
        self._explore(product)

    def _explore(self, product: Product) -> None:
        """Number the states that a path in normal form can reach; each edge has the bytes that lead along it."""
        bytes_of = [sum(1 << byte for byte in some) for some in product.classes.members]
        numbers: dict[State, int] = {product.start: 0}
        reached = [product.start]
        for state in reached:  # grows meanwhile
            normal, *found = product.labels(state)
            self._labels.append(sum(found) if normal else None)
            edges: dict[int, int] = {}
            for members, after in zip(bytes_of, product.step(state), strict=True):
                if after[0] == DEAD:
                    continue
                if after not in numbers:
                    numbers[after] = len(reached)
                    reached.append(after)
                edges[numbers[after]] = edges.get(numbers[after], 0) | members
            self._edges.append(edges)

    def labels(self) -> frozenset[int]:
        """The sets of patterns that match some path together."""
        return frozenset(label for label in self._labels if label is not None)

    def matches(self, kinds: Kinds, wanted: Iterable[int]) -> Mapping[int, tuple[PathMatch, ...]]:
        """For some kinds, matches that match all their paths, and no others. Raises UnprintableError."""
        return {kind: self._matches(kinds, kind) for kind in wanted}

    def _matches(self, kinds: Kinds, wanted: int) -> tuple[PathMatch, ...]:
        ends = [label is not None and kinds[label] == wanted for label in self._labels]
        edges, classes = _minimal(self._edges, ends)
        finals = sorted({classes[state] for state, is_end in enumerate(ends) if is_end})
        if len(edges) > MAX_STATES:
            raise UnprintableError
        try:
            found = [spell(edges, classes[0], finals, longest=_LONGEST)]
        except UnprintableError:
            found = [spell(edges, classes[0], [one], longest=_LONGEST) for one in finals]
        return tuple(PathMatch(type="RegularExpression", value=f"^(?:{one})$") for one in found)


_LONGEST: Final = MAX_LENGTH - len("^(?:)$")


def _re2(pattern: ir.PathPattern) -> str:
    match pattern:
        case ir.RegexPath(expression):
            return expression
        case ir.ExactPath(path):
            return quoted(path)
        case ir.TemplatePath(segments, _, rest):
            shown = "".join("/[^/]+" if one is None else f"/{quoted(one)}" for one in segments)
            return f"{shown}(?:/(?s:.)*)?" if rest else shown
        case _:
            assert_never(pattern)


def _minimal(edges: Sequence[Mapping[int, int]], ends: Sequence[bool]) -> tuple[Edges, list[int]]:
    """Put states together after which the same texts are accepted: the edges between them, and the class of each state."""
    classes = [int(is_end) for is_end in ends]
    while True:
        signatures = [(classes[state], _row(some, classes)) for state, some in enumerate(edges)]
        numbers = {signature: number for number, signature in enumerate(dict.fromkeys(signatures))}
        refined = [numbers[signature] for signature in signatures]
        if len(numbers) == len(set(classes)):
            break
        classes = refined
    found: dict[int, dict[int, int]] = {}
    for state, some in enumerate(edges):
        found[classes[state]] = dict(_row(some, classes))
    return found, classes


def _row(edges: Mapping[int, int], classes: Sequence[int]) -> tuple[tuple[int, int], ...]:
    row: dict[int, int] = {}
    for target, members in edges.items():
        row[classes[target]] = row.get(classes[target], 0) | members
    return tuple(sorted(row.items()))
