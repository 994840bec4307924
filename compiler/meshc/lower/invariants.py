"""Invariants: their names and literals are checked here; nothing proves them yet, and the program is told so."""

from meshc import ast
from meshc.lower import values
from meshc.lower.conditions import lower_condition, lower_operations
from meshc.lower.context import Context
from meshc.lower.scopes import lower_scope
from meshc.lower.sources import lower_sources
from meshc.lower.world import World


def check_invariant(context: Context, world: World, node: ast.Invariant) -> None:
    """Report what is wrong with an invariant, and that it is not proven."""
    for claim in node.claims:
        match claim:
            case ast.Reach():
                lower_scope(context, world, claim.target)
                lower_sources(context, world, claim.sources)
                values.blocks(context, claim.addresses, "an address after `from`")
                lower_operations(context, claim.operations)
                lower_condition(context, claim.condition)
            case ast.Encrypted():
                lower_scope(context, world, claim.target)
    context.report.add(
        "invariant-not-proven",
        node.title.span,
        f"`{node.title.value}` is not proven: this version of meshc checks the names in it alone",
        advice="write `test` blocks for the requests that matter",
    )
