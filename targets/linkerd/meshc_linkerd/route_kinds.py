"""Kinds of calls: the closure of all tests of a port's routes under "and", each call being of exactly one kind.

A kind is the one that says most of a call. Under each of the orders in which Linkerd prefers routes the route for that kind wins: it
is at least as specific in every part as any other that matches. So the order is never asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from meshc import ir
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.resources.gateway import Method
from meshc_linkerd.route_paths import PathClass

METHODS: Final[tuple[Method, ...]] = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
"""Those that the Gateway API can name."""

HeaderTest = ir.HeaderIs | ir.QueryIs
"""A test of a header; for routes of callers, of a query parameter too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Requests for a class of paths, a host (None: any other), a method (None: any other), with these header tests holding."""

    path: PathClass
    host: str | None
    method: Method | None
    headers: frozenset[HeaderTest]

    def is_wider(self, other: "Kind") -> bool:
        """Whether routes for this kind match requests of the other one too."""
        return (
            self.path == other.path
            and _host_takes(self.host, other.host)
            and self.method in {None, other.method}
            and self.headers <= other.headers
        )


def _host_takes(wide: str | None, narrow: str | None) -> bool:
    if wide is None or wide == narrow:
        return True
    return narrow is not None and wide.startswith("*") and narrow.endswith(wide[1:])


Outcome = TypeVar("Outcome")


def one_test_a_name(found: Mapping[Kind, Outcome]) -> Mapping[Kind, Outcome]:
    """Without the kinds that pass two tests of one header, which no route can say.

    Such a request fits the routes for each of the tests, and no order is sure between them: so all must have its outcome.
    Raises InexpressibleError.
    """
    for kind, outcome in found.items():
        twice = [test for test in kind.headers if _is_named_again(test, kind.headers)]
        for test in twice:
            others = frozenset(one for one in kind.headers if one is test or not _is_same_name(one, test))
            fewer = Kind(path=kind.path, host=kind.host, method=kind.method, headers=others)
            if found[fewer] != outcome:
                reason = (
                    f"Linkerd's routes test `{test.name}` once, and a request with two lines of it would fit several"
                )
                raise InexpressibleError(reason, "test one value of it, or have the same happen for all of them")
    return {
        kind: outcome
        for kind, outcome in found.items()
        if not any(_is_named_again(one, kind.headers) for one in kind.headers)
    }


def _is_named_again(test: HeaderTest, tests: frozenset[HeaderTest]) -> bool:
    return any(one != test and _is_same_name(one, test) for one in tests)


def _is_same_name(one: HeaderTest, other: HeaderTest) -> bool:
    return type(one) is type(other) and one.name == other.name
