"""Callers: the kinds of callers that one port's rules tell apart. Together they are all callers, and none is in two of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never

from meshc.ir import AnyIdentity, AnyPeer, ExactIdentity, IdentityPrefix, Principal, Principals, Rule
from meshc.semantics.regions.ports import PortSide

NamedCaller = ExactIdentity | IdentityPrefix


@dataclass(frozen=True, slots=True)
class Unverified:
    """Callers without a verified identity."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """All callers, where a port gets to know nobody's identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One kind of callers: those of `who` that no other kind of `narrower` has."""

    who: NamedCaller | AnyIdentity | Unverified | Unseen
    narrower: tuple[NamedCaller, ...] = ()

    @property
    def principals(self) -> Principals:
        """The same callers as a list of sources."""
        match self.who:
            case Unverified():
                return Principals((AnyPeer(),), (AnyIdentity(),))
            case Unseen():
                return Principals((AnyPeer(),))
            case ExactIdentity() | IdentityPrefix() | AnyIdentity():
                return Principals((self.who,), self.narrower)
            case _:
                assert_never(self.who)

    def is_meant(self, principals: Principals) -> bool:
        """Whether a list of sources of the port means all of these callers; if not, it means none of them."""
        included = any(map(self._is_in, principals.include))
        return included and not any(map(self._is_in, principals.exclude))

    def _is_in(self, principal: Principal) -> bool:
        match principal, self.who:
            case AnyPeer(), _:
                return True
            case _, Unverified() | Unseen():
                return False
            case AnyIdentity(), _:
                return True
            case ExactIdentity(), _:
                return principal == self.who
            case IdentityPrefix(prefix=prefix), ExactIdentity(identity=identity):
                return identity.startswith(prefix)
            case IdentityPrefix(prefix=prefix), IdentityPrefix(prefix=own):
                return own.startswith(prefix)
            case _:
                return False


def callers_of(side: PortSide) -> tuple[Caller, ...]:
    """The kinds of callers of a port: each that a rule names, in order, then other identities, then callers without one."""
    if side.hides_identities:
        return (Caller(who=Unseen()),)
    named = dict.fromkeys(
        one
        for _, stage in side.stages
        for rule in stage.rules
        for one in _mentioned(rule)
        if isinstance(one, ExactIdentity | IdentityPrefix)
    )
    kinds = (Caller(who=one, narrower=tuple(_inside(one, named))) for one in named)
    return (*kinds, Caller(who=AnyIdentity(), narrower=tuple(named)), Caller(who=Unverified()))


def _mentioned(rule: Rule) -> tuple[Principal, ...]:
    return (*rule.principals.include, *rule.principals.exclude)


def _inside(outer: NamedCaller, named: Iterable[NamedCaller]) -> Iterator[NamedCaller]:
    """The narrower ones of a prefix; an identity has none."""
    if isinstance(outer, IdentityPrefix):
        for one in named:
            text = one.identity if isinstance(one, ExactIdentity) else one.prefix
            if one != outer and text.startswith(outer.prefix):
                yield one
