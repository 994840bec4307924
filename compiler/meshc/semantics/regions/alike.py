"""Ports that let the same through for a plain reason: they say the same, perhaps in another order, in other parts, with other names.

Conditions are compared as sets of products of atoms, by the laws of `and`, `or` and `not` alone; what an atom means is not looked into.
Of callers it is known that who is refused for having no identity is let in by no rule for all. So True is a proof, which costs little, and
False decides nothing.
"""

from collections.abc import Iterable
from itertools import product
from typing import Final, assert_never

from meshc.ir import (
    AddressIn,
    AllOf,
    AnyIdentity,
    AnyOf,
    AnyPeer,
    Atom,
    ClaimIs,
    Condition,
    Effect,
    HeaderIs,
    HostIs,
    MethodIs,
    Not,
    PathIs,
    Principal,
    QueryIs,
    Rule,
    SniIs,
    Stage,
    TemplatePath,
)
from meshc.semantics.regions.ports import PortSide

_MOST_PRODUCTS: Final = 256
"""Of one condition. With more, multiplying out may cost what it is to save."""

_Literal = tuple[bool, Atom]
"""An atom that holds, or that does not."""

_Products = frozenset[frozenset[_Literal]]
"""A condition: all literals of any of the products hold."""


_Case = tuple[Principal, frozenset[Principal], frozenset[_Literal]]
"""Requests of a caller that is none of some others, for which all literals hold."""

_UNVERIFIED: Final[_Case] = (AnyPeer(), frozenset((AnyIdentity(),)), frozenset())


class _TooManyProductsError(Exception):
    """A condition that is not multiplied out."""


def is_alike(one: PortSide, other: PortSide) -> bool:
    """Whether two ports let the same through for the plain reason that they say the same; False decides nothing."""
    if _around(one) != _around(other):
        return False
    before, after = ([stage for _, stage in side.stages] for side in (one, other))
    if before == after or _are_alike_in_order(before, after):
        return True
    try:
        return _meaning(before) == _meaning(after)
    except _TooManyProductsError:
        return False


def _around(side: PortSide) -> tuple[object, ...]:
    """Everything that an outcome depends on besides the stages."""
    port, mesh = side.port, side.mesh
    http = (port.jwts, mesh.trusted_hops) if side.is_http else None
    return side.key, side.is_external, port.protocol, port.mtls, frozenset(mesh.trust_domains), http


# ---- in the same order ----------------------------------------------------------------------------------------------


def _are_alike_in_order(before: list[Stage], after: list[Stage]) -> bool:
    """Whether stages differ at most in what decides nothing: what rules are called, and the words for parts of paths."""
    return len(before) == len(after) and all(
        one.effect is other.effect
        and len(one.rules) == len(other.rules)
        and all(
            rule.principals == like.principals and _is_same(rule.condition, like.condition)
            for rule, like in zip(one.rules, other.rules, strict=True)
        )
        for one, other in zip(before, after, strict=True)
    )


def _is_same(one: Condition, other: Condition) -> bool:
    match one, other:
        case (AllOf(conditions=some), AllOf(conditions=others)) | (AnyOf(conditions=some), AnyOf(conditions=others)):
            return len(some) == len(others) and all(map(_is_same, some, others))
        case Not(condition=inner), Not(condition=like):
            return _is_same(inner, like)
        case PathIs(pattern=TemplatePath() as path), PathIs(pattern=TemplatePath() as like):
            return path.segments == like.segments and path.rest == like.rest
        case _:
            return one == other


# ---- in any order ---------------------------------------------------------------------------------------------------


def _meaning(stages: Iterable[Stage]) -> tuple[frozenset[_Case], frozenset[frozenset[_Case]]]:
    """What is refused, and the lists of what each step lets through, of which every one must hold a request."""
    refused: set[_Case] = set()
    allowed: set[frozenset[_Case]] = set()
    for stage in stages:
        cases = frozenset(one for rule in stage.rules for one in _cases(rule))
        if stage.effect is Effect.DENY:
            refused |= cases
        else:
            allowed.add(cases)
    if allowed and _UNVERIFIED in refused:
        # Where nothing lets them in, they are refused in the same way without the rule.
        refused.remove(_UNVERIFIED)
        allowed = {frozenset(map(_verified, one)) for one in allowed}
    return frozenset(refused), frozenset(one for one in allowed if not any(other < one for other in allowed))


def _cases(rule: Rule) -> Iterable[_Case]:
    """A rule as one case for each caller that it names and each product of its condition."""
    excluded = frozenset(rule.principals.exclude)
    return product(rule.principals.include, (excluded,), _products(rule.condition, holds=True))


def _verified(case: _Case) -> _Case:
    """The case without callers of no identity."""
    caller, excluded, literals = case
    return (AnyIdentity() if caller == AnyPeer() else caller, excluded, literals)


def _products(condition: Condition, *, holds: bool) -> _Products:
    """The condition, or where `holds` is False its opposite. Raises _TooManyProductsError."""
    match condition:
        case Not(condition=inner):
            return _products(inner, holds=not holds)
        case AllOf(conditions=parts):
            return _joined((_products(one, holds=holds) for one in parts), is_all=holds)
        case AnyOf(conditions=parts):
            return _joined((_products(one, holds=holds) for one in parts), is_all=not holds)
        case MethodIs(methods=methods):
            return _joined((_literal(MethodIs((one,)), holds=holds) for one in methods), is_all=not holds)
        case AddressIn(address=address, blocks=blocks):
            tests = (AddressIn(address, (one,)) for one in blocks)
            return _joined((_literal(one, holds=holds) for one in tests), is_all=not holds)
        case PathIs(pattern=TemplatePath(segments=segments, rest=rest)):
            return _literal(PathIs(TemplatePath(segments, (), rest=rest)), holds=holds)
        case PathIs() | HostIs() | HeaderIs() | QueryIs() | ClaimIs() | SniIs():
            return _literal(condition, holds=holds)
        case _:
            assert_never(condition)


def _literal(atom: Atom, *, holds: bool) -> _Products:
    return frozenset((frozenset(((holds, atom),)),))


def _joined(parts: Iterable[_Products], *, is_all: bool) -> _Products:
    """All of the parts, or any of them."""
    if not is_all:
        return _bounded(one for part in parts for one in part)
    found: _Products = frozenset((frozenset(),))
    for part in parts:
        found = _bounded(one | other for one in found for other in part)
    return found


def _bounded(products: Iterable[frozenset[_Literal]]) -> _Products:
    found: set[frozenset[_Literal]] = set()
    for one in products:
        found.add(one)
        if len(found) > _MOST_PRODUCTS:
            raise _TooManyProductsError
    return frozenset(found)
