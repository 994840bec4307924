"""Proposals: a finding about something that does nothing -> the edit that takes it away.

Nothing else is proposed: whether a program was meant otherwise is its author's to say. What a comment speaks of is left alone, since
the comment would be left behind, and so is a rule with a reason, which would be lost.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from meshc import ast
from meshc.diagnostics import Diagnostic, Fix, TextEdit
from meshc.resolve import Module
from meshc.source import SourceFile, Span

_RULE: Final = "remove this rule"
_TITLES: Final[Mapping[str, str]] = {
    "covered-rule": _RULE,
    "denied-allow": _RULE,
    "dead-route": "remove this route",
    "unused-declaration": "remove this declaration",
    "unused-suppression": "remove this comment",
}

FIXABLE: Final = frozenset(_TITLES)
"""The names of the findings that a removal may mend."""


def propose(
    found: Diagnostic, modules: Mapping[str, Module], sources: Mapping[str, SourceFile], comments: Iterable[Span]
) -> Fix | None:
    """The removal that mends a finding, not yet proven; None where there is none.

    `comments` are those of the finding's file.
    """
    title, source = _TITLES.get(found.name), sources.get(found.span.path)
    module = modules.get(found.span.path)
    if title is None or source is None or module is None or not module.is_program:
        return None
    if found.name == "unused-suppression":
        # A comment that names several findings may silence the others.
        meant = None if "," in source.text[found.span.start : found.span.end] else found.span
    else:
        meant = _node(found, module.file)
        meant = None if meant is None or _is_commented(meant, source, comments) else meant
    if meant is None:
        return None
    start, end = _cut(source.text, meant.start, meant.end)
    return Fix(title=title, edits=(TextEdit(span=source.span(start, end)),))


def _node(found: Diagnostic, file: ast.File) -> Span | None:
    """The whole of what a finding is about."""
    for declaration in file.declarations:
        match declaration:
            case ast.Let() | ast.Group() | ast.Profile() if declaration.name.span == found.span:
                return declaration.span
            case ast.Access(rules=rules):
                if any(rule.span == found.span and not _has_reason(rule) for rule in rules):
                    return found.span
            case ast.Traffic(routes=routes):
                if any(route.span == found.span for route in routes):
                    return found.span
            case _:
                pass
    return None


def _has_reason(rule: ast.Rule) -> bool:
    return any(isinstance(note, ast.Because) for note in rule.notes)


def _is_commented(node: Span, source: SourceFile, comments: Iterable[Span]) -> bool:
    """Whether a comment stands within, on one of its lines, or on the line before."""
    last = source.position(node.end)[0]
    return any(node.line - 1 <= comment.line <= last for comment in comments)


def _cut(text: str, start: int, end: int) -> tuple[int, int]:
    """The range to take away: whole lines where nothing else is on them, else with the blanks before it."""
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end + 1
    if not text[line_start:start].strip() and not text[end:line_end].strip():
        return line_start, line_end
    while start > line_start and text[start - 1] in " \t":
        start -= 1
    if start == line_start:
        while end < line_end and text[end] in " \t":
            end += 1
    return start, end
