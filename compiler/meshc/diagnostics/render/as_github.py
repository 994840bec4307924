"""Diagnostics as GitHub workflow commands, which GitHub shows as annotations of a pull request.

Source: GitHub Docs, "Workflow commands for GitHub Actions"; escaping as in `actions/toolkit`, `command.ts`.
"""

from collections.abc import Mapping, Sequence

from meshc.diagnostics.model import Diagnostic
from meshc.diagnostics.render.cells import visible
from meshc.diagnostics.render.position import Position, position_of
from meshc.source import BUILTIN, SourceFile


def render_github(diagnostics: Sequence[Diagnostic], sources: Mapping[str, SourceFile]) -> str:
    """One command a line, in the order given; evidence and help follow the message on lines of their own."""
    return "".join(f"{_command(item, sources)}\n" for item in diagnostics)


def _command(diagnostic: Diagnostic, sources: Mapping[str, SourceFile]) -> str:
    place = position_of(diagnostic.span, sources)
    properties = {**_properties(place), "title": diagnostic.name}
    written = ",".join(f"{key}={_escape_property(value)}" for key, value in properties.items())
    lines = [diagnostic.message if not diagnostic.label else f"{diagnostic.message} ({diagnostic.label})"]
    lines += [
        f"{label.span}: {label.text}" if label.span.path != BUILTIN.path else label.text for label in diagnostic.labels
    ]
    lines += [f"help: {line}" for item in diagnostic.help for line in item.split("\n")]
    return f"::{diagnostic.severity.value} {written}::{'%0A'.join(map(_escape, lines))}"


def _properties(place: Position) -> dict[str, str]:
    """GitHub takes columns only where an annotation begins and ends on one line."""
    if place.file is None:
        return {}
    numbers = {"line": place.line, "endLine": place.end_line}
    if place.end_line is None or place.end_line == place.line:
        numbers = {"line": place.line, "col": place.column, "endLine": place.end_line, "endColumn": place.end_column}
    return {"file": place.file, **{key: str(number) for key, number in numbers.items() if number is not None}}


def _escape(text: str) -> str:
    """A message; a line break within it is made visible, as everywhere, so that no text can begin a command of its own."""
    return visible(text).replace("%", "%25")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
