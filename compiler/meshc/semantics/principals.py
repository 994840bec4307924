"""Principals: who a rule speaks of, as a function of the verified identity."""

from collections.abc import Callable
from typing import assert_never

from meshc.ir import AnyIdentity, AnyPeer, ExactIdentity, IdentityPrefix, Principal, Principals

IdentityCheck = Callable[[str | None], bool]


def principals_check(principals: Principals) -> IdentityCheck:
    """A function that says whether a caller is meant; it is given the verified identity, or None."""
    included = _any_of(principals.include)
    if not principals.exclude:
        return included
    excluded = _any_of(principals.exclude)
    return lambda identity: included(identity) and not excluded(identity)


def _any_of(principals: tuple[Principal, ...]) -> IdentityCheck:
    if any(isinstance(one, AnyPeer) for one in principals):
        return _anybody
    if any(isinstance(one, AnyIdentity) for one in principals):
        return _has_identity
    exact: set[str] = set()
    prefixes: list[str] = []
    for one in principals:
        match one:
            case ExactIdentity(identity=identity):
                exact.add(identity)
            case IdentityPrefix(prefix=prefix):
                prefixes.append(prefix)
            case AnyPeer() | AnyIdentity():
                pass
            case _:
                assert_never(one)
    starts, named = tuple(prefixes), frozenset(exact)
    return lambda identity: identity is not None and (identity in named or identity.startswith(starts))


def _anybody(_identity: str | None) -> bool:
    return True


def _has_identity(identity: str | None) -> bool:
    return identity is not None
