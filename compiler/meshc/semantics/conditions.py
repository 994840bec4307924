"""Conditions: `ir.Condition` -> a function of a normalized request. This is what the atoms mean."""

from collections.abc import Callable
from typing import assert_never

from meshc.ir import (
    AddressIn,
    AddressOf,
    AllOf,
    AnyOf,
    Atom,
    ClaimIs,
    Condition,
    HeaderIs,
    HostIs,
    IpBlock,
    IsPresent,
    MethodIs,
    Not,
    PathIs,
    QueryIs,
    SniIs,
)
from meshc.semantics.addresses import Address
from meshc.semantics.facts import Facts
from meshc.semantics.paths import path_matcher
from meshc.semantics.texts import TextCheck, claim_check, text_check

Check = Callable[[Facts], bool]


def holds_always(_facts: Facts) -> bool:
    """The check of `AllOf(())`."""
    return True


def condition_check(condition: Condition) -> Check:
    """A function that says whether `condition` holds. Raises ValueError for a pattern that is not RE2 syntax."""
    match condition:
        case AllOf(conditions=parts):
            return _all_check(tuple(condition_check(part) for part in parts))
        case AnyOf(conditions=parts):
            return _any_check(tuple(condition_check(part) for part in parts))
        case Not(condition=inner):
            check = condition_check(inner)
            return lambda facts: not check(facts)
        case _:
            return atom_check(condition)


def _all_check(checks: tuple[Check, ...]) -> Check:
    if not checks:
        return holds_always
    if len(checks) == 1:
        return checks[0]

    def holds(facts: Facts) -> bool:
        for check in checks:  # noqa: SIM110 -- a plain loop is twice as fast as `all` with a generator
            if not check(facts):
                return False
        return True

    return holds


def _any_check(checks: tuple[Check, ...]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def holds(facts: Facts) -> bool:
        for check in checks:  # noqa: SIM110 -- as above
            if check(facts):
                return True
        return False

    return holds


def atom_check(atom: Atom) -> Check:
    """A function that says whether one atom holds. An atom about what a connection does not have never does."""
    match atom:
        case MethodIs(methods=methods):
            wanted = frozenset(methods)
            return lambda facts: facts.method in wanted
        case PathIs(pattern=pattern):
            matches = path_matcher(pattern)
            return lambda facts: facts.path is not None and matches(facts.path)
        case HostIs(test=test):
            host_check = text_check(test)
            return lambda facts: facts.host is not None and host_check(facts.host)
        case HeaderIs(name=name, test=test):
            return _header_check(name, None if isinstance(test, IsPresent) else text_check(test))
        case QueryIs(name=name, test=test):
            value_check = text_check(test)
            return lambda facts: (value := facts.query.get(name)) is not None and value_check(value)
        case ClaimIs(path=path, test=test):
            passes = claim_check(test)
            return lambda facts: passes(facts.claim(path))
        case SniIs(test=test):
            sni_check = text_check(test)
            return lambda facts: facts.sni is not None and sni_check(facts.sni)
        case AddressIn(address=address, blocks=blocks):
            return _address_check(address, blocks)
        case _:
            assert_never(atom)


def _header_check(name: str, check: TextCheck | None) -> Check:
    if check is None:
        return lambda facts: name in facts.headers

    def holds(facts: Facts) -> bool:
        for value in facts.headers.get(name, ()):  # noqa: SIM110 -- as above
            if check(value):
                return True
        return False

    return holds


def _address_check(address: AddressOf, blocks: tuple[IpBlock, ...]) -> Check:
    # Families are kept apart: an IPv4 block never holds an IPv6 address.
    ranges = tuple((block.version, int(block.network_address), int(block.broadcast_address)) for block in blocks)

    def inside(found: Address | None) -> bool:
        if found is None:
            return False
        version, number = found
        return any(version == family and low <= number <= high for family, low, high in ranges)

    if address is AddressOf.PEER:
        return lambda facts: inside(facts.peer)
    return lambda facts: inside(facts.client)
