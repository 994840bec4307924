"""Texts of which a request has one or none: method, path, host, server name, query parameters. And headers, which repeat."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from meshc.ir import (
    Equals,
    HeaderIs,
    HostIs,
    IsPresent,
    MethodIs,
    PathIs,
    PathPattern,
    Protocol,
    QueryIs,
    SniIs,
    TextTest,
)
from meshc.semantics.languages import Signature, Universe, path_signatures, text_signatures
from meshc.semantics.regions.forest import Forest, Node, bits_of
from meshc.semantics.regions.variables import YES, Passing, Test, Variable, classes_to_variable, yes_or_no
from meshc.semantics.show import show_subject
from meshc.semantics.texts import text_check

_ABSENT: Passing = (0, None)


def method_variable(level: int, methods: Sequence[str], protocol: Protocol) -> Variable:
    """All methods, those that rules name and one that none does."""
    signatures = text_signatures([Equals(method) for method in methods], Universe.METHOD)
    usual = "POST" if protocol is Protocol.GRPC else "GET"
    return _variable(level, "method", [MethodIs((method,)) for method in methods], signatures, preferred=usual)


def path_variable(level: int, patterns: Sequence[PathPattern]) -> Variable:
    """All normalized paths. Raises TooComplexError."""
    return _variable(level, "path", [PathIs(pattern) for pattern in patterns], path_signatures(patterns))


def host_variable(level: int, tests: Sequence[TextTest], own: str) -> Variable:
    """All hosts; of those like the port's own, that one is the example. Raises TooComplexError."""
    passed = sum(1 << place for place, test in enumerate(tests) if text_check(test)(own))
    signatures = (
        replace(one, witness=own) if one.holds == passed else one for one in text_signatures(tests, Universe.HOST)
    )
    return _variable(level, "host", [HostIs(test) for test in tests], signatures, preferred=own)


def server_name_variable(level: int, tests: Sequence[TextTest], *, may_lack: bool) -> Variable:
    """All server names, and none if that may be. Raises TooComplexError."""
    signatures = text_signatures(tests, Universe.SERVER_NAME)
    return _variable(level, "sni", [SniIs(test) for test in tests], signatures, before=[_ABSENT] if may_lack else [])


def query_variable(level: int, name: str, tests: Sequence[TextTest]) -> Variable:
    """All first values of a parameter, and none. Raises TooComplexError."""
    atoms = [QueryIs(name, test) for test in tests]
    signatures = text_signatures(tests, Universe.QUERY_VALUE)
    return _variable(level, show_subject(QueryIs(name, IsPresent())), atoms, signatures, before=[_ABSENT])


def _variable(
    level: int,
    subject: str,
    tests: Sequence[Test],
    signatures: Iterable[Signature],
    *,
    before: Sequence[Passing] = (),
    preferred: str | None = None,
) -> Variable:
    told = {passed for passed, _ in before}  # a value that passes nothing is no other class than no value
    passing = [*before, *((one.holds, one.witness) for one in signatures if one.holds not in told)]
    return classes_to_variable(level, subject, tests, passing, preferred)


# ---- headers --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderVariables:
    """One header: whether it is there, and for each test of a value whether some value passes.

    A header holds a list of values, so what passes is what any of them passes: `values` are the single ones, and bit i of what
    they hold is for `passing[i]`. `tests` has the variable of each test.
    """

    name: str
    present: Variable
    passing: tuple[Variable, ...]
    tests: Mapping[Test, Variable]
    values: tuple[Signature, ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        return self.present, *self.passing

    def feasible(self, forest: Forest) -> Node:
        """The combinations that occur: none without the header, else the union of what some values pass."""
        present = forest.literal(self.present.level, YES)
        passed = [forest.literal(one.level, YES) for one in self.passing]
        absent = forest.all_of(forest.negate(one) for one in (present, *passed))
        least = [forest.any_of(self._all_of(forest, one) for one in _least(self.values, 0))]
        alone = {one.holds for one in self.values}
        for place, literal in enumerate(passed):
            if 1 << place in alone:
                continue  # some value passes this test and no other
            together = forest.any_of(self._all_of(forest, one) for one in _least(self.values, 1 << place))
            least.append(forest.any_of((forest.negate(literal), together)))
        return forest.any_of((absent, forest.all_of((present, *least))))

    def _all_of(self, forest: Forest, passed: int) -> Node:
        return forest.all_of(forest.literal(self.passing[place].level, YES) for place in bits_of(passed))

    def chosen(self, passed: int) -> tuple[str, ...]:
        """Values that pass these tests together and no others; at least one."""
        fitting = sorted(
            (one for one in self.values if not one.holds & ~passed), key=lambda one: -one.holds.bit_count()
        )
        found: list[str] = []
        left = passed
        for one in fitting:
            if one.holds & left or not (found or left):
                found.append(one.witness)
                left &= ~one.holds
        return tuple(found)


def _least(values: Sequence[Signature], needed: int) -> list[int]:
    """The sets of tests that some value passes and that hold some needed ones, without those that hold a smaller one."""
    found: list[int] = []
    for holds in sorted((one.holds for one in values if not needed & ~one.holds), key=int.bit_count):
        if not any(not smaller & ~holds for smaller in found):
            found.append(holds)
    return found


def header_variables(level: int, name: str, tests: Sequence[TextTest]) -> HeaderVariables:
    """The variables of one header, from `level` on. Raises TooComplexError."""
    of_values = [test for test in tests if not isinstance(test, IsPresent)]
    is_present = HeaderIs(name, IsPresent())
    subject = show_subject(is_present)
    present = yes_or_no(level, subject, is_present)
    atoms = [HeaderIs(name, test) for test in of_values]
    passing = tuple(yes_or_no(level + at, subject, atom) for at, atom in enumerate(atoms, start=1))
    return HeaderVariables(
        name=name,
        present=present,
        passing=passing,
        tests={one.tests[0]: one for one in (present, *passing)},
        values=text_signatures(of_values, Universe.HEADER_VALUE),
    )
