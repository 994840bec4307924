"""Diagnostics as text for people: the message, the source lines it is about, and what to do.

error[unknown-service]: no service is named `paymens`
 --> policies/shop.mesh:3:8
  |
3 | access paymens { allow frontend }
  |        ^^^^^^^ not found
  |
  = help: did you mean `payments`?
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from meshc.diagnostics.model import Diagnostic, Label, Severity
from meshc.diagnostics.render.cells import visible
from meshc.diagnostics.render.frame import Mark, frame, marks_of
from meshc.diagnostics.render.style import Role, Style
from meshc.source import BUILTIN, SourceFile, Span


def render_text(diagnostics: Sequence[Diagnostic], sources: Mapping[str, SourceFile], style: Style) -> str:
    """The diagnostics in the order given, a blank line between them; empty for none.

    `sources` are by path; a place in a file that is not among them is named without its text.
    """
    return "\n".join("".join(f"{line}\n" for line in _render(d, sources, style)) for d in diagnostics)


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """How many there are of each severity: `2 errors, 1 warning`, or `no errors`."""
    errors = sum(d.severity is Severity.ERROR for d in diagnostics)
    warnings = len(diagnostics) - errors
    parts = [_count(errors, "error")] if errors else []
    if warnings:
        parts.append(_count(warnings, "warning"))
    return ", ".join(parts) or "no errors"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _render(diagnostic: Diagnostic, sources: Mapping[str, SourceFile], style: Style) -> Iterator[str]:
    role = Role.ERROR if diagnostic.severity is Severity.ERROR else Role.WARNING
    yield (
        style.paint(role, f"{diagnostic.severity.value}[{visible(diagnostic.name)}]")
        + style.paint(Role.MESSAGE, f": {visible(diagnostic.message)}")
    )
    by_path = _marks_by_path(diagnostic, role, sources)
    digits = max((len(str(mark.line)) for marks in by_path.values() for mark in marks), default=1)
    gutter = " " * digits
    yield f"{gutter}{style.paint(Role.PLACE, '-->')} {_place(diagnostic.span, sources)}"
    for path, marks in by_path.items():
        if path != diagnostic.span.path:
            first = next(label.span for label in diagnostic.labels if label.span.path == path)
            yield f"{gutter}{style.paint(Role.PLACE, ':::')} {_place(first, sources)}"
        yield from frame(sources[path], marks, digits, style)
    advice = [*_notes(diagnostic, sources), *(("help", line) for line in diagnostic.help)]
    if diagnostic.fix is not None:
        advice.append(("fix", f"{diagnostic.fix.title}: it changes nothing, and `meshc check --fix` does it"))
    if by_path and advice:
        yield f"{gutter} {style.paint(Role.PLACE, '|')}"
    for word, note in advice:
        yield from _advice(word, note, gutter, style)


def _marks_by_path(
    diagnostic: Diagnostic, role: Role, sources: Mapping[str, SourceFile]
) -> dict[str, tuple[Mark, ...]]:
    """What to show of each file, the diagnostic's own file first, the others in the order of their labels."""
    spots = (Label(span=diagnostic.span, text=diagnostic.label), *diagnostic.labels)
    paths = dict.fromkeys(spot.span.path for spot in spots if spot.span.path in sources)
    return {
        path: tuple(
            mark
            for index, spot in enumerate(spots)
            if spot.span.path == path
            for mark in marks_of(spot.span, spot.text, role if index == 0 else Role.PLACE, sources[path])
        )
        for path in paths
    }


def _notes(diagnostic: Diagnostic, sources: Mapping[str, SourceFile]) -> tuple[tuple[str, str], ...]:
    """The labels whose text cannot be shown beside their source."""
    own = ((diagnostic.span, diagnostic.label),) if diagnostic.span.path not in sources and diagnostic.label else ()
    others = ((label.span, f"{_place(label.span, sources)}: {label.text}") for label in diagnostic.labels)
    return tuple(("note", text) for span, text in (*own, *others) if span.path not in sources)


def _place(span: Span, sources: Mapping[str, SourceFile]) -> str:
    if span.path == BUILTIN.path:
        return "built into the language"
    if span.path not in sources and span.end == 0:
        return visible(span.path)
    return f"{visible(span.path)}:{span.line}:{span.column}"


def _advice(word: str, text: str, gutter: str, style: Style) -> Iterator[str]:
    """One item; further lines of it stand under the first."""
    lead = f"{gutter} {style.paint(Role.PLACE, '=')} {style.paint(Role.HELP, word)}: "
    rest = gutter + " " * len(f" = {word}: ")
    for is_first, lines in groupby(enumerate(text.split("\n")), key=lambda pair: pair[0] == 0):
        for _, line in lines:
            yield f"{lead if is_first else rest}{visible(line)}".rstrip()
