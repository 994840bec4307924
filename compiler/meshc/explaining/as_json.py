"""Explanations as plain data, for scripts."""

from collections.abc import Mapping

from meshc.decisions_json import decision_to_json, request_to_json
from meshc.explaining.model import EditedLines, ProgramChange, Remedies, RequestChange
from meshc.explaining.origins import NO_ORIGINS, Origins
from meshc.ir import Mesh
from meshc.semantics.applied import Applied, CountingLimit
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


def explanation_to_json(
    explanation: Explanation, remedies: Remedies, mesh: Mesh, origins: Origins = NO_ORIGINS
) -> Mapping[str, Json]:
    """An explanation; `judged` is the request as the caller's proxy sees it, or null.

    `origins` are the places of a program that those of compiled files are from, each by the place that it stands beside.
    """
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
        "settings": [_setting(one) for one in explanation.settings],
        "destinations": [_destination(one) for one in explanation.destinations],
        "mirrors": [_mirror(one) for one in explanation.mirrors],
        "remedies": {
            "requests": [_request_change(one, mesh) for one in remedies.requests],
            "programs": [_program_change(one) for one in remedies.programs],
            "notes": list(remedies.notes),
        },
        **(
            {"origins": {str(place): [str(one) for one in spans] for place, spans in origins.items()}}
            if origins
            else {}
        ),
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
        "settings": [_setting(one) for one in finding.settings],
        "limits": [_limit(one) for one in finding.limits],
    }


def _setting(one: Applied) -> Json:
    return {"name": one.name, "value": one.value, "place": None if one.span is None else str(one.span)}


def _limit(one: CountingLimit) -> Json:
    return {"text": one.text, "bucket": one.bucket or None, "place": str(one.limit.span)}


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


# ---- remedies -------------------------------------------------------------------------------------------------------


def _request_change(change: RequestChange, mesh: Mesh) -> Json:
    return {
        "changes": list(change.changes),
        "request": request_to_json(change.request, mesh),
        "text": change.text,
    }


def _program_change(change: ProgramChange) -> Json:
    return {
        "edits": [_edit(one) for one in change.edits],
        "opens": list(change.opens),
        "breaks": list(change.breaks),
        "warnings": list(change.warnings),
    }


def _edit(edit: EditedLines) -> Json:
    return {"what": edit.what, "place": str(edit.place), "old": list(edit.old), "new": list(edit.new)}
