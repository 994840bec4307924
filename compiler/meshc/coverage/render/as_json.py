"""Coverage as plain data, complete. Schema: `schemas/test-report.schema.json`."""

from collections.abc import Iterable

from meshc.coverage.model import Coverage, Entry, Kind, count, percent
from meshc.coverage.suggest import Suggested, Suggestions
from meshc.coverage.wording import describe
from meshc.decisions_json import request_to_json
from meshc.target import Json


def coverage_to_json(coverage: Coverage) -> Json:
    """All of it."""
    subjects = coverage.by_subject()
    return {
        **_counts(coverage.entries),
        "services": [{"name": name, **_counts(entries)} for name, entries in subjects.items()],
        "missing": [_entry(one) for one in coverage.missing],
        "dead": [_entry(one) for one in coverage.dead],
        "untestable": [_entry(one) for one in coverage.untestable],
        "undecided": [
            {
                "environment": one.environment,
                "service": f"{one.port[0]}.{one.port[1]}",
                "port": one.port[2],
                "reason": one.reason,
            }
            for one in coverage.undecided
        ],
    }


def _counts(entries: Iterable[Entry]) -> dict[str, Json]:
    found = tuple(entries)
    counts: dict[str, Json] = {}
    for kind in Kind:
        one = count(found, kind)
        counts[f"{kind.value}s"] = {"exercised": one.exercised, "total": one.total}
    return {"percent": round(percent(found), 2), **counts}


def _entry(one: Entry) -> Json:
    item = one.item
    return {
        "kind": item.kind.value,
        "text": item.text,
        "rule": item.rule or None,
        "file": item.span.path,
        "line": item.span.line,
        "services": list(one.services),
        "port": None if item.port is None else item.port[2],
        "points": {edge.value: standing.value for edge, standing in one.points.items()},
        "reasons": {edge.value: reason for edge, reason in one.reasons.items()},
    }


def suggestions_to_json(suggestions: Suggestions) -> Json:
    """The tests, as text and one by one."""
    return {"text": suggestions.text, "tests": [_suggested(one) for one in suggestions.tests]}


def _suggested(one: Suggested) -> Json:
    covers: list[Json] = [
        {"kind": point.item.kind.value, "text": describe(point.item, (point.edge,)), "place": str(point.item.span)}
        for point in one.points
    ]
    request = request_to_json(one.test.request, one.test.mesh)
    return {"environment": one.test.environment, "request": request, "covers": covers}
