"""Terms: a condition -> alternatives, each a conjunction of tests and of tests that must fail.

Istio's rules are an OR of ANDs, so this is as far as a condition is spelled out; beyond a bound it is an error and never a
policy of megabytes.
"""

from dataclasses import dataclass
from typing import Final

from meshc import ir

MAX_TERMS: Final = 64
"""Alternatives of one rule, its operations counted."""


class InexpressibleError(Exception):
    """What Istio cannot say; `instead` is what to write in its place."""

    def __init__(self, reason: str, instead: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.instead = instead


@dataclass(frozen=True, slots=True)
class Literal:
    """A test that holds, or, if `is_negated`, fails."""

    atom: ir.Atom
    is_negated: bool = False


Term = tuple[Literal, ...]


def terms_of(condition: ir.Condition) -> tuple[Term, ...]:
    """The alternatives; none where the condition never holds. Raises InexpressibleError beyond the bound."""
    return tuple(dict.fromkeys(_terms(condition, is_negated=False)))


def _terms(condition: ir.Condition, *, is_negated: bool) -> list[Term]:
    match condition:
        case ir.Not(inner):
            return _terms(inner, is_negated=not is_negated)
        case ir.AllOf(parts) | ir.AnyOf(parts):
            is_any = isinstance(condition, ir.AnyOf) is not is_negated
            found = [_terms(part, is_negated=is_negated) for part in parts]
            return _bounded([term for terms in found for term in terms]) if is_any else _product(found)
        case _:
            return [(Literal(condition, is_negated),)]


def _product(factors: list[list[Term]]) -> list[Term]:
    found: list[Term] = [()]
    for terms in factors:
        found = _bounded([(*term, *more) for term in found for more in terms])
    return found


def _bounded(terms: list[Term]) -> list[Term]:
    if len(terms) > MAX_TERMS:
        reason = f"it comes to more than {MAX_TERMS} alternatives, which Istio would have to list one by one"
        raise InexpressibleError(reason, "split the rule into several with simpler conditions")
    return terms
