"""Conjunctions: tests of a request that must all hold, gathered one by one -> Istio's matches.

Istio knows a test by the name of what it reads, so two tests of one thing are put together where they can be: tests that
must not hold become one of "any of these", methods are intersected, and so are paths.
"""

from dataclasses import dataclass, field
from itertools import product
from typing import Final, assert_never

from meshc import ir
from meshc.semantics.texts import text_check
from meshc_istio.callers import Source
from meshc_istio.obstacles import Obstacle
from meshc_istio.path_tests import intersect, uri_matches
from meshc_istio.queries import target_expression
from meshc_istio.resources.networking import HttpMatch, StringMatch
from meshc_istio.texts import PRESENT, TextTest, any_of, host_expression, quote, regex_obstacle, string_match

_AUTHORITY: Final = ":authority"
_METHOD: Final = ":method"
_TARGET: Final = ":path"


@dataclass(slots=True)
class Conjunction:
    """What was gathered so far. `is_empty` says that no request can pass all of it."""

    is_empty: bool = False
    methods: tuple[str, ...] | None = None
    path: ir.PathPattern = ir.ANY_PATH
    host: ir.TextTest | None = None
    headers: dict[str, TextTest] = field(default_factory=dict)
    queries: dict[str, TextTest] = field(default_factory=dict)
    not_headers: dict[str, tuple[TextTest, ...]] = field(default_factory=dict)
    not_expressions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of pseudo headers."""

    def take(self, atom: ir.Atom, *, holds: bool) -> Obstacle | None:
        """Add one test, which must hold or must not."""
        match atom:
            case ir.MethodIs(methods):
                return self._take_methods(methods, holds=holds)
            case ir.PathIs(pattern):
                return self._take_path(pattern, holds=holds)
            case ir.HostIs(test):
                return self._take_host(test) if holds else self._take_not_host(test)
            case ir.HeaderIs(name, test):
                if holds:
                    return self._take_text(self.headers, f"header `{name}`", name, test)
                self.not_headers[name] = (*self.not_headers.get(name, ()), test)
                return None
            case ir.QueryIs(name, test):
                if holds:
                    return self._take_text(self.queries, f"query parameter `{name}`", name, test)
                return self._take_not(_TARGET, target_expression(name, test))
            case ir.ClaimIs() | ir.SniIs() | ir.AddressIn():
                return Obstacle(
                    reason="choose a route by claims, server names or addresses",
                    advice="test methods, paths, hosts, headers or query parameters",
                )
            case _:
                assert_never(atom)

    def _take_methods(self, methods: tuple[str, ...], *, holds: bool) -> Obstacle | None:
        if not holds:
            return self._take_not(_METHOD, "|".join(quote(one) for one in methods))
        kept = methods if self.methods is None else tuple(one for one in self.methods if one in methods)
        self.methods, self.is_empty = kept, self.is_empty or not kept
        return None

    def _take_path(self, pattern: ir.PathPattern, *, holds: bool) -> Obstacle | None:
        if not holds:
            return Obstacle(reason="test that a path does not match", advice="write the paths that are meant")
        both = intersect(self.path, pattern)
        if isinstance(both, Obstacle):
            return both
        self.path, self.is_empty = both or self.path, self.is_empty or both is None
        return None

    def _take_host(self, test: ir.TextTest) -> Obstacle | None:
        if isinstance(test, ir.IsPresent) or test == self.host:
            return None
        if isinstance(test, ir.Equals) and self.host is not None:
            test, self.host = self.host, test
        if isinstance(self.host, ir.Equals):
            self.is_empty = self.is_empty or not text_check(test)(self.host.value)
            return None
        if self.host is not None:
            return Obstacle(reason="test a host twice in one route", advice="write one pattern that says both")
        self.host = test
        return None

    def _take_not_host(self, test: ir.TextTest) -> Obstacle | None:
        if isinstance(test, ir.IsPresent):
            # Every request has a host.
            self.is_empty = True
            return None
        return self._take_not(_AUTHORITY, host_expression(test))

    def _take_not(self, name: str, found: str | Obstacle | None) -> Obstacle | None:
        if isinstance(found, Obstacle):
            return found
        if found is not None:
            self.not_expressions[name] = (*self.not_expressions.get(name, ()), found)
        return None

    def _take_text(self, known: dict[str, TextTest], what: str, name: str, test: TextTest) -> Obstacle | None:
        before = known.get(name, ir.IsPresent())
        if not isinstance(test, ir.IsPresent) and before not in (test, ir.IsPresent()):
            return Obstacle(reason=f"test the {what} twice in one route", advice="write one pattern that says both")
        known[name] = before if isinstance(test, ir.IsPresent) else test
        return None


def conjunction_matches(tests: Conjunction, port: int, sources: tuple[Source, ...]) -> tuple[HttpMatch, ...] | Obstacle:
    """The matches, one for each form of the path and each source; none if no request can pass."""
    authority = None if tests.host is None else host_expression(tests.host)
    if isinstance(authority, Obstacle):
        return authority
    if tests.is_empty or (tests.host is not None and authority is None):
        return ()
    one = HttpMatch(
        method=None if tests.methods is None else any_of(tuple(ir.Equals(method) for method in tests.methods)),
        authority=None if authority is None else StringMatch(regex=authority),
        headers=_texts(tests.headers, PRESENT) or None,
        without_headers=_without(tests) or None,
        query_params=_texts(tests.queries, string_match(ir.IsPresent())) or None,
        port=port,
    )
    uris = uri_matches(tests.path)
    problem = next((found for each in (*_all_tests(one), *uris) if (found := _problem(each))), None)
    if problem is not None:
        return problem
    return tuple(one.model_copy(update=_place(uri, source)) for source, uri in product(sources or (None,), uris))


def _place(uri: StringMatch | None, source: Source | None) -> dict[str, object]:
    if source is None:
        return {"uri": uri}
    return {"uri": uri, "source_namespace": source.namespace, "source_labels": dict(source.labels) or None}


def _texts(tests: dict[str, TextTest], present: StringMatch) -> dict[str, StringMatch]:
    return {
        name: present if isinstance(test, ir.IsPresent) else string_match(test) for name, test in sorted(tests.items())
    }


def _without(tests: Conjunction) -> dict[str, StringMatch]:
    """A header that must be absent passes every other test that must not hold."""
    found = {
        name: PRESENT if ir.IsPresent() in texts else any_of(tuple(dict.fromkeys(texts)))
        for name, texts in tests.not_headers.items()
    }
    found |= {name: StringMatch(regex="|".join(dict.fromkeys(texts))) for name, texts in tests.not_expressions.items()}
    return dict(sorted(found.items()))


def _all_tests(match: HttpMatch) -> tuple[StringMatch | None, ...]:
    mappings = (match.headers, match.without_headers, match.query_params)
    texts = [test for each in mappings if each is not None for test in each.values()]
    return (match.method, match.authority, *texts)


def _problem(test: StringMatch | None) -> Obstacle | None:
    return None if test is None or test.regex is None else regex_obstacle(test.regex)
