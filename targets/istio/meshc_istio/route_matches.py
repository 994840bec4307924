"""Route matches: what a route asks of a request -> entries of a VirtualService's match, any of which may hold."""

import re
from dataclasses import dataclass, field
from typing import Final, assert_never

from meshc import ir
from meshc_istio.resources.networking import RequestMatch, StringMatch
from meshc_istio.shapes import Pods
from meshc_istio.terms import InexpressibleError, Literal, Term, terms_of

MAX_MATCHES: Final = 64
LONGEST_EXPRESSION: Final = 1024
"""Bytes. Source: Istio's validation of `regex`."""
SEGMENT: Final = "[^/]+"
PRESENT: Final = StringMatch()


@dataclass(slots=True)
class _Tests:
    headers: dict[str, StringMatch] = field(default_factory=dict)
    without: dict[str, StringMatch] = field(default_factory=dict)
    queries: dict[str, StringMatch] = field(default_factory=dict)
    authority: StringMatch | None = None


def matches_of(
    port: int, methods: tuple[str, ...], path: ir.PathPattern, condition: ir.Condition, pods: tuple[Pods, ...]
) -> tuple[RequestMatch, ...]:
    """The entries. Raises InexpressibleError."""
    found = tuple(
        RequestMatch(
            uri=uri,
            method=_method(methods),
            authority=tests.authority,
            headers=dict(sorted(tests.headers.items())) or None,
            without_headers=dict(sorted(tests.without.items())) or None,
            query_params=dict(sorted(tests.queries.items())) or None,
            port=port,
            source_labels=who.labels,
            source_namespace=who.namespace,
        )
        for tests in map(_tests, terms_of(condition))
        for uri in uris_of(path)
        for who in pods
    )
    if len(found) > MAX_MATCHES:
        raise InexpressibleError(f"it comes to more than {MAX_MATCHES} matches", "split the route into several")
    return found


def uris_of(path: ir.PathPattern) -> tuple[StringMatch | None, ...]:
    """The tests of a path, any of which may hold; None for every path."""
    if path == ir.ANY_PATH:
        return (None,)
    match path:
        case ir.ExactPath(path=text):
            return (StringMatch(exact=text),)
        case ir.TemplatePath(segments=segments, rest=True) if None not in segments:
            stem = "".join(f"/{segment}" for segment in segments)
            # A prefix of Istio's is one of letters: `/foo` would take `/foobar` too.
            return (StringMatch(exact=stem), StringMatch(prefix=f"{stem}/"))
        case ir.TemplatePath() | ir.RegexPath():
            return (StringMatch(regex=_checked(expression(path))),)
        case _:
            assert_never(path)


def expression(path: ir.PathPattern, *, with_groups: bool = False) -> str:
    """A path pattern as an expression that the whole path matches; with a group for each capture, if asked."""
    match path:
        case ir.ExactPath(path=text):
            return re.escape(text)
        case ir.RegexPath(pattern=pattern):
            return pattern
        case ir.TemplatePath(segments=segments, rest=rest):
            hole = f"({SEGMENT})" if with_groups else SEGMENT
            stem = "".join(f"/{hole if one is None else re.escape(one)}" for one in segments)
            return f"{stem}(/.*)?" if rest else stem
        case _:
            assert_never(path)


def _checked(pattern: str) -> str:
    if len(pattern.encode()) > LONGEST_EXPRESSION:
        raise InexpressibleError(f"Istio takes expressions of {LONGEST_EXPRESSION} bytes", "shorten it")
    return pattern


def _method(methods: tuple[str, ...]) -> StringMatch | None:
    if not methods:
        return None
    return StringMatch(exact=methods[0]) if len(methods) == 1 else StringMatch(regex="|".join(map(re.escape, methods)))


def _tests(term: Term) -> _Tests:
    found = _Tests()
    for literal in term:
        _add(found, literal)
    return found


def _add(found: _Tests, literal: Literal) -> None:
    match literal.atom:
        case ir.HeaderIs(name=name, test=test):
            _put(found.without if literal.is_negated else found.headers, name, _text(test), "header")
        case ir.QueryIs(name=name, test=test) if not literal.is_negated:
            _put(found.queries, name, _query(test), "query parameter")
        case ir.HostIs(test=test) if not literal.is_negated:
            if found.authority is not None:
                raise InexpressibleError("Istio tests one host in a route", "write the host that is meant by both")
            found.authority = StringMatch(regex=_checked(_host(test)))
        case ir.QueryIs() | ir.HostIs():
            raise InexpressibleError(
                "Istio has no negated test of a query or a host in routes", "route the others first"
            )
        case _:
            raise InexpressibleError("Istio's routes test paths, methods, headers, queries and hosts")


def _put(tests: dict[str, StringMatch], name: str, test: StringMatch, what: str) -> None:
    if tests.setdefault(name, test) != test:
        raise InexpressibleError(
            f"Istio tests a {what} once in a route, and `{name}` twice stands here", "use one expression"
        )


def _text(test: ir.TextTest) -> StringMatch:
    match test:
        case ir.Equals(value=""):
            return StringMatch(regex="()")
        case ir.Equals(value=value):
            return StringMatch(exact=value)
        case ir.StartsWith(value="") | ir.EndsWith(value=""):
            return PRESENT
        case ir.StartsWith(value=value):
            return StringMatch(prefix=value)
        case ir.EndsWith() | ir.Matches():
            return StringMatch(regex=_checked(_expression(test)))
        case ir.IsPresent():
            return PRESENT
        case _:
            assert_never(test)


def _query(test: ir.TextTest) -> StringMatch:
    match test:
        case ir.Equals(value=value) if value:
            return StringMatch(exact=value)
        case _:
            return StringMatch(regex=_checked(_expression(test)))


def _expression(test: ir.TextTest) -> str:
    match test:
        case ir.Equals(value=value):
            return re.escape(value) or "()"
        case ir.StartsWith(value=value):
            return f"{re.escape(value)}.*"
        case ir.EndsWith(value=value):
            return f".*{re.escape(value)}"
        case ir.Matches(pattern=pattern):
            return pattern or "()"
        case ir.IsPresent():
            return ".*"
        case _:
            assert_never(test)


def _host(test: ir.TextTest) -> str:
    """A test of the host, whatever the case, with the dot and the port that a client may send after it."""
    return rf"(?i)(?:{_expression(test)})\.?(?::[0-9]+)?"
