"""Programs cut down to what a target can express: what its errors point at is taken out until it has none."""

from collections.abc import Mapping
from dataclasses import dataclass

from meshc.diagnostics import Severity
from meshc.ir import Mesh
from meshc.source import Span
from meshc.target import Emission
from meshc.targets import find_target
from meshc_harness.compare import analyze_text

_ROUNDS = 60
_STATEMENTS = (
    *(
        "allow ",
        "deny ",
        "route ",
        "split ",
        "mirror ",
        "timeout ",
        "retry ",
        "fault ",
        "redirect ",
        "respond ",
        "rewrite ",
    ),
    *("set ", "add ", "remove ", "endpoint ", "per-try ", "backoff ", "budget ", "port ", "service ", "probe "),
)
"""What can be taken out by itself; of anything else, the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expressed:
    """What is left of a program, and what the target made of it. `removed` counts what was taken out."""

    text: str
    mesh: Mesh
    emission: Emission
    removed: int


def expressed(text: str, target: str, options: Mapping[str, str] | None = None) -> Expressed | None:
    """Cut a program down; None if what is in the way cannot be taken out, such as a port."""
    emit = find_target(target).emit
    removed = 0
    for _ in range(_ROUNDS):
        analysis = analyze_text(text)
        wrong = [one.span for one in analysis.diagnostics if one.severity is Severity.ERROR]
        if analysis.mesh is not None:
            emission = emit(analysis.mesh, options or {})
            wrong = [one.span for one in emission.diagnostics if one.severity is Severity.ERROR]
            if not wrong:
                return Expressed(text=text, mesh=analysis.mesh, emission=emission, removed=removed)
        cut = _without(text, wrong)
        if cut is None:
            return None
        text, removed = cut, removed + len(set(wrong))
    return None


def _without(text: str, wrong: list[Span]) -> str | None:
    """The text without some rules, routes or settings; declarations of ports and services cannot go."""
    cut_from = len(text)
    statements = {
        (one.start, one.end) if text[one.start : one.end].startswith(_STATEMENTS) else _line(text, one.start)
        for one in wrong
    }
    for start, end in sorted(statements, reverse=True):
        if end > cut_from:
            continue  # it holds what was cut already, which may have been all that was wrong with it
        cut_from = start
        said = text[start:end].strip()
        if not said or said.startswith(("port ", "service ", "mesh ", "namespace ", "external ")):
            return None
        text = text[:start] + text[end:]
    return text


def _line(text: str, place: int) -> tuple[int, int]:
    """The line around a place, without its end."""
    start = text.rfind("\n", 0, place) + 1
    end = text.find("\n", place)
    return start, len(text) if end < 0 else end
