"""Outcomes: the rules of a port -> for every kind of request, who may send it.

The kinds are the closure of all tests under "and": a class of paths, a host, a method, and for each header test whether it
holds. A request is of exactly one kind, the one that says most of it, and under each of the orders in which Linkerd prefers routes
the route for that kind wins: it is at least as specific in every part as any other that matches. So the order is never asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeVar

from meshc import ir
from meshc_linkerd.clients import Atom, Clients, Place, World, is_in, places, rectangles
from meshc_linkerd.errors import InexpressibleError
from meshc_linkerd.path_classes import PathClass, path_classes

MAX_KINDS: Final = 512
"""Kinds of requests of one port; each becomes a match of a route."""
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
"""Those that the Gateway API can name."""

HeaderTest = ir.HeaderIs | ir.QueryIs
"""A test of a header; for routes of callers, of a query parameter too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Requests for a class of paths, a host (None: any other), a method (None: any other), with these header tests holding."""

    path: PathClass
    host: str | None
    method: str | None
    headers: frozenset[HeaderTest]

    def is_wider(self, other: "Kind") -> bool:
        """Whether routes for this kind match requests of the other one too."""
        return (
            self.path == other.path
            and _host_takes(self.host, other.host)
            and self.method in {None, other.method}
            and self.headers <= other.headers
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tests:
    """All that the rules of a port look at; `numbers` has the place of each pattern, `places` all addresses, cut by `blocks`."""

    patterns: tuple[ir.PathPattern, ...]
    numbers: Mapping[ir.PathPattern, int]
    hosts: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[ir.HeaderIs, ...]
    blocks: tuple[ir.IpBlock, ...]
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What the platform's health checker asks, which is let through from some networks whatever the rules say."""

    method: str
    path: str
    networks: tuple[ir.IpBlock, ...]


def connection_outcome(world: World, port: ir.PortPolicy) -> Clients:
    """Who may connect to a port where no requests are seen. Raises InexpressibleError."""
    tests = _collect(port, ())
    kind = Kind(path=PathClass(patterns=frozenset(), shapes=()), host=None, method=None, headers=frozenset())
    return _clients(world, port, tests, kind, ())


def outcomes(world: World, port: ir.PortPolicy, probes: Sequence[Probe]) -> Mapping[Kind, Clients]:
    """Who may send each kind of request. Raises InexpressibleError."""
    tests = _collect(port, probes)
    kinds = list(_kinds(tests))
    found = {kind: _clients(world, port, tests, kind, probes) for kind in kinds}
    _check_lines(found)
    return _needed(one_test_a_name(_merged(found)))


# ---- tests ----------------------------------------------------------------------------------------------------------


def _collect(port: ir.PortPolicy, probes: Sequence[Probe]) -> _Tests:
    atoms = [
        atom for stage in port.access if not stage.shadow for rule in stage.rules for atom in _atoms(rule.condition)
    ]
    patterns = [atom.pattern for atom in atoms if isinstance(atom, ir.PathIs) and atom.pattern != ir.ANY_PATH]
    patterns += [ir.ExactPath(one.path) for one in probes]
    methods = {method for atom in atoms if isinstance(atom, ir.MethodIs) for method in atom.methods}
    strange = sorted(methods - set(METHODS))
    if strange:
        raise InexpressibleError(f"Linkerd's routes cannot name the method `{strange[0]}`", "name none, or another")
    headers = tuple(dict.fromkeys(atom for atom in atoms if isinstance(atom, ir.HeaderIs)))
    for atom in atoms:
        if not isinstance(atom, ir.PathIs | ir.MethodIs | ir.HeaderIs | ir.HostIs | ir.AddressIn):
            raise InexpressibleError("Linkerd's routes test paths, methods, hosts and headers", "test one of those")
    own = {one.method for one in probes}
    blocks = [block for atom in atoms if isinstance(atom, ir.AddressIn) for block in _peer_blocks(atom)]
    cut = tuple(dict.fromkeys((*blocks, *(block for one in probes for block in one.networks))))
    numbers = {pattern: number for number, pattern in enumerate(dict.fromkeys(patterns))}
    return _Tests(
        patterns=tuple(numbers),
        numbers=numbers,
        hosts=tuple(sorted({_host(atom.test) for atom in atoms if isinstance(atom, ir.HostIs)})),
        methods=tuple(sorted(methods | own)),
        headers=headers,
        blocks=cut,
        places=places(cut),
    )


def _atoms(condition: ir.Condition) -> Iterator[ir.Atom]:
    match condition:
        case ir.AllOf(parts) | ir.AnyOf(parts):
            for part in parts:
                yield from _atoms(part)
        case ir.Not(inner):
            yield from _atoms(inner)
        case _:
            yield condition


def _peer_blocks(atom: ir.AddressIn) -> tuple[ir.IpBlock, ...]:
    if atom.address is not ir.AddressOf.PEER:
        raise InexpressibleError(
            "Linkerd knows the address of the direct peer alone", "use `from`, or test it in the application"
        )
    return atom.blocks


def _host(test: ir.TextTest) -> str:
    match test:
        case ir.Equals(value=value) if value and not value.startswith("*"):
            return value
        case ir.EndsWith(value=value) if value.startswith(".") and len(value) > 1:
            return f"*{value}"
        case _:
            reason = "Linkerd's routes test a host as a whole, or by all that follows its first label"
            raise InexpressibleError(reason, 'write `host == "…"` or `host ends with ".…"`')


def _host_takes(wide: str | None, narrow: str | None) -> bool:
    if wide is None or wide == narrow:
        return True
    return narrow is not None and wide.startswith("*") and narrow.endswith(wide[1:])


def _kinds(tests: _Tests) -> Iterator[Kind]:
    classes = path_classes(tests.patterns)
    subsets = 2 ** len(tests.headers)
    count = len(classes) * (len(tests.hosts) + 1) * (len(tests.methods) + 1) * subsets
    if len(tests.headers) > 9 or count > 16 * MAX_KINDS:
        reason = f"the rules of this port tell {count} kinds of requests apart, more than Linkerd's routes could list"
        raise InexpressibleError(reason, "use fewer methods, hosts and header tests on one port")
    hosts = (None, *tests.hosts)
    methods = (None, *tests.methods)
    for path, host, method in product(classes, hosts, methods):
        for bits in range(subsets):
            chosen = frozenset(one for place, one in enumerate(tests.headers) if bits >> place & 1)
            yield Kind(path=path, host=host, method=method, headers=chosen)


# ---- decisions ------------------------------------------------------------------------------------------------------


def _clients(world: World, port: ir.PortPolicy, tests: _Tests, kind: Kind, probes: Sequence[Probe]) -> Clients:
    by_place: dict[Place, frozenset[Atom]] = {}
    known = world.everybody if port.mtls is ir.MtlsMode.PERMISSIVE else world.identities
    everywhere = None if tests.blocks else _allowed(world, port, tests, kind, tests.places[0]) & known
    for place in tests.places:
        found = _allowed(world, port, tests, kind, place) & known if everywhere is None else everywhere
        for probe in probes:
            is_asked = kind.method == probe.method and _holds(ir.PathIs(ir.ExactPath(probe.path)), tests, kind, place)
            if is_asked and is_in(place, probe.networks):
                found = world.everybody
        by_place[place] = found
    return rectangles(by_place)


def _allowed(world: World, port: ir.PortPolicy, tests: _Tests, kind: Kind, place: Place) -> frozenset[Atom]:
    left = world.everybody
    for stage in (one for one in port.access if not one.shadow):
        named: frozenset[Atom] = frozenset()
        for rule in stage.rules:
            if _holds(rule.condition, tests, kind, place):
                named |= world.atoms(rule.principals)
        left = left - named if stage.effect is ir.Effect.DENY else left & named
    return left


def _holds(condition: ir.Condition, tests: _Tests, kind: Kind, place: Place) -> bool:
    match condition:
        case ir.AllOf(parts):
            return all(_holds(part, tests, kind, place) for part in parts)
        case ir.AnyOf(parts):
            return any(_holds(part, tests, kind, place) for part in parts)
        case ir.Not(inner):
            return not _holds(inner, tests, kind, place)
        case ir.MethodIs(methods=methods):
            return kind.method in methods
        case ir.PathIs(pattern=pattern):
            return pattern == ir.ANY_PATH or tests.numbers[pattern] in kind.path.patterns
        case ir.HeaderIs():
            return condition in kind.headers
        case ir.HostIs(test=test):
            return kind.host is not None and _host_takes(_host(test), kind.host)
        case ir.AddressIn():
            return is_in(place, _peer_blocks(condition))
        case _:
            raise InexpressibleError("Linkerd's routes test paths, methods, hosts and headers")


def _check_lines(found: Mapping[Kind, Clients]) -> None:
    """A value beyond ASCII looks absent to an expression, so a test by one must not refuse anything."""
    for kind, clients in found.items():
        for test in kind.headers:
            if isinstance(test, ir.QueryIs) or (isinstance(test.test, ir.Equals) and test.test.value):
                continue
            without = Kind(path=kind.path, host=kind.host, method=kind.method, headers=kind.headers - {test})
            if not _is_subset(found[without], clients):
                reason = (
                    f"Linkerd reads only ASCII with expressions, so a value of `{test.name}` beyond it would evade this"
                )
                raise InexpressibleError(reason, "test it with `==`, or allow what is meant instead")


def _is_subset(some: Clients, others: Clients) -> bool:
    allowed = {(place, atom) for atoms, listed in others for place in listed for atom in atoms}
    return all((place, atom) in allowed for atoms, listed in some for place in listed for atom in atoms)


# ---- fewer kinds ----------------------------------------------------------------------------------------------------


def _merged(found: Mapping[Kind, Clients]) -> Mapping[Kind, Clients]:
    """Without the tests of methods, headers and hosts that make no difference to a class of paths."""
    left = dict(found)
    for path in dict.fromkeys(kind.path for kind in found):
        own = {kind: clients for kind, clients in left.items() if kind.path == path}
        for test in sorted({test for kind in own for test in kind.headers}, key=lambda one: one.name):
            pairs = [(kind, _without_header(kind, test)) for kind in own if test in kind.headers]
            if all(own[more] == own[less] for more, less in pairs):
                own = {kind: clients for kind, clients in own.items() if test not in kind.headers}
        own = {
            kind: clients
            for kind, clients in own.items()
            if kind.method is None or any(own[one] != own[_any_method(one)] for one in own if one.method == kind.method)
        }
        left = {kind: clients for kind, clients in left.items() if kind.path != path} | own
    return left


def _without_header(kind: Kind, test: HeaderTest) -> Kind:
    return Kind(path=kind.path, host=kind.host, method=kind.method, headers=kind.headers - {test})


def _any_method(kind: Kind) -> Kind:
    return Kind(path=kind.path, host=kind.host, method=None, headers=kind.headers)


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


def _needed(found: Mapping[Kind, Clients]) -> Mapping[Kind, Clients]:
    """Kinds that somebody may send, and those that a route for one of these would let through."""
    open_kinds = [kind for kind, clients in found.items() if clients]
    if len(open_kinds) > MAX_KINDS:
        reason = f"the rules of this port come to {len(open_kinds)} kinds of requests, more than {MAX_KINDS}"
        raise InexpressibleError(reason, "use fewer methods, hosts and header tests on one port")
    by_path: dict[PathClass, list[Kind]] = {}
    for kind in open_kinds:
        by_path.setdefault(kind.path, []).append(kind)
    return {
        kind: clients
        for kind, clients in found.items()
        if clients or any(wide.is_wider(kind) for wide in by_path.get(kind.path, ()))
    }
