"""Diagnostics as JSON for programs: `schemas/diagnostics.schema.json`."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from meshc.diagnostics.model import Diagnostic, Fix
from meshc.diagnostics.render.position import position_of
from meshc.source import SourceFile, Span

VERSION: Final = 1
"""Raised when a field changes its meaning or goes away; new fields do not raise it."""

_Flat = dict[str, str | int | None]
_Object = dict[str, str | list[_Flat]]
_Value = str | int | None | list[str] | list[_Flat] | _Object


def render_json(diagnostics: Sequence[Diagnostic], sources: Mapping[str, SourceFile]) -> str:
    """One JSON object in ASCII, ending in a line end; the same diagnostics give the same bytes."""
    document = {"version": VERSION, "diagnostics": [_diagnostic(item, sources) for item in diagnostics]}
    return json.dumps(document, indent=2) + "\n"


def _diagnostic(diagnostic: Diagnostic, sources: Mapping[str, SourceFile]) -> dict[str, _Value]:
    return {
        "name": diagnostic.name,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        **_place(diagnostic.span, sources),
        "label": diagnostic.label,
        "labels": [{**_place(label.span, sources), "text": label.text} for label in diagnostic.labels],
        "help": list(diagnostic.help),
        "fix": None if diagnostic.fix is None else _fix(diagnostic.fix, sources),
    }


def _fix(fix: Fix, sources: Mapping[str, SourceFile]) -> _Object:
    return {
        "title": fix.title,
        "edits": [{**_place(one.span, sources), "text": one.text} for one in fix.edits],
    }


def _place(span: Span, sources: Mapping[str, SourceFile]) -> _Flat:
    place = position_of(span, sources)
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
    }
