"""Predicates: principals and conditions, as a port sees them -> sets of requests."""

from collections.abc import Iterable, Mapping
from typing import assert_never

from meshc.errors import InternalError
from meshc.ir import (
    AddressIn,
    AddressOf,
    AllOf,
    AnyIdentity,
    AnyOf,
    AnyPeer,
    Atom,
    ClaimIs,
    Condition,
    Equals,
    ExactIdentity,
    HeaderIs,
    HostIs,
    IdentityPrefix,
    MethodIs,
    Not,
    PathIs,
    Principal,
    Principals,
    QueryIs,
    SniIs,
)
from meshc.request import Claim
from meshc.semantics.regions.aspects import Aspects
from meshc.semantics.regions.claims import AUDIENCE, ISSUER, ClaimVariables
from meshc.semantics.regions.forest import Bits, Forest, Node
from meshc.semantics.regions.literals import can_hold, hops_of
from meshc.semantics.regions.ports import View
from meshc.semantics.regions.variables import YES, ClaimTest, HasIdentity, NamesAudience, Test, Variable
from meshc.semantics.texts import claim_check
from meshc.semantics.tokens import TokenRefused, accept_token


class Predicates:
    """What the rules and providers of ports with one view look at, over the variables of a space.

    Each list of principals and each condition is compiled once.
    """

    def __init__(self, view: View, aspects: Aspects, forest: Forest) -> None:
        self._view = view
        self._aspects = aspects
        self._forest = forest
        self._principals: dict[Principals, Node] = {}
        self._conditions: dict[Condition, Node] = {}
        self._defaults = _default_claims(view)

    # ---- who --------------------------------------------------------------------------------------------------------

    def callers(self, principals: Principals) -> Node:
        """The requests of callers who are meant, whether the port gets to know who they are or not."""
        included = self._callers(principals.include) & ~self._callers(principals.exclude)
        caller = self._aspects.caller
        if caller is None:
            return self._forest.true if included else self._forest.false
        return self._forest.literal(caller.level, included)

    def meant(self, principals: Principals) -> Node:
        """The requests of callers whom the port's rules take as meant."""
        if not self._view.hides_identities:
            node = self._principals.get(principals)
            if node is None:
                node = self._principals[principals] = self.callers(principals)
            return node
        included = any(isinstance(one, AnyPeer) for one in principals.include)
        excluded = any(isinstance(one, AnyPeer) for one in principals.exclude)
        return self._forest.true if included and not excluded else self._forest.false

    def having(self, test: Test) -> Node:
        """The requests whose caller passes a test."""
        return self._literal(self._aspects.caller, (test,))

    def _callers(self, principals: Iterable[Principal]) -> Bits:
        """The classes of callers that are one of these; where callers are not told apart, 1 for all and 0 for none."""
        caller = self._aspects.caller
        found = 0
        for one in principals:
            match one:
                case AnyPeer():
                    found |= 1 if caller is None else caller.full
                case AnyIdentity() if caller is not None:
                    found |= caller.bits(HasIdentity())
                case ExactIdentity() | IdentityPrefix() if caller is not None:
                    found |= caller.bits(one)
                case AnyIdentity() | ExactIdentity() | IdentityPrefix():
                    raise InternalError("callers are told apart by a test that was not collected")
                case _:
                    assert_never(one)
        return found

    # ---- what -------------------------------------------------------------------------------------------------------

    def condition(self, condition: Condition) -> Node:
        """The requests for which a condition holds."""
        node = self._conditions.get(condition)
        if node is None:
            node = self._conditions[condition] = self._condition(condition)
        return node

    def _condition(self, condition: Condition) -> Node:
        match condition:
            case AllOf(conditions=parts):
                return self._forest.all_of([self._condition(part) for part in parts])
            case AnyOf(conditions=parts):
                return self._forest.any_of([self._condition(part) for part in parts])
            case Not(condition=inner):
                return self._forest.negate(self._condition(inner))
            case _:
                return self._atom(condition) if can_hold(self._view, condition) else self._forest.false

    def _atom(self, atom: Atom) -> Node:
        aspects = self._aspects
        match atom:
            case MethodIs(methods=methods):
                return self._literal(aspects.method, (MethodIs((method,)) for method in methods))
            case PathIs():
                return self._literal(aspects.path, (atom,))
            case HostIs():
                return self._literal(aspects.host, (atom,))
            case SniIs():
                return self._literal(aspects.server_name, (atom,))
            case QueryIs(name=name):
                return self._literal(aspects.queries[name], (atom,))
            case HeaderIs(name=name):
                return self._literal(aspects.headers[name].tests.get(atom), (atom,))
            case AddressIn():
                return self._address(atom)
            case ClaimIs():
                return self._claim(atom)
            case _:
                assert_never(atom)

    def _address(self, atom: AddressIn) -> Node:
        hops = hops_of(self._view, atom.address)
        if hops:
            return self._literal(self._aspects.clients[hops], (AddressIn(atom.address, (one,)) for one in atom.blocks))
        return self._literal(self._aspects.peer, (AddressIn(AddressOf.PEER, (one,)) for one in atom.blocks))

    def _literal(self, variable: Variable | None, tests: Iterable[Test]) -> Node:
        if variable is None:
            raise InternalError("a condition looks at what was not collected")
        bits = 0
        for test in tests:
            bits |= variable.bits(test)
        return self._forest.literal(variable.level, bits)

    # ---- tokens -----------------------------------------------------------------------------------------------------

    def _claim(self, atom: ClaimIs) -> Node:
        claim = self._claim_variables(atom.path)
        node = self._of_claim(claim, atom)
        default = self._defaults.get(atom.path)
        if default is None or not claim_check(atom.test)(default):
            return node
        return self._forest.any_of((node, self._left_out(claim)))

    def _of_claim(self, claim: ClaimVariables, test: ClaimTest) -> Node:
        return self._literal(claim.parts.get(test, claim.kind), (test,))

    def accepted(self) -> Node:
        """The requests that pass as far as tokens go: with one that some provider vouches for, or without where none is needed."""
        providers, token = self._view.providers, self._aspects.token
        if not providers:
            return self._forest.true
        if token is None:
            raise InternalError("tokens were not collected")
        forest = self._forest
        trusted = forest.any_of(
            forest.all_of((self._issued_by(provider.issuer), self._is_for(provider.audiences)))
            for provider in providers
        )
        given = forest.literal(token.given.level, YES)
        if any(provider.required for provider in providers):
            return forest.all_of((given, trusted))
        return forest.any_of((forest.negate(given), trusted))

    def _issued_by(self, issuer: str) -> Node:
        claim = self._claim_variables(ISSUER)
        named = self._literal(claim.kind, (ClaimIs(ISSUER, Equals(issuer)),))
        return self._forest.any_of((named, self._left_out(claim))) if self._defaults[ISSUER] == issuer else named

    def _is_for(self, audiences: tuple[str, ...]) -> Node:
        if not audiences:
            return self._forest.true
        claim = self._claim_variables(AUDIENCE)
        named = [self._of_claim(claim, NamesAudience(one)) for one in audiences]
        default = self._defaults.get(AUDIENCE)
        filled_in = set(default if isinstance(default, list) else [default])
        if not filled_in.isdisjoint(audiences):
            named.append(self._left_out(claim))
        return self._forest.any_of(named)

    def _left_out(self, claim: ClaimVariables) -> Node:
        """The requests with a token that lacks a claim."""
        token = self._aspects.token
        if token is None:
            raise InternalError("tokens were not collected")
        given = self._forest.literal(token.given.level, YES)
        return self._forest.all_of((given, self._forest.literal(claim.kind.level, claim.missing)))

    def _claim_variables(self, path: tuple[str, ...]) -> ClaimVariables:
        if self._aspects.token is None:
            raise InternalError("tokens were not collected")
        return self._aspects.token.claims[path]


def _default_claims(view: View) -> Mapping[tuple[str, ...], Claim]:
    """What a port's providers fill in where a token lacks it."""
    claims = accept_token(view.providers, {})
    if isinstance(claims, TokenRefused):
        raise InternalError(f"a token of a port's own provider is refused: {claims.reason}")
    return {(name,): value for name, value in claims.items()}
