"""Compare a mesh with what a target can express: `ir.Mesh` × support table -> diagnostics.

Runs before emission, so that nothing is ever dropped in silence: what the target cannot say is an error at the place
that asks for it, what it says with a difference is a warning. With `omit` (the project's `unsupported: warn`) a feature
that the table marks as safe to leave out is a warning too; access rules are never marked so.
"""

from collections.abc import Mapping
from typing import Final

from meshc import ir
from meshc.diagnostics import Diagnostic, Severity, diagnose
from meshc.features import Feature
from meshc.passes.used_features import used_features
from meshc.source import Span
from meshc.target import Exactness, Support


def check_support(
    mesh: ir.Mesh, target: str, table: Mapping[Feature, Support], *, omit: bool = False
) -> tuple[Diagnostic, ...]:
    """What the target called `target` cannot express of the mesh, or only with a difference, in the order of the mesh."""
    findings = (_finding(feature, span, target, table[feature], omit=omit) for feature, span in used_features(mesh))
    return tuple(finding for finding in findings if finding is not None)


def has_errors(diagnostics: tuple[Diagnostic, ...]) -> bool:
    """Whether one of them forbids emission."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)


_DIFFERENCE: Final = {
    Exactness.APPROXIMATE: "is expressed on {target} with a difference",
    Exactness.STRICTER: "refuses more on {target}",
}


def _finding(feature: Feature, span: Span, target: str, support: Support, *, omit: bool) -> Diagnostic | None:
    match support.exactness:
        case Exactness.EXACT:
            return None
        case Exactness.STRICTER if support.is_quiet:
            return None
        case Exactness.IMPOSSIBLE if omit and support.may_omit:
            message = f"`{feature.value}` is left out on {target}: {support.note}"
            return diagnose("target-differs", span, message, advice=support.instead)
        case Exactness.IMPOSSIBLE:
            message = f"{target} cannot express `{feature.value}`: {support.note}"
            return diagnose("unsupported-by-target", span, message, advice=support.instead)
        case Exactness.APPROXIMATE | Exactness.STRICTER:
            difference = _DIFFERENCE[support.exactness].format(target=target)
            return diagnose(
                "target-differs", span, f"`{feature.value}` {difference}: {support.note}", advice=support.instead
            )
