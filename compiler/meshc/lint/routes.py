"""Lint of routes: two that match one request, of which none is more specific, would be decided by their place in the source.

A pair is reported with a request that both match. It is built from the literals of both and then judged by the semantics, so
no pair is reported in error; of two different regular expressions for paths, some pairs are not found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, zip_longest

import re2

from meshc import ir
from meshc.diagnostics import Diagnostic, Label, diagnose
from meshc.lint.access import atoms
from meshc.lower.program import Lowered
from meshc.lower.traffic import path_rank
from meshc.semantics.conditions import condition_check
from meshc.semantics.facts import Facts
from meshc.semantics.routing import compile_route

_LONGEST_SAMPLE = 64
_ANY_HOST = "example"


def ambiguous_route(lowered: Lowered) -> Iterator[Diagnostic]:
    """Pairs of routes that the order of specificity does not decide."""
    owners: tuple[ir.Workload | ir.External, ...] = (*lowered.mesh.workloads, *lowered.mesh.externals)
    for owner in owners:
        for port in owner.ports:
            for first, second in _rivals(port.routes[:-1]):
                request = _shared_request(first, second)
                if request is not None:
                    yield diagnose(
                        "ambiguous-route",
                        second.span,
                        f"two routes match {request}, and neither is more specific",
                        labels=(Label(span=first.span, text="the other one"),),
                        advice="make one of them more specific, or let them exclude each other, as with `!=`",
                    )


def _rivals(routes: Sequence[ir.Route]) -> Iterator[tuple[ir.Route, ir.Route]]:
    """Pairs of equal rank, from different places; routes for different exact paths never meet."""
    ranked: dict[object, list[ir.Route]] = {}
    for route in routes:
        exact = route.path.path if isinstance(route.path, ir.ExactPath) else None
        ranked.setdefault((_rank(route), exact), []).append(route)
    for same in ranked.values():
        yield from (pair for pair in combinations(same, 2) if pair[0].span != pair[1].span)


def _rank(route: ir.Route) -> tuple[object, ...]:
    kinds = [type(_subject(part)) for part in _parts(route.condition)]
    return (
        path_rank(route.path),
        ir.HostIs in kinds,
        bool(route.methods),
        kinds.count(ir.HeaderIs),
        kinds.count(ir.QueryIs),
        route.callers is None,
    )


def _parts(condition: ir.Condition) -> tuple[ir.Condition, ...]:
    """The tests of a route, which are joined by `and`."""
    return condition.conditions if isinstance(condition, ir.AllOf) else (condition,)


def _subject(part: ir.Condition) -> ir.Atom:
    return next(atoms(part))


def _shared_request(first: ir.Route, second: ir.Route) -> str | None:
    """A request that both match, as a user would write it; None if none is found."""
    method = _shared_method(first, second)
    if method is None:
        return None
    for path in _shared_paths(first.path, second.path):
        for identity in _shared_callers(first.callers, second.callers):
            facts = _with_tests(
                Facts(identity=identity, peer=None, client=None, method=method, path=path),
                (*_parts(first.condition), *_parts(second.condition)),
            )
            if facts is not None and all(compile_route(route).matches(facts) for route in (first, second)):
                return _shown(facts)
    return None


def _shared_method(first: ir.Route, second: ir.Route) -> str | None:
    if not (first.methods and second.methods):
        return next(iter((*first.methods, *second.methods)), "GET")
    return next((method for method in first.methods if method in second.methods), None)


def _shared_paths(first: ir.PathPattern, second: ir.PathPattern) -> tuple[str, ...]:
    """Paths that both patterns may match; patterns of one rank are of one kind."""
    match first, second:
        case ir.TemplatePath(segments=left), ir.TemplatePath(segments=right):
            pairs = list(zip_longest(left, right))
            if any(None not in {one, other} and one != other for one, other in pairs):
                return ()
            return ("/" + "/".join(one or other or "x" for one, other in pairs),)
        case ir.ExactPath(path=path), _:
            return (path,)
        case ir.RegexPath(pattern=left), ir.RegexPath(pattern=right):
            return (*_samples(left), *_samples(right))
        case _:
            return ()


def _samples(pattern: str) -> tuple[str, ...]:
    """Texts that a regular expression may match: the first and the last in the order of their letters."""
    low, high = re2.compile(pattern.encode()).possiblematchrange(_LONGEST_SAMPLE)
    texts = (bound.decode("ascii", "replace") for bound in (low, high))
    return tuple(text for text in texts if text.isascii() and text.isprintable())


def _shared_callers(first: ir.Principals | None, second: ir.Principals | None) -> tuple[str | None, ...]:
    named = [
        f"{one.prefix}x" if isinstance(one, ir.IdentityPrefix) else one.identity
        for principals in (first, second)
        for one in (principals.include if principals is not None else ())
        if isinstance(one, ir.IdentityPrefix | ir.ExactIdentity)
    ]
    return tuple(dict.fromkeys(named)) or (None,)


def _with_tests(facts: Facts, parts: Sequence[ir.Condition]) -> Facts | None:
    """The request with headers, query and host of which all tests hold; None if there is none."""
    groups: dict[tuple[type[ir.Atom], str], list[ir.Condition]] = {}
    for part in parts:
        subject = _subject(part)
        name = subject.name if isinstance(subject, ir.HeaderIs | ir.QueryIs) else ""
        groups.setdefault((type(subject), name), []).append(part)
    headers: dict[str, tuple[str, ...]] = {}
    query: dict[str, str] = {}
    host: str | None = _ANY_HOST
    for (kind, name), tests in groups.items():
        values = _header_values(name, tests) if kind is ir.HeaderIs else _one_value(kind, name, tests)
        if values is None:
            return None
        if kind is ir.HeaderIs:
            headers |= {name: values} if values else {}
        elif kind is ir.QueryIs:
            query |= {name: values[0]} if values else {}
        else:
            host = values[0] if values else None
    return replace(facts, headers=headers, query=query, host=host)


def _header_values(name: str, tests: Sequence[ir.Condition]) -> tuple[str, ...] | None:
    """A value for each test that asks for one, all of them together passing every test; a header may be sent several times."""
    values: dict[str, None] = {}
    for test in tests:
        if not isinstance(test, ir.Not):
            asked = (test, *(one for one in tests if isinstance(one, ir.Not)))
            found = next((text for text in _candidates(tests) if _holds(ir.HeaderIs, name, text, asked)), None)
            if found is None:
                return None
            values[found] = None
    return tuple(values)


def _one_value(kind: type[ir.Atom], name: str, tests: Sequence[ir.Condition]) -> tuple[str, ...] | None:
    """The one value of a parameter or of the host that passes every test; empty if none at all passes them too."""
    if kind is ir.QueryIs and all(isinstance(test, ir.Not) for test in tests):
        return ()
    return next(((text,) for text in _candidates(tests) if _holds(kind, name, text, tests)), None)


def _holds(kind: type[ir.Atom], name: str, text: str, tests: Sequence[ir.Condition]) -> bool:
    nobody = Facts(identity=None, peer=None, client=None)
    facts = (
        replace(nobody, headers={name: (text,)})
        if kind is ir.HeaderIs
        else replace(nobody, query={name: text})
        if kind is ir.QueryIs
        else replace(nobody, host=text)
    )
    return all(condition_check(test)(facts) for test in tests)


def _candidates(tests: Sequence[ir.Condition]) -> tuple[str, ...]:
    """Texts that may pass the tests, made of their literals."""
    whole: list[str] = []
    starts, ends = [""], [""]
    for atom in (atom for test in tests for atom in atoms(test)):
        match atom:
            case ir.HostIs(test=test) | ir.HeaderIs(test=test) | ir.QueryIs(test=test):
                match test:
                    case ir.Equals(value=value):
                        whole.append(value)
                    case ir.StartsWith(value=value):
                        starts.append(value)
                    case ir.EndsWith(value=value):
                        ends.append(value)
                    case ir.Matches(pattern=pattern):
                        whole += _samples(pattern)
                    case ir.IsPresent():
                        pass
            case _:
                pass
    between = ("", "1", "x")
    return tuple(
        dict.fromkeys((*whole, *(start + middle + end for start in starts for middle in between for end in ends)))
    )


def _shown(facts: Facts) -> str:
    tests = [f'header "{name}" "{value}"' for name, values in facts.headers.items() for value in values]
    tests += [f'query "{name}" "{value}"' for name, value in facts.query.items()]
    if facts.host not in {None, _ANY_HOST}:
        tests.append(f'host "{facts.host}"')
    caller = f" by `{facts.identity}`" if facts.identity is not None else ""
    return f"`{facts.method} {facts.path}{' with ' if tests else ''}{', '.join(tests)}`{caller}"
