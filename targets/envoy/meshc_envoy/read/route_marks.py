"""Metadata of routes that says whether a query pattern holds: a key stands for a test that all routes with it make.

That is so if every route without the key comes after one that asks for the same and for the test too, and has the key: a
request that passed the test would have taken that one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from meshc import ir
from meshc_envoy.read.atoms import string_matcher
from meshc_envoy.read.messages import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A route: what it asks for beside query parameters, these by how they are written, and its keys."""

    base: str
    queries: dict[str, Message]
    keys: frozenset[tuple[str, str]]


class RouteMarks:
    """The metadata of a list of routes."""

    def __init__(self, routes: Sequence[Message]) -> None:
        self._entries = [_entry(one) for one in routes]

    def condition(self, namespace: str, key: str, at: Message) -> ir.Condition:
        """When the route that is taken has the key. Raises NotUnderstoodError if that is not one test."""
        mark = (namespace, key)
        marked = [one for one in self._entries if mark in one.keys]
        for text, query in marked[0].queries.items() if marked else ():
            if all(text in one.queries for one in marked) and self._is_told(mark, text):
                return query_parameter(query)
        raise at.error("metadata of routes that stands for no query test is not understood")

    def _is_told(self, mark: tuple[str, str], text: str) -> bool:
        before: set[tuple[str, frozenset[str]]] = set()
        for one in self._entries:
            queries = frozenset(one.queries)
            if mark in one.keys:
                before.add((one.base, queries))
            elif (one.base, queries | {text}) not in before:
                return False
        return True


def query_parameter(matcher: Message) -> ir.Condition:
    """A `QueryParameterMatcher`."""
    name = matcher.text("name")
    if matcher.has("string_match"):
        text = string_matcher(matcher.need("string_match"))
        matcher.finish()
        if text.ignores_case:
            raise matcher.error("a query parameter is compared without regard to case")
        return ir.QueryIs(name, text.test)
    present = matcher.flag("present_match", default=True)
    matcher.finish()
    held = ir.QueryIs(name, ir.IsPresent())
    return held if present else ir.Not(held)


def _entry(route: Message) -> _Entry:
    match = route.need("match")
    base = {name: value for name, value in match.data.items() if name != "query_parameters"}
    queries = {json.dumps(one.data, sort_keys=True): one for one in match.messages("query_parameters")}
    return _Entry(base=json.dumps(base, sort_keys=True), queries=queries, keys=_keys(route))


def _keys(route: Message) -> frozenset[tuple[str, str]]:
    metadata = route.message("metadata")
    if metadata is None:
        return frozenset()
    found = {
        (namespace, key)
        for namespace, fields in metadata.entries("filter_metadata")
        for key, value in fields.data.items()
        if value is True
    }
    return frozenset(found)
