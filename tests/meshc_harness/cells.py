"""Where a request is in a space of regions: found by asking each test of each variable, as `decide` understands it."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from meshc import ir
from meshc.request import Claim, Request
from meshc.semantics.addresses import client_address
from meshc.semantics.conditions import condition_check
from meshc.semantics.decide import Evaluator
from meshc.semantics.facts import Facts
from meshc.semantics.identities import trust_domain_of
from meshc.semantics.normalize import Malformed
from meshc.semantics.regions.claims import ClaimVariables
from meshc.semantics.regions.ports import PortSide
from meshc.semantics.regions.space import Space
from meshc.semantics.regions.variables import (
    HasClaim,
    HasIdentity,
    InTrustDomain,
    IsList,
    IsText,
    NamesAudience,
    Test,
    Variable,
)
from meshc.semantics.texts import claim_check


def direct(mesh: ir.Mesh) -> ir.Mesh:
    """A mesh whose callers send every request straight to the port that it asks for."""

    def port(one: ir.PortPolicy) -> ir.PortPolicy:
        return replace(one, routes=(), settings=ir.Settings())

    return replace(
        mesh,
        workloads=tuple(replace(one, ports=tuple(map(port, one.ports))) for one in mesh.workloads),
        externals=tuple(replace(one, ports=tuple(map(port, one.ports))) for one in mesh.externals),
    )


def locate(space: Space, side: PortSide, request: Request) -> tuple[int, ...] | None:
    """The classes of a request to a port; None for one that the space leaves out.

    Raises AssertionError where a variable has no class for it.
    """
    evaluator = _evaluator(side)
    port = evaluator.port(side.key)
    assert port is not None
    facts = evaluator.observe(port, request)
    if isinstance(facts, Malformed) or facts.peer is None:
        return None
    if request.identity is not None and not request.identity.startswith("spiffe://"):
        return None
    aspects = space.aspects
    classes = {
        variable.level: class_of(variable, facts)
        for variable in (
            aspects.caller, aspects.method, aspects.path, aspects.host, aspects.server_name, aspects.peer,
            *aspects.queries.values(), *(one for header in aspects.headers.values() for one in header.variables),
        )
        if variable is not None
    }  # fmt: skip
    for hops, variable in aspects.clients.items():
        client = client_address(facts.peer, facts.headers.get("x-forwarded-for", ()), hops)
        classes[variable.level] = class_of(variable, replace(facts, client=client))
    if aspects.token is not None:
        classes[aspects.token.given.level] = int(request.claims is not None)
        for claim in aspects.token.claims.values():
            classes.update(claim_classes(claim, Facts(identity=None, peer=None, client=None, claims=request.claims)))
    return tuple(classes[level] for level in range(len(aspects.ordered)))


@lru_cache(maxsize=64)
def _evaluator(side: PortSide) -> Evaluator:
    return Evaluator(side.mesh)


def class_of(variable: Variable, facts: Facts) -> int:
    """The one class of a request."""
    return the_class(variable, [passes(test, facts) for test in variable.tests])


def the_class(variable: Variable, passed: list[bool]) -> int:
    found = [number for number in range(variable.size) if vector(variable, number) == passed]
    assert len(found) == 1, (variable.subject, variable.tests, passed, found)
    return found[0]


def vector(variable: Variable, number: int) -> list[bool]:
    return [bool(bits >> number & 1) for bits in variable.holds]


def passes(test: Test, facts: Facts) -> bool:
    """Whether a test holds, written down once more."""
    identity = facts.identity
    match test:
        case HasIdentity():
            return identity is not None
        case InTrustDomain(domain=domain):
            return identity is not None and trust_domain_of(identity) == domain
        case ir.ExactIdentity(identity=wanted):
            return identity == wanted
        case ir.IdentityPrefix(prefix=prefix):
            return identity is not None and identity.startswith(prefix)
        case _:
            return condition_check(test)(facts)


def claim_classes(claim: ClaimVariables, facts: Facts) -> Iterator[tuple[int, int]]:
    """The class of each variable of a claim, by what the token says there."""
    value = facts.claim(claim.path)
    listed = [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
    for test, part in claim.parts.items():
        yield part.level, int(claim_passes(test, value))
    if value is None:
        number = 0
    elif isinstance(value, str):
        number = string_class(claim, value)
    elif listed and claim.listed is not None:
        number = claim.listed
    else:
        number = claim.useless or 0
    yield claim.kind.level, number


def string_class(claim: ClaimVariables, value: str) -> int:
    """The class of just such strings; where there is none, that of lists stands for it."""
    number = the_class(claim.kind, [claim_passes(test, value) for test in claim.asked])
    parts = sum(1 << place for place, test in enumerate(claim.parts) if claim_passes(test, value))
    assert number == claim.listed or (number, parts) in claim.texts, (claim, value)
    return number


def claim_passes(test: Test, value: Claim) -> bool:
    match test:
        case HasClaim():
            return value is not None
        case IsText():
            return isinstance(value, str)
        case IsList():
            return isinstance(value, list)
        case NamesAudience(audience=audience):
            return audience in value if isinstance(value, list) else audience == value
        case _:
            return claim_check(test.test)(value)
