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
    for start, end in sorted({(one.start, one.end) for one in wrong}, reverse=True):
        said = text[start:end]
        if not said.strip() or said.startswith(("port ", "service ", "mesh ", "namespace ", "external ")):
            return None
        text = text[:start] + text[end:]
    return text
