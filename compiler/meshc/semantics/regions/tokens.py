"""Tokens: the claims that the rules and the providers of some ports look at, and which of their classes occur together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from meshc.ir import Equals
from meshc.request import Claim
from meshc.semantics.regions.claims import AUDIENCE, ISSUER, ClaimVariables, claim_variables
from meshc.semantics.regions.forest import Forest, Node
from meshc.semantics.regions.literals import Literals
from meshc.semantics.regions.variables import YES, HasToken, Variable, yes_or_no


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVariables:
    """Whether there is a token, and its claims by their paths."""

    given: Variable
    claims: Mapping[tuple[str, ...], ClaimVariables]

    @property
    def variables(self) -> tuple[Variable, ...]:
        return self.given, *chain.from_iterable(one.variables for one in self.claims.values())

    def feasible(self, forest: Forest) -> Iterable[Node]:
        """Conditions that hold together for what occurs: without a token every claim is missing, and objects have no text."""
        given = forest.literal(self.given.level, YES)
        for claim in self.claims.values():
            missing = forest.literal(claim.kind.level, claim.missing)
            yield forest.any_of((given, missing))
            yield claim.feasible(forest)
            for size in range(1, len(claim.path)):
                outer = self.claims.get(claim.path[:size])
                if outer is not None:
                    yield forest.any_of((missing, forest.literal(outer.kind.level, outer.nests)))

    def value(self, assignment: Sequence[int]) -> Mapping[str, Claim] | None:
        """The claims of a token for an assignment; None for no token."""
        if not assignment[self.given.level]:
            return None
        root: dict[str, Claim] = {}
        # Claims inside others first: where an object holds some, no value of its own is needed.
        for path, claim in sorted(self.claims.items(), key=lambda item: -len(item[0])):
            value = claim.value(assignment)
            if value is not None:
                _put(root, path, value)
        return root


def _put(root: dict[str, Claim], path: tuple[str, ...], value: Claim) -> None:
    at = root
    for name in path[:-1]:
        inner = at.setdefault(name, {})
        assert isinstance(inner, dict)  # `feasible` leaves no text where an object must be
        at = inner
    at.setdefault(path[-1], value)


def token_variables(level: int, literals: Literals) -> TokenVariables:
    """The variables of tokens, from `level` on. Raises TooComplexError."""
    given = yes_or_no(level, "token", HasToken())
    issuers = [Equals(issuer) for issuer in literals.issuers]
    tests = {ISSUER: dict.fromkeys(issuers), AUDIENCE: {}} | {
        path: dict(some) for path, some in literals.claims.items()
    }
    tests[ISSUER] |= dict.fromkeys(issuers)
    claims: dict[tuple[str, ...], ClaimVariables] = {}
    at = level + 1
    for path, some in tests.items():
        audiences = tuple(literals.audiences) if path == AUDIENCE else ()
        claims[path] = claim_variables(at, path, tuple(some), audiences)
        at += len(claims[path].variables)
    return TokenVariables(given=given, claims=claims)
