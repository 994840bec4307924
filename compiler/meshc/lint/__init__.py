"""Lints: findings about a program that is well formed but perhaps not meant, and errors that need the whole program.

Each lint is a function from the lowered program to diagnostics; `LINTS` is their order.
"""

from collections.abc import Callable, Iterator

from meshc.diagnostics import Diagnostic
from meshc.lint.access import claims_without_jwt, evadable_identity_deny, evadable_path_deny, excluding_allow
from meshc.lint.broad import over_broad_allow
from meshc.lint.cover import covered_rule
from meshc.lint.dead_routes import dead_route
from meshc.lint.health import blind_failover, denied_health_check
from meshc.lint.reach import powerless_source, unreachable_service
from meshc.lint.routes import ambiguous_route
from meshc.lint.secrets import secret_literal
from meshc.lower.program import Lowered

LINTS: tuple[Callable[[Lowered], Iterator[Diagnostic]], ...] = (
    claims_without_jwt,
    ambiguous_route,
    dead_route,
    evadable_identity_deny,
    evadable_path_deny,
    excluding_allow,
    covered_rule,
    over_broad_allow,
    powerless_source,
    unreachable_service,
    blind_failover,
    denied_health_check,
    secret_literal,
)


def lint(lowered: Lowered) -> tuple[Diagnostic, ...]:
    """Run all lints; the same finding is reported once."""
    return tuple(dict.fromkeys(found for check in LINTS for found in check(lowered)))


__all__ = ["LINTS", "lint"]
