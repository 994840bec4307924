"""Differences as JSON, complete. Schema: `schemas/difference.schema.json`."""

import json
from typing import Final

from meshc.decisions_json import decision_to_json, request_to_json
from meshc.difference.model import (
    Answer,
    Blame,
    Difference,
    Place,
    Region,
    Scope,
    SettingChange,
    Subject,
    SubjectDifference,
    Undecided,
    Witness,
)
from meshc.difference.render.summary import regions_in_order, verdict
from meshc.ir import Mesh
from meshc.request import Decision
from meshc.source import BUILTIN
from meshc.target import Json

VERSION: Final = 1
"""Of the format; raised when a field changes its meaning or goes away."""

_DECIDED: Final = ("access", "status", "reason", "destinations", "timeout_ms", "retries", "mirror", "fault", "redirect")
_NOBODY: Final = Mesh(name="", trust_domains=("",), cluster_domain="", trusted_hops=0, workloads=(), span=BUILTIN)
"""Nobody's names: callers are given by identity, which both programs read alike."""


def render_json(difference: Difference) -> str:
    """The whole difference, every region and setting included."""
    return json.dumps(difference_to_json(difference), indent=2)


def difference_to_json(difference: Difference) -> Json:
    """The difference as plain data."""
    return {
        "version": VERSION,
        "changed": not difference.is_empty,
        "summary": verdict(difference),
        "changes": sorted(change.value for change in difference.changes),
        "compared_ports": difference.compared,
        "environments": {
            "compared": list(difference.environments),
            "added": list(difference.added_environments),
            "removed": list(difference.removed_environments),
        },
        "subjects": [_subject(one) for one in difference.subjects],
    }


def _subject(difference: SubjectDifference) -> Json:
    return {
        **_name(difference.subject),
        "kind": difference.kind,
        "presence": difference.presence.value,
        "environments": list(difference.environments),
        "changes": sorted(change.value for change in difference.changes),
        "old_place": _place(difference.old_place),
        "new_place": _place(difference.new_place),
        "regions": [_region(one) for one in regions_in_order(difference)],
        "settings": [_setting(one) for one in difference.settings],
        "undecided": [_undecided(one) for one in difference.undecided],
    }


def _name(subject: Subject) -> dict[str, Json]:
    if not subject.service:
        return {"subject": str(subject), "namespace": None, "service": None, "port": None}
    return {
        "subject": str(subject),
        "namespace": subject.namespace,
        "service": subject.service,
        "port": subject.port,
    }


def _region(region: Region) -> Json:
    return {
        "change": region.change.value,
        "scope": _scope(region.scope),
        "old": _answer(region.old),
        "new": _answer(region.new),
        "witness": _witness(region.witness),
    }


def _scope(scope: Scope) -> Json:
    return {
        "text": scope.text,
        "sources": scope.sources,
        "addresses": scope.addresses or None,
        "operations": scope.operations or None,
        "conditions": list(scope.conditions),
    }


def _answer(answer: Answer) -> Json:
    return {"text": answer.text, "decided_by": [_blame(one) for one in answer.blame]}


def _blame(one: Blame) -> Json:
    return {"text": one.text, "because": one.because or None, "place": _place(one.place)}


def _witness(witness: Witness) -> Json:
    request = {**request_to_json(witness.request, _NOBODY)}
    return {
        "caller": witness.caller,
        "request": request,
        "command": witness.command,
        "notes": list(witness.notes),
        "old": _decision(witness.old),
        "new": _decision(witness.new),
    }


def _decision(decision: Decision | None) -> Json:
    if decision is None:
        return None
    found = decision_to_json(decision)
    return {name: found[name] for name in _DECIDED}


def _setting(setting: SettingChange) -> Json:
    return {
        "name": setting.name,
        "old": setting.old,
        "new": setting.new,
        "weakens_mtls": setting.weakens,
        "scope": None if setting.scope is None else _scope(setting.scope),
        "witness": None if setting.witness is None else _witness(setting.witness),
        "old_place": _place(setting.old_place),
        "new_place": _place(setting.new_place),
    }


def _undecided(one: Undecided) -> Json:
    return {"changes": [change.value for change in one.changes], "reason": one.reason}


def _place(place: Place | None) -> Json:
    if place is None:
        return None
    return {"path": place.path, "line": place.line, "column": place.column, "revision": place.revision}
