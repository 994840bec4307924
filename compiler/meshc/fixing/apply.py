"""Apply fixes to texts."""

from collections.abc import Iterable, Mapping

from meshc.diagnostics import Fix, TextEdit
from meshc.source import SourceFile


def fixed_texts(fixes: Iterable[Fix], sources: Mapping[str, SourceFile]) -> dict[str, str]:
    """The texts that change, by path. Of two fixes that overlap, the first is applied."""
    kept, _ = apply_fixes(fixes, sources)
    return kept


def apply_fixes(fixes: Iterable[Fix], sources: Mapping[str, SourceFile]) -> tuple[dict[str, str], tuple[Fix, ...]]:
    """The texts that change, by path, and the fixes that were applied: those that overlap none before them."""
    edits: dict[str, list[TextEdit]] = {}
    applied: list[Fix] = []
    for fix in fixes:
        if not any(_overlap(one, other) for one in fix.edits for other in edits.get(one.span.path, ())):
            applied.append(fix)
            for one in fix.edits:
                edits.setdefault(one.span.path, []).append(one)
    return {path: _edited(sources[path].text, some) for path, some in edits.items()}, tuple(applied)


def _overlap(one: TextEdit, other: TextEdit) -> bool:
    return one.span.start < other.span.end and other.span.start < one.span.end


def _edited(text: str, edits: Iterable[TextEdit]) -> str:
    for one in sorted(edits, key=lambda edit: edit.span.start, reverse=True):
        text = text[: one.span.start] + one.text + text[one.span.end :]
    return text
