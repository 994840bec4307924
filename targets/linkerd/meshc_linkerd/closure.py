"""All that requests can be told apart by, closed under `and`: formulas -> elements, each with who is let in.

Linkerd asks the one route whose match is most specific, and has no `not`. Every request has a most specific element among
those that it passes, namely all of them at once, and that one is at least as specific as any other in every respect that
precedence looks at: it wins under every version's order. Whatever a request does not pass, that element does not hold. So the
rules can be asked about the element in place of the request.

Two tests of one header or parameter cannot stand in one match, since names are unique there, and have equal rank in two. Both
must then say the same, or the port cannot be expressed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Final, assert_never

from meshc.semantics.languages import TooComplexError, Universe, text_signatures
from meshc_linkerd.clients import Rows, is_within
from meshc_linkerd.predicates import (
    Every,
    Formula,
    FromNetworks,
    HeaderTest,
    HostTest,
    MethodTest,
    Negated,
    OnPath,
    Passes,
    QueryTest,
    Some,
    Test,
    misses,
    over_matches,
)

MAX_ELEMENTS: Final = 512
"""The most elements of one class of paths."""

Tests = frozenset[Test]


class TooManyElementsError(Exception):
    """There are more than `MAX_ELEMENTS`."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Two tests of one name that would have to stand in one match."""

    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Wider:
    """A test about which Linkerd would let more through, since it answers it otherwise."""

    test: Test


Fault = Ambiguous | Wider


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One match without its path, and who is let in if it wins; the tests have different subjects."""

    tests: Tests
    rows: Rows


# ---- what formulas depend on ----------------------------------------------------------------------------------------


def generators(formula: Formula, given: Tests = frozenset()) -> Iterator[Tests]:
    """Sets of tests such that which of them a request passes decides the formula, for requests that pass those given."""
    match formula:
        case Passes(test):
            yield given | {test}
        case FromNetworks() | OnPath():
            yield given
        case Negated(part):
            yield given
            yield from generators(part, given)
        case Some(parts):
            for part in parts:
                yield from generators(part, given)
        case Every(parts):
            yield from _conjunction(_simplest_first(parts), given)
        case _:
            assert_never(formula)


def _simplest_first(parts: Iterable[Formula]) -> tuple[Formula, ...]:
    order = (Passes, FromNetworks, OnPath, Every, Some, Negated)
    return tuple(sorted(parts, key=lambda part: order.index(type(part))))


def _conjunction(parts: Sequence[Formula], given: Tests) -> Iterator[Tests]:
    if not parts:
        yield given
        return
    first, rest = parts[0], parts[1:]
    match first:
        case Passes(test):
            yield from _conjunction(rest, given | {test})
        case FromNetworks() | OnPath():
            yield from _conjunction(rest, given)
        case Every(inner):
            yield from _conjunction(_simplest_first((*inner, *rest)), given)
        case Some(choices):
            for choice in choices:
                yield from _conjunction(_simplest_first((choice, *rest)), given)
        case Negated(part):
            yield from _conjunction(rest, given)
            yield from generators(part, given)
        case _:
            assert_never(first)


# ---- implication ----------------------------------------------------------------------------------------------------


class Implications:
    """Which tests follow from which. Raises TooComplexError where that cannot be told."""

    def __init__(self, tests: Iterable[Test]) -> None:
        self._follows: dict[Test, list[Test]] = {}
        named: dict[tuple[type[Test], str], list[HeaderTest | QueryTest]] = {}
        hosts: list[HostTest] = []
        for test in dict.fromkeys(tests):
            match test:
                case HeaderTest(name) | QueryTest(name):
                    named.setdefault((type(test), name), []).append(test)
                case HostTest():
                    hosts.append(test)
                case MethodTest():
                    pass
        for one, other in combinations(hosts, 2):
            self._add(one, other, _is_inside(one, other))
            self._add(other, one, _is_inside(other, one))
        for some in named.values():
            if len(some) > 1:
                self._compare(some)

    def _add(self, test: Test, other: Test, follows: bool) -> None:  # noqa: FBT001 -- what is found out
        if follows:
            self._follows.setdefault(test, []).append(other)

    def _compare(self, some: Sequence[HeaderTest | QueryTest]) -> None:
        universe = Universe.HEADER_VALUE if isinstance(some[0], HeaderTest) else Universe.QUERY_VALUE
        flat = [(number, test) for number, one in enumerate(some) for test in one.tests]
        passed = [
            {number for place, (number, _) in enumerate(flat) if signature.holds >> place & 1}
            for signature in text_signatures([test for _, test in flat], universe)
        ]
        for one, other in product(range(len(some)), repeat=2):
            if one != other:
                self._add(some[one], some[other], all(other in each for each in passed if one in each))

    def close(self, tests: Tests) -> Tests | None:
        """The tests with all that follows from them; None where no request passes them."""
        methods = [test for test in tests if isinstance(test, MethodTest)]
        hosts = [test for test in tests if isinstance(test, HostTest)]
        if len(methods) > 1:
            return None
        if any(not _is_inside(one, other) and not _is_inside(other, one) for one, other in combinations(hosts, 2)):
            return None
        if not self._follows:
            return tests
        return tests.union(*(self._follows.get(test, ()) for test in tests))

    def implied(self, test: Test, tests: Tests) -> bool:
        """Whether a test follows from another one of some."""
        return any(test in self._follows.get(other, ()) for other in tests if other != test)


def _is_inside(one: HostTest, other: HostTest) -> bool:
    """Whether all hosts that pass one test pass the other."""
    if not other.is_suffix:
        return one == other
    return one.name.endswith(f".{other.name}") or (one.is_suffix and one.name == other.name)


# ---- closure --------------------------------------------------------------------------------------------------------


class Closure:
    """The elements of one class of paths. Raises TooManyElementsError."""

    def __init__(self, found: Iterable[Tests], implications: Implications, rows: Callable[[Tests], Rows]) -> None:
        self._implications = implications
        seeds = {closed for one in found if (closed := implications.close(one)) is not None}
        self._rows: dict[Tests, Rows] = {}
        waiting: list[Tests] = [frozenset(), *sorted(seeds, key=len)]
        known: set[Tests] = set()
        while waiting:
            one = waiting.pop()
            if one in known:
                continue
            for other in list(known):
                joined = implications.close(one | other)
                if joined is not None and joined not in known:
                    waiting.append(joined)
            known.add(one)
            if len(known) > MAX_ELEMENTS:
                raise TooManyElementsError
        self._refusing: set[Test] = set()
        self._ordered = sorted(known, key=_order) if len(known) > 1 else list(known)
        for tests in self._ordered:
            self._rows[tests] = rows(tests)

    def faults(self) -> Iterator[Fault]:
        """Why these elements would not mean on Linkerd what the rules say."""
        for tests in self._ordered:
            rows = self._rows[tests]
            choices = tuple(_choices(tests))
            if len(choices) > 1 and any(self._at(choice) != rows for choice in choices):
                yield Ambiguous(tuple(_doubled(tests)))
            for test in sorted(tests, key=repr):
                if self._implications.implied(test, tests):
                    continue
                fewer = self._rows[self._projected(tests - {test})]
                if not is_within(fewer, rows):
                    self._refusing.add(test)
                    yield from (Wider(test),) if misses(test) else ()
                if over_matches(test) and not is_within(rows, fewer):
                    yield Wider(test)

    @property
    def refusing(self) -> frozenset[Test]:
        """The tests that some request is refused for, as far as `faults` has looked."""
        return frozenset(self._refusing)

    def elements(self) -> Iterator[Element]:
        """The elements that routes are needed for, without those that change nothing."""
        for tests in self._ordered:
            rows = self._rows[tests]
            written = self._written(tests)
            if written is not None and any(self._rows[one] != rows for one in self._just_below(tests)):
                yield Element(tests=written, rows=rows)
            elif not tests and any(rows):
                yield Element(tests=tests, rows=rows)

    def _written(self, tests: Tests) -> Tests | None:
        """The tests of a match that stands for an element; None where it takes two tests of one name."""
        for choice in _choices(tests):
            if self._implications.close(choice) == tests:
                return choice
        return None

    def _at(self, choice: Tests) -> Rows:
        closed = self._implications.close(choice)
        return self._rows[self._projected(choice if closed is None else closed)]

    def _projected(self, tests: Tests) -> Tests:
        """The most specific element that requests with just these tests pass."""
        if tests in self._rows:
            return tests
        return frozenset[Test]().union(*(one for one in self._ordered if one <= tests))

    def _just_below(self, tests: Tests) -> list[Tests]:
        """The largest elements that hold fewer tests."""
        found: list[Tests] = []
        for one in reversed(self._ordered):
            if one < tests and not any(one < other for other in found):
                found.append(one)
        return found


def _order(tests: Tests) -> tuple[int, list[str]]:
    """Small ones first, the same every time."""
    return len(tests), sorted(map(repr, tests))


def _subject(test: Test) -> tuple[str, ...]:
    match test:
        case HeaderTest(name):
            return ("header", name)
        case QueryTest(name):
            return ("query", name)
        case MethodTest():
            return ("method",)
        case HostTest():
            return ("host",)
        case _:
            assert_never(test)


def _by_subject(tests: Tests) -> Mapping[tuple[str, ...], list[Test]]:
    found: dict[tuple[str, ...], list[Test]] = {}
    for test in sorted(tests, key=repr):
        found.setdefault(_subject(test), []).append(test)
    return found


def _choices(tests: Tests) -> Iterator[Tests]:
    """The ways to keep one test of each header and parameter, and the innermost host."""
    options: list[list[Test]] = []
    for some in _by_subject(tests).values():
        hosts = [test for test in some if isinstance(test, HostTest)]
        options.append([max(hosts, key=lambda host: (not host.is_suffix, len(host.name)))] if hosts else some)
    for choice in product(*options):
        yield frozenset(choice)


def _doubled(tests: Tests) -> Iterator[Test]:
    for subject, some in _by_subject(tests).items():
        if len(some) > 1 and subject != ("host",):
            yield from some


__all__ = [
    "MAX_ELEMENTS",
    "Ambiguous",
    "Closure",
    "Element",
    "Fault",
    "Implications",
    "Tests",
    "TooComplexError",
    "TooManyElementsError",
    "Wider",
    "generators",
]
