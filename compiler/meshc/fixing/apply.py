"""Apply fixes to texts."""

from collections.abc import Iterable, Mapping

from meshc.diagnostics import Fix, TextEdit
from meshc.source import SourceFile


def apart(fixes: Iterable[Fix]) -> tuple[Fix, ...]:
    """Fixes that can be applied together: of two that overlap, the first."""
    kept: list[Fix] = []
    for fix in fixes:
        if not any(_overlap(one, other) for one in fix.edits for each in kept for other in each.edits):
            kept.append(fix)
    return tuple(kept)


def fixed_texts(fixes: Iterable[Fix], sources: Mapping[str, SourceFile]) -> dict[str, str]:
    """The texts that change, by path; no two of the fixes overlap."""
    edits: dict[str, list[TextEdit]] = {}
    for one in (edit for fix in fixes for edit in fix.edits):
        edits.setdefault(one.span.path, []).append(one)
    return {path: _edited(sources[path].text, some) for path, some in edits.items()}


def _overlap(one: TextEdit, other: TextEdit) -> bool:
    same = one.span.path == other.span.path
    return same and one.span.start < other.span.end and other.span.start < one.span.end


def _edited(text: str, edits: Iterable[TextEdit]) -> str:
    for one in sorted(edits, key=lambda edit: edit.span.start, reverse=True):
        text = text[: one.span.start] + one.text + text[one.span.end :]
    return text
