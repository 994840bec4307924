"""Find a request in a space: the class that it has of each variable, so that neighbours of it can be looked for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from meshc.ir import ClaimIs, ExactIdentity, IdentityPrefix
from meshc.request import Claim
from meshc.semantics.addresses import client_address
from meshc.semantics.conditions import condition_check
from meshc.semantics.facts import Facts
from meshc.semantics.identities import trust_domain_of
from meshc.semantics.regions.aspects import FORWARDED, Aspects
from meshc.semantics.regions.claims import ClaimVariables
from meshc.semantics.regions.variables import (
    HasClaim,
    HasIdentity,
    HasToken,
    InTrustDomain,
    IsList,
    IsText,
    NamesAudience,
    Test,
    Variable,
)
from meshc.semantics.texts import claim_check


def locate(aspects: Aspects, facts: Facts, claims: Mapping[str, Claim] | None) -> tuple[int, ...] | None:
    """The class of each variable; None for a request that has none, such as one from a peer without an address.

    `facts` are those of a well-formed request before its token is looked at, `claims` those of the token.
    """
    classes: dict[int, int | None] = {one.level: _class_of(one, facts) for one in _simple(aspects)}
    for hops, variable in aspects.clients.items():
        if facts.peer is None:
            return None
        client = client_address(facts.peer, facts.headers.get(FORWARDED, ()), hops)
        classes[variable.level] = _class_of(variable, replace(facts, client=client))
    if aspects.token is not None:
        classes[aspects.token.given.level] = int(claims is not None)
        token = Facts(identity=None, peer=None, client=None, claims=claims)
        for claim in aspects.token.claims.values():
            classes.update(_claim_classes(claim, token.claim(claim.path)))
    found = [one for level in range(len(aspects.ordered)) if (one := classes[level]) is not None]
    return tuple(found) if len(found) == len(aspects.ordered) else None


def _simple(aspects: Aspects) -> Iterator[Variable]:
    """The variables whose tests are tests of a request."""
    single = (aspects.caller, aspects.path, aspects.method, aspects.peer, aspects.host, aspects.server_name)
    yield from (one for one in single if one is not None)
    yield from aspects.queries.values()
    for header in aspects.headers.values():
        yield from header.variables


def class_of_identity(variable: Variable, identity: str | None) -> int | None:
    """The class of a caller."""
    return _class_of(variable, Facts(identity=identity, peer=None, client=None))


def _class_of(variable: Variable, facts: Facts) -> int | None:
    return _the_class(variable, (_passes(test, facts) for test in variable.tests))


def _the_class(variable: Variable, passed: Iterable[bool]) -> int | None:
    left = variable.full
    for holds, passes in zip(variable.holds, passed, strict=True):
        left &= holds if passes else ~holds
    return left.bit_length() - 1 if left else None


def _passes(test: Test, facts: Facts) -> bool:
    identity = facts.identity
    match test:
        case HasIdentity():
            return identity is not None
        case InTrustDomain(domain=domain):
            return identity is not None and trust_domain_of(identity) == domain
        case ExactIdentity(identity=wanted):
            return identity == wanted
        case IdentityPrefix(prefix=prefix):
            return identity is not None and identity.startswith(prefix)
        case HasToken() | HasClaim() | IsText() | IsList() | NamesAudience():
            return False  # of tokens, which are found claim by claim
        case _:
            return condition_check(test)(facts)


# ---- claims ---------------------------------------------------------------------------------------------------------


def _claim_classes(claim: ClaimVariables, value: object) -> Iterator[tuple[int, int | None]]:
    for test, part in claim.parts.items():
        yield part.level, int(_claim_passes(test, value))
    yield claim.kind.level, _kind(claim, value)


def _kind(claim: ClaimVariables, value: object) -> int | None:
    if value is None:
        return 0
    if isinstance(value, str):
        return _the_class(claim.kind, (_claim_passes(test, value) for test in claim.asked))
    if claim.listed is not None and isinstance(value, list) and any(isinstance(one, str) for one in value):
        return claim.listed
    return claim.useless or 0


def _claim_passes(test: Test, value: object) -> bool:
    match test:
        case HasClaim():
            return value is not None
        case IsText():
            return isinstance(value, str)
        case IsList():
            return isinstance(value, list)
        case NamesAudience(audience=audience):
            return audience in value if isinstance(value, list) else audience == value
        case ClaimIs(test=wanted):
            return claim_check(wanted)(value)
        case _:
            return False
