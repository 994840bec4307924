"""Conditions of rules as Linkerd can test them: formulas over single tests, paths and addresses.

A test is what one match of a route can name. How well Linkerd's answer agrees with the language's is said by `misses` and
`over_matches`; `closure.py` makes sure that a difference can only refuse more.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from meshc import ir
from meshc.semantics.languages.nfa import ANY_BYTE
from meshc.semantics.languages.re2_syntax import Assertion, Bytes, Choice, Expression, Repeat, Sequence, read_re2
from meshc_linkerd.networks import Networks


@dataclass(frozen=True, slots=True)
class MethodTest:
    """The method is this one."""

    method: str


@dataclass(frozen=True, slots=True)
class HostTest:
    """The host is `name`; or, where `is_suffix`, it ends in `.` and `name`."""

    name: str
    is_suffix: bool


@dataclass(frozen=True, slots=True)
class HeaderTest:
    """Some line of the header passes one of `tests`, which are sorted and not empty."""

    name: str
    tests: tuple[ir.TextTest, ...]


@dataclass(frozen=True, slots=True)
class QueryTest:
    """The parameter passes one of `tests`, which are sorted and not empty."""

    name: str
    tests: tuple[ir.TextTest, ...]


Test = MethodTest | HostTest | HeaderTest | QueryTest

# ---- formulas -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold; without parts, always."""

    parts: tuple["Formula", ...] = ()


@dataclass(frozen=True, slots=True)
class Some:
    """A part holds; without parts, never."""

    parts: tuple["Formula", ...] = ()


@dataclass(frozen=True, slots=True)
class Negated:
    """The part does not hold."""

    part: "Formula"


@dataclass(frozen=True, slots=True)
class Passes:
    """A test holds."""

    test: Test


@dataclass(frozen=True, slots=True)
class OnPath:
    """The path matches the pattern of this number."""

    pattern: int


@dataclass(frozen=True, slots=True)
class FromNetworks:
    """The peer's address is in these classes."""

    bits: int


Formula = Every | Some | Negated | Passes | OnPath | FromNetworks

TRUE: Final = Every()
FALSE: Final = Some()


class UntestableError(ValueError):
    """A test that Linkerd has no way to make; the text names it, in the language's words."""


class TabledError(ValueError):
    """A test that the support table calls impossible, and so reports."""


def read_formula(condition: ir.Condition, patterns: Mapping[ir.PathPattern, int], networks: Networks) -> Formula:
    """A condition of an access rule; `patterns` are numbers of path patterns. Raises UntestableError and TabledError."""
    match condition:
        case ir.AllOf(conditions):
            return Every(tuple(read_formula(one, patterns, networks) for one in conditions))
        case ir.AnyOf(conditions):
            return _some([read_formula(one, patterns, networks) for one in conditions])
        case ir.Not(inner):
            return Negated(read_formula(inner, patterns, networks))
        case ir.PathIs(pattern):
            return TRUE if pattern == ir.ANY_PATH else OnPath(patterns[pattern])
        case ir.AddressIn(ir.AddressOf.PEER, blocks):
            return FromNetworks(networks.bits(blocks))
        case ir.MethodIs(methods):
            return _some([Passes(MethodTest(method)) for method in methods])
        case ir.HostIs(test):
            return _host(test)
        case ir.HeaderIs(name, test):
            return Passes(HeaderTest(name, (test,)))
        case ir.QueryIs(name, test):
            return Passes(QueryTest(name, (test,)))
        case ir.AddressIn() | ir.ClaimIs() | ir.SniIs():
            raise TabledError
        case _:
            assert_never(condition)


def _host(test: ir.TextTest) -> Formula:
    match test:
        case ir.IsPresent():
            return TRUE
        case ir.Equals(value):
            return Passes(HostTest(value, is_suffix=False))
        case ir.EndsWith(value) if value.startswith("."):
            return Passes(HostTest(value[1:], is_suffix=True))
        case ir.EndsWith(value):
            raise UntestableError(f"a host for the ending `{value}`, which does not start with a dot")
        case ir.StartsWith() | ir.Matches():
            raise TabledError
        case _:
            assert_never(test)


def _some(parts: list[Formula]) -> Formula:
    """A disjunction; tests of one header or parameter in it become one test, since any one line or value passes any of them."""
    joined: dict[tuple[type[Test], str], set[ir.TextTest]] = {}
    others: list[Formula] = []
    for part in parts:
        match part:
            case Passes(HeaderTest(name, tests) | QueryTest(name, tests)):
                joined.setdefault((type(part.test), name), set()).update(tests)
            case _:
                others.append(part)
    for (kind, name), found in joined.items():
        tests = tuple(sorted(found, key=repr))
        others.append(Passes(HeaderTest(name, tests) if kind is HeaderTest else QueryTest(name, tests)))
    return others[0] if len(others) == 1 else Some(tuple(others))


def on_path(formula: Formula, holds: int) -> Formula:
    """What is left of a formula for paths that match just the patterns with a bit in `holds`."""
    match formula:
        case OnPath(pattern):
            return TRUE if holds >> pattern & 1 else FALSE
        case Every(parts):
            kept = [one for one in (on_path(part, holds) for part in parts) if one != TRUE]
            return FALSE if FALSE in kept else kept[0] if len(kept) == 1 else Every(tuple(kept))
        case Some(parts):
            kept = [one for one in (on_path(part, holds) for part in parts) if one != FALSE]
            return TRUE if TRUE in kept else kept[0] if len(kept) == 1 else Some(tuple(kept))
        case Negated(part):
            inner = on_path(part, holds)
            return FALSE if inner == TRUE else TRUE if inner == FALSE else Negated(inner)
        case Passes() | FromNetworks():
            return formula
        case _:
            assert_never(formula)


def networks_of(formula: Formula, passed: frozenset[Test], everywhere: int) -> int:
    """The addresses for which a formula holds, of requests that pass just these tests; no paths are left in it."""
    match formula:
        case Passes(test):
            return everywhere if test in passed else 0
        case FromNetworks(bits):
            return bits
        case Negated(part):
            return everywhere & ~networks_of(part, passed, everywhere)
        case Every(parts):
            found = everywhere
            for part in parts:
                found &= networks_of(part, passed, everywhere)
            return found
        case Some(parts):
            found = 0
            for part in parts:
                found |= networks_of(part, passed, everywhere)
            return found
        case OnPath():
            raise AssertionError("paths are decided before tests are")
        case _:
            assert_never(formula)


def tests_of(formula: Formula) -> Iterator[Test]:
    """All tests in a formula."""
    match formula:
        case Passes(test):
            yield test
        case Negated(part):
            yield from tests_of(part)
        case Every(parts) | Some(parts):
            for part in parts:
                yield from tests_of(part)
        case OnPath() | FromNetworks():
            return
        case _:
            assert_never(formula)


# ---- how well Linkerd's answers agree -------------------------------------------------------------------------------

_VISIBLE: Final = 1 << ord("\t") | sum(1 << byte for byte in range(ord(" "), 0x7F))
"""Bytes of header values that regular expressions see; a value with another matches none. Source: `HeaderValue::to_str`."""


def misses(test: Test) -> bool:
    """Whether Linkerd fails a test for some request that passes it.

    No expression matches a header value beyond ASCII; and proxies before linkerd/linkerd2-proxy#4605 compare hosts letter by letter.
    """
    match test:
        case HostTest():
            return True
        case HeaderTest():
            return any(not isinstance(one, ir.Equals) and not _is_visible(one) for one in test.tests)
        case MethodTest() | QueryTest():
            return False
        case _:
            assert_never(test)


def over_matches(test: Test) -> bool:
    """Whether Linkerd passes a test for some request that fails it: it looks at every value of a parameter, decoded."""
    return isinstance(test, QueryTest)


def _is_visible(test: ir.TextTest) -> bool:
    return isinstance(test, ir.Matches) and _all_bytes(read_re2(test.pattern), lambda members: not members & ~_VISIBLE)


def _all_bytes(expression: Expression, passes: Callable[[int], bool]) -> bool:
    match expression:
        case Bytes(members):
            return passes(members & ANY_BYTE)
        case Sequence(parts) | Choice(parts):
            return all(_all_bytes(part, passes) for part in parts)
        case Repeat(body):
            return _all_bytes(body, passes)
        case Assertion():
            return True
        case _:
            assert_never(expression)
