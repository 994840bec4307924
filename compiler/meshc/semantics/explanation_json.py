"""Explanations as plain data, for scripts."""

from collections.abc import Mapping

from meshc.decisions_json import decision_to_json
from meshc.semantics.explain import (
    DestinationFinding,
    Explanation,
    MirrorFinding,
    RouteFinding,
    RuleFinding,
    StageFinding,
)
from meshc.semantics.misses import Miss, show_address
from meshc.semantics.show import show_destination
from meshc.target import Json


def explanation_to_json(explanation: Explanation) -> Mapping[str, Json]:
    """An explanation; `judged` is the request as the caller's proxy sees it, or null."""
    facts = explanation.facts
    judged: Json = None
    if facts is not None:
        judged = {"method": facts.method, "path": facts.path, "host": facts.host, "source_ip": show_address(facts.peer)}
    return {
        "decision": decision_to_json(explanation.decision),
        "reason": explanation.decision.reason,
        "caller": explanation.caller,
        "judged": judged,
        "routes": [_route(one) for one in explanation.routes],
        "destinations": [_destination(one) for one in explanation.destinations],
        "mirrors": [_mirror(one) for one in explanation.mirrors],
    }


def _route(finding: RouteFinding) -> Json:
    return {
        "route": str(finding.route.span),
        "text": finding.text,
        "taken": not finding.misses,
        "misses": [_miss(one) for one in finding.misses],
    }


def _destination(finding: DestinationFinding) -> Json:
    return {
        "to": f"{finding.namespace}.{finding.service}:{finding.port}",
        "access": "allow" if finding.decision.allowed else "deny",
        "status": finding.decision.status,
        "reason": finding.decision.reason,
        "stages": [_stage(one) for one in finding.stages],
        "nearest": [_rule(one) for one in finding.nearest],
    }


def _stage(finding: StageFinding) -> Json:
    return {
        "effect": finding.effect.value,
        "shadow": finding.shadow,
        "asked": finding.asked,
        "decided": finding.decided,
        "place": str(finding.span),
        "rules": [_rule(one) for one in finding.rules],
    }


def _rule(finding: RuleFinding) -> Json:
    return {
        "rule": str(finding.rule.span),
        "text": finding.text,
        "because": finding.rule.because,
        "matched": finding.matched,
        "decided": finding.decided,
        "misses": [_miss(one) for one in finding.misses],
    }


def _mirror(finding: MirrorFinding) -> Json:
    return {
        "to": show_destination(finding.mirror.destination),
        "percent": finding.mirror.percent,
        "allowed": finding.decision.allowed,
    }


def _miss(miss: Miss) -> Json:
    return {"clause": miss.clause, "wanted": miss.wanted, "actual": miss.actual}
