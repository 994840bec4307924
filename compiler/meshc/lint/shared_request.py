"""A request that two routes match: built from texts of which exactly the wanted tests hold, and then judged by the semantics.

A pair whose expressions are too complex to combine has none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from meshc import ir
from meshc.lint.access import atoms
from meshc.lint.routes import parts_of, subject_of
from meshc.semantics.facts import Facts
from meshc.semantics.languages import Signature, TooComplexError, Universe, path_signatures, text_signatures
from meshc.semantics.routing import compile_route

_ANY_HOST = "example"


def shared_request(first: ir.Route, second: ir.Route) -> str | None:
    """A request that both match, as a user would write it; None if none is found."""
    method = _shared_method(first, second)
    if method is None:
        return None
    for path in _shared_paths(first.path, second.path):
        for identity in _shared_callers(first.callers, second.callers):
            facts = _with_tests(
                Facts(identity=identity, peer=None, client=None, method=method, path=path),
                (*parts_of(first.condition), *parts_of(second.condition)),
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
        case _:
            both = path_signatures((first, second))
            return tuple(one.witness for one in both if one.holds == 0b11)


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
        subject = subject_of(part)
        name = subject.name if isinstance(subject, ir.HeaderIs | ir.QueryIs) else ""
        groups.setdefault((type(subject), name), []).append(part)
    headers: dict[str, tuple[str, ...]] = {}
    query: dict[str, str] = {}
    host: str | None = _ANY_HOST
    for (kind, name), tests in groups.items():
        found = _values(kind, tests)
        if found is None:
            return None
        if kind is ir.HeaderIs:
            headers |= {name: found} if found else {}
        elif kind is ir.QueryIs:
            query |= {name: found[0]} if found else {}
        else:
            host = found[0] if found else None
    return replace(facts, headers=headers, query=query, host=host)


def _values(kind: type[ir.Atom], tests: Sequence[ir.Condition]) -> tuple[str, ...] | None:
    """Texts that make all tests of one subject hold, none at all for an absent one; None if there are none.

    A test is an atom, a list of them joined by `or`, as `in` makes it, or the contrary of either. A header may be sent several
    times, so each test of one may be passed by a value of its own, which passes no test that must fail.
    """
    asked = tuple(dict.fromkeys(_text_test(atom) for test in tests for atom in atoms(test)))
    universe = _UNIVERSES[kind]
    try:
        signatures = text_signatures(asked, universe)
    except TooComplexError:
        return None
    wanted = [_bits(test, asked) for test in tests if not isinstance(test, ir.Not)]
    forbidden = sum({bit for test in tests if isinstance(test, ir.Not) for bit in _each(_bits(test, asked))})
    fitting = [one for one in signatures if not one.holds & forbidden]
    if not wanted:
        return () if kind is not ir.HostIs else _first(fitting, 0)
    if kind is not ir.HeaderIs:
        return next(((one.witness,) for one in fitting if all(one.holds & bits for bits in wanted)), None)
    chosen = [_first([one for one in fitting if one.holds & bits], 0) for bits in wanted]
    return None if None in chosen else tuple(dict.fromkeys(text for one in chosen if one is not None for text in one))


def _first(signatures: Sequence[Signature], at: int) -> tuple[str, ...] | None:
    return (signatures[at].witness,) if signatures else None


def _text_test(atom: ir.Atom) -> ir.TextTest:
    match atom:
        case ir.HostIs(test=test) | ir.HeaderIs(test=test) | ir.QueryIs(test=test):
            return test
        case _:
            return ir.IsPresent()


def _bits(test: ir.Condition, asked: Sequence[ir.TextTest]) -> int:
    """The tests of which any one makes the condition, or what it negates, hold."""
    return sum({1 << asked.index(_text_test(atom)) for atom in atoms(test)})


def _each(bits: int) -> list[int]:
    return [1 << place for place in range(bits.bit_length()) if bits >> place & 1]


_UNIVERSES: Mapping[type[ir.Atom], Universe] = {
    ir.HostIs: Universe.HOST,
    ir.HeaderIs: Universe.HEADER_VALUE,
    ir.QueryIs: Universe.QUERY_VALUE,
}


def _shown(facts: Facts) -> str:
    tests = [f'header "{name}" "{value}"' for name, values in facts.headers.items() for value in values]
    tests += [f'query "{name}" "{value}"' for name, value in facts.query.items()]
    if facts.host not in {None, _ANY_HOST}:
        tests.append(f'host "{facts.host}"')
    caller = f" by `{facts.identity}`" if facts.identity is not None else ""
    return f"`{facts.method} {facts.path}{' with ' if tests else ''}{', '.join(tests)}`{caller}"
