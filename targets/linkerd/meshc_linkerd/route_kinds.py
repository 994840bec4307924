"""Kinds of calls: the closure of all tests of a port's routes under "and", each call being of exactly one kind.

A kind is the one that says most of a call. Under each of the orders in which Linkerd prefers routes the route for that kind wins: it
is at least as specific in every part as any other that matches. So the order is never asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from meshc import ir
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.resources.gateway import Method, PathMatch

ValueTest = ir.HeaderIs | ir.QueryIs
"""A test of a header or a query parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathClass:
    """Paths that match exactly these patterns, by their numbers; and what matches those of them that are in normal form."""

    patterns: frozenset[int]
    matches: tuple[PathMatch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Requests for a class of paths, with a method (None: any other), that pass just these tests."""

    path: PathClass
    method: Method | None
    tests: frozenset[ValueTest]

    def is_wider(self, other: "Kind") -> bool:
        """Whether routes for this kind match requests of the other one too."""
        return self.path == other.path and self.method in {None, other.method} and self.tests <= other.tests


Outcome = TypeVar("Outcome")


def one_test_a_name(found: Mapping[Kind, Outcome]) -> Mapping[Kind, Outcome]:
    """Without the kinds that pass two tests of one header, which no route can say.

    Such a request fits the routes for each of the tests, and no order is sure between them: so all must have its outcome.
    Raises InexpressibleError.
    """
    for kind, outcome in found.items():
        twice = [test for test in kind.tests if _is_named_again(test, kind.tests)]
        for test in twice:
            others = frozenset(one for one in kind.tests if one is test or not _is_same_name(one, test))
            fewer = replace(kind, tests=others)
            if found[fewer] != outcome:
                reason = (
                    f"Linkerd's routes test `{test.name}` once, and a request with two lines of it would fit several"
                )
                raise InexpressibleError(reason, "test one value of it, or have the same happen for all of them")
    return {
        kind: outcome
        for kind, outcome in found.items()
        if not any(_is_named_again(one, kind.tests) for one in kind.tests)
    }


def _is_named_again(test: ValueTest, tests: frozenset[ValueTest]) -> bool:
    return any(one != test and _is_same_name(one, test) for one in tests)


def _is_same_name(one: ValueTest, other: ValueTest) -> bool:
    return type(one) is type(other) and one.name == other.name
