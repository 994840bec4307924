"""Describe sets of classes by the tests that their requests pass and fail."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from meshc.errors import InternalError
from meshc.semantics.regions.diagram import Cell, lowest
from meshc.semantics.regions.forest import Bits
from meshc.semantics.regions.variables import Test, Variable


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
    sides = [(test, bits if bits >> number & 1 else full & ~bits, bool(bits >> number & 1)) for test, bits in told]
    passed: list[Test] = []
    failed: list[Test] = []
    held = full
    while held & ~wanted:
        test, bits, passes = max(sides, key=lambda side: _gain(held & ~side[1], wanted))
        if held & ~wanted & ~bits == 0:
            raise InternalError("two classes pass the same tests")
        (passed if passes else failed).append(test)
        held &= bits
    return Term(passed=tuple(passed), failed=tuple(failed)), held


def _gain(cut: Bits, wanted: Bits) -> tuple[bool, int]:
    """How good it is to lose some classes: unwanted ones must be among them, and the rest is a loss."""
    lost = (cut & wanted).bit_count()
    unwanted = (cut & ~wanted).bit_count()
    return unwanted > 0, unwanted - lost
