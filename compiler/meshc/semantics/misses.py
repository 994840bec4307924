"""Misses: which clauses of a rule or route a request fails, and what the request has instead."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
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
    MethodIs,
    Not,
    PathIs,
    PathPattern,
    Principals,
    QueryIs,
    SniIs,
)
from meshc.semantics.addresses import Address
from meshc.semantics.conditions import condition_check
from meshc.semantics.facts import Facts
from meshc.semantics.paths import path_matcher
from meshc.semantics.principals import principals_check
from meshc.semantics.show import (
    Names,
    operations_of,
    show_blocks,
    show_condition,
    show_identity,
    show_operation,
    show_path,
    show_principals,
    show_subject,
    show_text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """One clause that a request fails.

    `clause` is `source`, `address`, `method`, `path`, `operation` (both) or `condition`; `wanted` is the clause in `.mesh`
    text, `actual` what the request has.
    """

    clause: str
    wanted: str
    actual: str


def source_misses(principals: Principals, facts: Facts, names: Names) -> tuple[Miss, ...]:
    """The miss of a caller that is not meant; none where it is."""
    if principals_check(principals)(facts.identity):
        return ()
    return (
        Miss(clause="source", wanted=show_principals(principals, names), actual=show_identity(facts.identity, names)),
    )


def condition_misses(condition: Condition, facts: Facts) -> tuple[Miss, ...]:
    """The clauses of a condition that a request fails; none where the condition holds."""
    if condition_check(condition)(facts):
        return ()
    match condition:
        case AllOf(conditions=parts):
            return tuple(miss for part in parts for miss in condition_misses(part, facts))
        case MethodIs(methods=methods):
            return (Miss(clause="method", wanted="|".join(methods), actual=facts.method or "no method"),)
        case PathIs(pattern=pattern):
            return (Miss(clause="path", wanted=show_path(pattern), actual=facts.path or "no path"),)
        case AddressIn(address=address, blocks=blocks):
            found = facts.peer if address is AddressOf.PEER else facts.client
            wanted = show_blocks(blocks) if address is AddressOf.PEER else show_condition(condition)
            return (Miss(clause="address", wanted=wanted, actual=show_address(found)),)
        case AnyOf() | Not() | HostIs() | HeaderIs() | QueryIs() | ClaimIs() | SniIs():
            operations = operations_of(condition)
            if operations is not None:
                return (_operation_miss(operations, facts),)
            shown = "; ".join(dict.fromkeys(_actual(atom, facts) for atom in atoms_of(condition)))
            return (Miss(clause="condition", wanted=show_condition(condition), actual=shown or "nothing"),)
        case _:
            assert_never(condition)


def _operation_miss(operations: tuple[tuple[tuple[str, ...], PathPattern], ...], facts: Facts) -> Miss:
    """The miss of a list of operations. It is the method alone, or the path alone, that fails where one operation has the other."""
    path = facts.path
    by_path = [one for one in operations if path is not None and path_matcher(one[1])(path)]
    by_method = [one for one in operations if not one[0] or facts.method in one[0]]
    clause = "method" if by_path else "path" if by_method else "operation"
    wanted = ", ".join(show_operation(*one) for one in by_path or by_method or operations)
    return Miss(clause=clause, wanted=wanted, actual=f"{facts.method} {path}" if path is not None else "a connection")


def atoms_of(condition: Condition) -> Iterator[Atom]:
    """The atoms of a condition, in order."""
    match condition:
        case AllOf(conditions=parts) | AnyOf(conditions=parts):
            for part in parts:
                yield from atoms_of(part)
        case Not(condition=inner):
            yield from atoms_of(inner)
        case _:
            yield condition


def _actual(atom: Atom, facts: Facts) -> str:
    """What the request has where an atom looks."""
    match atom:
        case MethodIs():
            return facts.method or "no method"
        case PathIs():
            return facts.path or "no path"
        case AddressIn(address=address):
            return f"{address.value} {show_address(facts.peer if address is AddressOf.PEER else facts.client)}"
        case HostIs():
            return f"host {_shown(facts.host)}"
        case SniIs():
            return f"sni {_shown(facts.sni)}"
        case HeaderIs(name=name):
            values = facts.headers.get(name)
            return f"{show_subject(atom)} {', '.join(map(show_text, values)) if values else 'absent'}"
        case QueryIs(name=name):
            return f"{show_subject(atom)} {_shown(facts.query.get(name))}"
        case ClaimIs(path=path):
            claim = facts.claim(path)
            return f"{show_subject(atom)} {'absent' if claim is None else json.dumps(claim)}"
        case _:
            assert_never(atom)


def _shown(text: str | None) -> str:
    return "absent" if text is None else show_text(text)


def show_address(address: Address | None) -> str:
    """An address as people write it."""
    if address is None:
        return "no address"
    version, number = address
    return str(IPv4Address(number) if version == 4 else IPv6Address(number))
