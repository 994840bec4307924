"""Access rules of externals, for one class of callers: which conditions refuse a request, and which let it pass.

The callers' own sidecars are all that can ask them, and of those only the routes: a route that leads to an external becomes
refusals, then the passes, then a refusal of all the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from meshc import ir
from meshc.semantics.principals import principals_check
from meshc_istio.obstacles import Obstacle


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """Requests for which one of `refused` holds are refused; of the others, those for which one of `passed` holds pass.

    `passed` is `(ir.ALWAYS,)` where nothing else is asked.
    """

    refused: tuple[ir.Condition, ...]
    passed: tuple[ir.Condition, ...]

    @property
    def refuses_all(self) -> bool:
        """Whether no request passes."""
        return not self.passed or ir.ALWAYS in self.refused

    @property
    def passes_all(self) -> bool:
        """Whether every request passes."""
        return not self.refused and ir.ALWAYS in self.passed


PASS: Verdicts = Verdicts(refused=(), passed=(ir.ALWAYS,))


def verdicts(port: ir.PortPolicy, identity: str) -> Verdicts:
    """What the rules of an external's port say of a caller with this identity."""
    refused: list[ir.Condition] = []
    stages: list[tuple[ir.Condition, ...]] = []
    for stage in port.access:
        if stage.shadow:
            continue
        mine = tuple(rule.condition for rule in stage.rules if principals_check(rule.principals)(identity))
        if stage.effect is ir.Effect.DENY:
            refused += mine
        else:
            stages.append((ir.ALWAYS,) if ir.ALWAYS in mine else mine)
    asked = [stage for stage in stages if ir.ALWAYS not in stage]
    if ir.ALWAYS in refused:
        return Verdicts(refused=(ir.ALWAYS,), passed=())
    if len(asked) <= 1:
        return Verdicts(refused=tuple(refused), passed=asked[0] if asked else (ir.ALWAYS,))
    return Verdicts(refused=tuple(refused), passed=(ir.AllOf(tuple(ir.AnyOf(stage) for stage in asked)),))


def has_rules(port: ir.PortPolicy) -> bool:
    """Whether some caller might be refused at an external's port."""
    return any(not stage.shadow for stage in port.access)


def rule_principals(port: ir.PortPolicy) -> Iterator[ir.Principals]:
    """Whom the rules speak of."""
    return (rule.principals for stage in port.access if not stage.shadow for rule in stage.rules)


# ---- headers in several lines ---------------------------------------------------------------------------------------


def line_obstacle(condition: ir.Condition, *, refuses: bool) -> Obstacle | None:
    """Why a rule must not rely on what a header holds; None if it may.

    Releases before Envoy 1.40 compare the lines of a header as one value, joined by commas. So a second line would evade what
    refuses, and two lines could make up a value that is let through.
    """
    match condition:
        case ir.Not(inner):
            return line_obstacle(inner, refuses=not refuses)
        case ir.AllOf(conditions) | ir.AnyOf(conditions):
            found = (line_obstacle(part, refuses=refuses) for part in conditions)
            return next((one for one in found if one is not None), None)
        case ir.HeaderIs(name, test) if not isinstance(test, ir.IsPresent):
            return _header_obstacle(name, test, refuses=refuses)
        case _:
            return None


def _header_obstacle(name: str, test: ir.TextTest, *, refuses: bool) -> Obstacle | None:
    if refuses:
        return Obstacle(
            reason=f"refuse by what `{name}` holds: releases before Envoy 1.40 compare a header that is sent twice as one value",
            advice="allow the values that are meant instead, with `==`",
        )
    if isinstance(test, ir.Matches) or (not isinstance(test, ir.IsPresent) and "," in test.value):
        return Obstacle(
            reason=f"let through by a pattern or a comma in `{name}`, which two lines could make up before Envoy 1.40",
            advice="list the values, without commas",
        )
    return None
