"""Routing: the routes of a port -> which of them each kind of request takes.

Linkerd's order of preference is not the language's, so the kinds of requests are told apart as for access, and each is given the
route that the language picks for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Final

from meshc import ir
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.match_values import METHODS
from meshc_linkerd.path_tree import PathTree, TooManyPathsError
from meshc_linkerd.regular import MAX_LENGTH
from meshc_linkerd.resources.gateway import Method
from meshc_linkerd.route_kinds import Kind, PathClass, ValueTest, one_test_a_name

MAX_KINDS: Final = 2048
MAX_CLASSES: Final = 512


def routed_kinds(port: ir.PortPolicy) -> Mapping[Kind, ir.Route]:
    """The route of every kind of request that does not take the last one. Raises InexpressibleError."""
    default = port.routes[-1]
    patterns = tuple(dict.fromkeys(route.path for route in port.routes if route.path != ir.ANY_PATH))
    tests = _tests(port)
    methods = _methods(port)
    classes = _path_classes(patterns)
    if len(classes) * (len(methods) + 1) * 2 ** len(tests) > MAX_KINDS:
        reason = f"the routes of this port tell more than {MAX_KINDS} kinds of requests apart"
        raise InexpressibleError(reason, "test fewer headers, queries and methods")
    found: dict[Kind, ir.Route] = {}
    for path, method in product(classes, (None, *methods)):
        for bits in range(2 ** len(tests)):
            chosen = frozenset(one for place, one in enumerate(tests) if bits >> place & 1)
            kind = Kind(path=path, method=method, tests=chosen)
            found[kind] = _first(port, patterns, kind)
    merged = one_test_a_name(_merged(found))
    return {kind: route for kind, route in merged.items() if _counts(kind, route, merged, default)}


def _counts(kind: Kind, route: ir.Route, found: Mapping[Kind, ir.Route], default: ir.Route) -> bool:
    """Whether a kind has to be said: it takes another route than the last, or a wider kind does."""
    if route is not default:
        return True
    return any(other.is_wider(kind) and found[other] is not default for other in found if other.path == kind.path)


def _path_classes(patterns: tuple[ir.PathPattern, ...]) -> tuple[PathClass, ...]:
    """The classes of some patterns, those that none matches included, in a fixed order."""
    plain = [one for one in patterns if not isinstance(one, ir.RegexPath)]
    if len(plain) < len(patterns):
        reason = "of two expressions that match a path, neither is sure to win on Linkerd"
        raise InexpressibleError(reason, "use `{name}` and `/**`, or list the paths")
    try:
        tree = PathTree(plain)
    except TooManyPathsError:
        raise InexpressibleError("the paths of this port combine in too many ways", "use fewer that overlap") from None
    labels = sorted(tree.labels())
    if len(labels) > MAX_CLASSES:
        reason = f"the paths of this port come to more than {MAX_CLASSES} classes"
        raise InexpressibleError(reason, "use fewer patterns that overlap")
    matches = tree.matches({label: label for label in labels}, labels)
    if any(len(one.value) > MAX_LENGTH for some in matches.values() for one in some):
        reason = "these paths come to an expression that is too long for Linkerd"
        raise InexpressibleError(reason, "use fewer or shorter patterns")
    numbers = range(len(patterns))
    return tuple(
        PathClass(patterns=frozenset(one for one in numbers if label >> one & 1), matches=matches[label])
        for label in labels
    )


def _tests(port: ir.PortPolicy) -> tuple[ValueTest, ...]:
    found: list[ValueTest] = []
    for atom in (atom for route in port.routes for atom in _atoms(route.condition)):
        if not isinstance(atom, ir.HeaderIs | ir.QueryIs):
            raise InexpressibleError(
                "Linkerd's routes for callers test paths, methods, headers and queries", "test a header"
            )
        if atom not in found:
            found.append(atom)
    return tuple(sorted(found, key=lambda one: (type(one).__name__, one.name)))


def _atoms(condition: ir.Condition) -> Iterator[ir.Atom]:
    match condition:
        case ir.AllOf(parts) | ir.AnyOf(parts):
            for part in parts:
                yield from _atoms(part)
        case ir.Not(inner):
            yield from _atoms(inner)
        case _:
            yield condition


def _methods(port: ir.PortPolicy) -> tuple[Method, ...]:
    methods = {method for route in port.routes for method in route.methods}
    strange = sorted(methods - set(METHODS))
    if strange:
        raise InexpressibleError(f"Linkerd's routes cannot name the method `{strange[0]}`", "name none, or another")
    return tuple(METHODS[one] for one in sorted(methods))


def _first(port: ir.PortPolicy, patterns: tuple[ir.PathPattern, ...], kind: Kind) -> ir.Route:
    for route in port.routes:
        is_path = route.path == ir.ANY_PATH or patterns.index(route.path) in kind.path.patterns
        is_method = not route.methods or kind.method in route.methods
        if is_path and is_method and _holds(route.condition, kind):
            return route
    return port.routes[-1]


def _holds(condition: ir.Condition, kind: Kind) -> bool:
    match condition:
        case ir.AllOf(parts):
            return all(_holds(part, kind) for part in parts)
        case ir.AnyOf(parts):
            return any(_holds(part, kind) for part in parts)
        case ir.Not(inner):
            return not _holds(inner, kind)
        case _:
            return condition in kind.tests


def _merged(found: Mapping[Kind, ir.Route]) -> Mapping[Kind, ir.Route]:
    """Without the tests that make no difference to a class of paths."""
    left: dict[Kind, ir.Route] = {}
    by_path: dict[PathClass, dict[Kind, ir.Route]] = {}
    for kind, route in found.items():
        by_path.setdefault(kind.path, {})[kind] = route
    for listed in by_path.values():
        own = listed
        for test in sorted(
            {test for kind in own for test in kind.tests}, key=lambda one: (type(one).__name__, one.name)
        ):
            pairs = [(kind, _without(kind, test)) for kind in own if test in kind.tests]
            if all(own[more] is own[less] for more, less in pairs):
                own = {kind: route for kind, route in own.items() if test not in kind.tests}
        for method in sorted({kind.method for kind in own if kind.method is not None}):
            pairs = [(kind, _any_method(kind)) for kind in own if kind.method == method]
            if all(own[more] is own[less] for more, less in pairs):
                own = {kind: route for kind, route in own.items() if kind.method != method}
        left |= own
    return left


def _without(kind: Kind, test: ValueTest) -> Kind:
    return replace(kind, tests=kind.tests - {test})


def _any_method(kind: Kind) -> Kind:
    return replace(kind, method=None)
