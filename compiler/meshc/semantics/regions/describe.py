"""Describe sets of classes by the tests that their requests pass and fail."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from meshc.errors import InternalError
from meshc.semantics.regions.diagram import Cell, lowest
from meshc.semantics.regions.forest import Bits
from meshc.semantics.regions.variables import Test, Variable

_MUCH: Final = 2
"""How many tests may be named before it is worth looking for a shorter way."""


@dataclass(frozen=True, slots=True)
class Term:
    """Requests that pass all of some tests and none of others; without any, all requests."""

    passed: tuple[Test, ...] = ()
    failed: tuple[Test, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a box says of one variable: its requests fit one of these terms, which are never all requests.

    `subject` says in the language's words what is looked at; several parts may have the same, and then all hold.
    """

    subject: str
    terms: tuple[Term, ...]
    variable: Variable
    classes: Bits


def describe(variables: Iterable[Variable], cell: Cell) -> tuple[Part, ...]:
    """The variables that a box constrains, in order, each with its classes in words."""
    return tuple(
        Part(subject=one.subject, terms=terms_of(one, bits), variable=one, classes=bits)
        for one in variables
        if (bits := cell[one.level]) != one.full
    )


def terms_of(variable: Variable, wanted: Bits) -> tuple[Term, ...]:
    """Terms that together hold exactly some classes; the simplest of what greedy searches find."""
    told = tuple(zip(variable.tests, variable.holds, strict=True))
    inside, left = _union(told, wanted)
    found: list[tuple[Term, ...]] = []
    if not left:
        found.append(tuple(Term(passed=(test,)) for test in inside))
    outside, unnamed = _union(told, variable.full & ~wanted)
    if not unnamed:
        found.append((Term(failed=outside),))
    if not found or min(map(_price, found)) > _MUCH:
        found.append(_each_around(told, variable.full, wanted))
    return min(found, key=_price)


def _price(terms: tuple[Term, ...]) -> int:
    """How much there is to read; a term that starts with what fails is harder."""
    return sum(len(term.passed) + len(term.failed) + (not term.passed) for term in terms)


def _each_around(told: Sequence[tuple[Test, Bits]], full: Bits, wanted: Bits) -> tuple[Term, ...]:
    terms: list[Term] = []
    left = wanted
    while left:
        term, bits = _around(told, full, wanted, lowest(left))
        terms.append(term)
        left &= ~bits
    return tuple(terms)


def _union(told: Iterable[tuple[Test, Bits]], wanted: Bits) -> tuple[tuple[Test, ...], Bits]:
    """Tests that hold for wanted classes alone, those with most of them first; and the classes that none of them holds for."""
    usable = [(test, bits) for test, bits in told if bits and not bits & ~wanted]
    chosen: list[Test] = []
    left = wanted
    for test, bits in sorted(usable, key=lambda one: -one[1].bit_count()):
        if bits & left:
            chosen.append(test)
            left &= ~bits
    return tuple(chosen), left


def _around(told: Sequence[tuple[Test, Bits]], full: Bits, wanted: Bits, number: int) -> tuple[Term, Bits]:
    """A term that holds for one class, and for wanted ones alone; and all classes that it holds for."""
    passed, held = _narrowed(((test, bits) for test, bits in told if bits >> number & 1), full, wanted)
    failed, held = _narrowed(
        ((test, full & ~bits) for test, bits in told if bits & held & ~wanted and not bits >> number & 1), held, wanted
    )
    if held & ~wanted:
        raise InternalError("two classes pass the same tests")
    return Term(passed=passed, failed=failed), held


def _narrowed(sides: Iterable[tuple[Test, Bits]], held: Bits, wanted: Bits) -> tuple[tuple[Test, ...], Bits]:
    """Tests chosen for the unwanted classes that they take away, as long as there are such; and what is left."""
    chosen: list[Test] = []
    for test, bits in sorted(sides, key=lambda side: _loss(held & ~side[1], wanted)):
        if held & ~wanted & ~bits:
            chosen.append(test)
            held &= bits
    return tuple(chosen), held


def _loss(cut: Bits, wanted: Bits) -> int:
    """How bad it is to lose some classes; the unwanted ones among them are a gain."""
    return (cut & wanted).bit_count() - (cut & ~wanted).bit_count()
