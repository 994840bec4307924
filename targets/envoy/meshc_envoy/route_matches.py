"""What a route matches: methods, paths and conditions as Envoy's `RouteMatch`.

A `RouteMatch` is a conjunction of tests, each perhaps inverted, so a condition becomes its disjunctive normal form, one
match an alternative. An `or` of values of one header, as `in` makes it, is one regular expression and no alternative.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Final, assert_never

from meshc import ir
from meshc.semantics.texts import text_check
from meshc.target import Json
from meshc_envoy.conditions import path_matchers
from meshc_envoy.queries import query_expression
from meshc_envoy.reach import with_ports
from meshc_envoy.shapes import Object
from meshc_envoy.text_matchers import caseless_matcher, quote, regex, text_matcher, trimmed_matcher

MAX_ALTERNATIVES: Final = 64
"""How many alternatives the condition of one route may have."""

Literal = tuple[ir.Atom, bool]
"""An atom, and whether it must hold or must not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tests:
    """Matchers of headers, pseudo headers among them, and of query parameters, all of which must hold."""

    headers: tuple[Object, ...] = ()
    queries: tuple[Object, ...] = ()


def is_testable(atom: ir.Atom, *, holds: bool) -> bool:
    """Whether a route can test that the atom holds, or (with `holds` false) that it does not."""
    match atom:
        case ir.QueryIs(test=ir.Matches()):
            # A query matcher cannot be inverted, and a pattern has no place in an expression over the whole target.
            return holds
        case ir.MethodIs() | ir.HostIs() | ir.HeaderIs() | ir.QueryIs():
            return True
        case _:
            return False


def is_expressible(condition: ir.Condition) -> bool:
    """Whether a route can be chosen by the condition."""
    return all(is_testable(atom, holds=holds) for literals in normal_form(condition) for atom, holds in literals)


def alternatives(condition: ir.Condition) -> tuple[Tests, ...]:
    """The condition, which must be expressible, as tests of which any one must hold; none if it can never hold."""
    found: list[Tests] = []
    for literals in normal_form(condition):
        choices = [_tests(atom, holds=holds) for atom, holds in literals]
        found.extend(_joined(choice) for choice in product(*choices))
    return tuple(found)


def _joined(parts: Iterable[Tests]) -> Tests:
    chosen = tuple(parts)
    return Tests(
        headers=tuple(header for part in chosen for header in part.headers),
        queries=tuple(query for part in chosen for query in part.queries),
    )


# ---- normal form ----------------------------------------------------------------------------------------------------


def normal_form(condition: ir.Condition) -> tuple[tuple[Literal, ...], ...]:
    """Alternatives of literals. Where there are more than `MAX_ALTERNATIVES`, some number above it is returned."""
    return _alternatives(_merged(with_ports(condition)), holds=True)


def _alternatives(condition: ir.Condition, *, holds: bool) -> tuple[tuple[Literal, ...], ...]:
    match condition:
        case ir.Not(inner):
            return _alternatives(inner, holds=not holds)
        case ir.AllOf(conditions) | ir.AnyOf(conditions):
            parts = [_alternatives(part, holds=holds) for part in conditions]
            if isinstance(condition, ir.AllOf) is holds:
                return _products(parts)
            return tuple(alternative for part in parts for alternative in part)
        case _:
            return (((condition, holds),),)


def _products(parts: Iterable[tuple[tuple[Literal, ...], ...]]) -> tuple[tuple[Literal, ...], ...]:
    found: tuple[tuple[Literal, ...], ...] = ((),)
    for part in parts:
        found = tuple(one + other for one in found for other in part)
        if len(found) > MAX_ALTERNATIVES:
            break
    return found


def _merged(condition: ir.Condition) -> ir.Condition:
    """The same condition with `in` over one header or host as one pattern."""
    match condition:
        case ir.Not(inner):
            return ir.Not(_merged(inner))
        case ir.AllOf(conditions):
            return ir.AllOf(tuple(_merged(part) for part in conditions))
        case ir.AnyOf(conditions):
            return _one_pattern(conditions) or ir.AnyOf(tuple(_merged(part) for part in conditions))
        case _:
            return condition


def _one_pattern(conditions: tuple[ir.Condition, ...]) -> ir.Condition | None:
    headers = {part.name for part in conditions if isinstance(part, ir.HeaderIs)}
    values = [
        part.test.value for part in conditions if isinstance(part, ir.HeaderIs) and isinstance(part.test, ir.Equals)
    ]
    if len(headers) != 1 or len(values) != len(conditions) or len(values) < 2:
        return None
    return ir.HeaderIs(headers.pop(), ir.Matches("|".join(quote(value) for value in values)))


# ---- literals -------------------------------------------------------------------------------------------------------


def _tests(atom: ir.Atom, *, holds: bool) -> tuple[Tests, ...]:
    """A literal as alternatives."""
    match atom:
        case ir.MethodIs(methods):
            return (Tests(headers=(_inverted(method_matcher(methods), holds=holds),)),)
        case ir.HostIs(test):
            if isinstance(test, ir.IsPresent):
                # Every request has a host.
                return (Tests(),) if holds else ()
            return _text(":authority", caseless_matcher(test), holds=holds)
        case ir.HeaderIs(name, test):
            return _header(name, test, holds=holds)
        case ir.QueryIs(name, test):
            return _query(name, test, holds=holds)
        case ir.PathIs() | ir.ClaimIs() | ir.SniIs() | ir.AddressIn():
            raise AssertionError(f"no route can test {atom}")
        case _:
            assert_never(atom)


def method_matcher(methods: tuple[str, ...]) -> Object:
    """A matcher of the method; `methods` is never empty."""
    matcher: Object = {"exact": methods[0]} if len(methods) == 1 else regex("|".join(quote(one) for one in methods))
    return {"name": ":method", "string_match": matcher}


def _inverted(matcher: Object, *, holds: bool) -> Object:
    return matcher if holds else {**matcher, "invert_match": True}


def _text(name: str, matcher: Object | None, *, holds: bool) -> tuple[Tests, ...]:
    """A test of what every request has; no matcher stands for a text that nothing is."""
    if matcher is None:
        return () if holds else (Tests(),)
    return (Tests(headers=(_inverted({"name": name, "string_match": matcher}, holds=holds),)),)


def _header(name: str, test: ir.TextTest, *, holds: bool) -> tuple[Tests, ...]:
    if isinstance(test, ir.IsPresent):
        return (Tests(headers=({"name": name, "present_match": holds},)),)
    matcher = trimmed_matcher(test)
    if matcher is None or holds:
        return _text(name, matcher, holds=holds)
    # An inverted matcher does not match where the header is absent, unless that counts as empty.
    inverted: Object = {"name": name, "string_match": matcher, "invert_match": True}
    if not text_check(test)(""):
        return (Tests(headers=({**inverted, "treat_missing_header_as_empty": True},)),)
    return (Tests(headers=({"name": name, "present_match": False},)), Tests(headers=(inverted,)))


def _query(name: str, test: ir.TextTest, *, holds: bool) -> tuple[Tests, ...]:
    if holds:
        matcher: Object = (
            {"present_match": True} if isinstance(test, ir.IsPresent) else {"string_match": text_matcher(test)}
        )
        return (Tests(queries=({"name": name, **matcher},)),)
    match test:
        case ir.Matches():
            raise AssertionError(f"no route can test that the parameter {name} does not match")
        case _:
            expression = query_expression(name, test)
            return _text(":path", None if expression is None else regex(expression), holds=False)


# ---- matches --------------------------------------------------------------------------------------------------------


def route_matches(route: ir.Route, condition: ir.Condition = ir.ALWAYS) -> list[Object]:
    """The matches of a route under a further condition, any one of which must hold."""
    methods = (method_matcher(route.methods),) if route.methods else ()
    whole = route.condition if condition == ir.ALWAYS else ir.AllOf((route.condition, condition))
    return [
        _match(path, Tests(headers=methods + tests.headers, queries=tests.queries))
        for tests in alternatives(whole)
        for path in _paths(route.path)
    ]


def _match(path: Object, tests: Tests) -> Object:
    headers: list[Json] = list(tests.headers)
    queries: list[Json] = list(tests.queries)
    return {
        **path,
        **({"headers": headers} if headers else {}),
        **({"query_parameters": queries} if queries else {}),
    }


def _paths(pattern: ir.PathPattern) -> list[Object]:
    match pattern:
        case ir.TemplatePath(segments, _, rest=True) if None not in segments:
            path = "".join(f"/{segment}" for segment in segments)
            return [{"path_separated_prefix": path}] if path else [{"prefix": "/"}]
        case ir.ExactPath(path):
            return [{"path": path}]
        case _:
            return [{"path": one["exact"]} if "exact" in one else one for one in path_matchers(pattern)]
