"""`meshc explain`: why a request is allowed or denied."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from meshc import ast
from meshc.cli.arguments import Arguments
from meshc.cli.console import Console, UsageError
from meshc.cli.project import Project, ProjectInvalidError, analyze_project, open_project, show
from meshc.decisions_json import RequestError, RequestReader, parse_json
from meshc.diagnostics import Diagnostic
from meshc.explaining.as_json import explanation_to_json
from meshc.explaining.model import Remedies
from meshc.explaining.origins import Origins, origins_of
from meshc.explaining.programs import Program
from meshc.explaining.remedies import remedies_of
from meshc.explaining.text import COLOURED, PLAIN, render_explanation
from meshc.frontend import Analysis
from meshc.ir import Mesh
from meshc.log_lines import is_log_line, read_log_line
from meshc.lower.context import Report
from meshc.lower.groups import groups_of
from meshc.lower.requests import lower_request
from meshc.parse import parse
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc.semantics.explain import Explanation, explain
from meshc.source import SourceFile, Span

_VERSION = 1
"""Of `schemas/explanation.schema.json`; raised when a field changes its meaning or goes away."""

_NAME = "request"
"""How messages call what was typed; a line is one of the request's own."""

_BEFORE = 'test "request" { allow '
_AFTER = "\n}"
_EXAMPLE = "write one such as 'frontend POST payments:8080 /charge'"


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    path, text = _split(arguments.words)
    if not text:
        raise UsageError(f"explain what? {_EXAMPLE}")
    try:
        project = open_project(path, console)
    except ProjectInvalidError:
        return 1
    analysis = analyze_project(project, arguments.environment)
    if analysis.mesh is None:
        show(project, analysis.diagnostics, console)
        return 1
    request = _read(text, project, analysis, analysis.mesh, console)
    if request is None:
        return 1
    evaluator = Evaluator(analysis.mesh)
    explanation = explain(evaluator, request)
    remedies = remedies_of(_program(project, analysis, arguments.environment), evaluator, explanation)
    told = _Told(explanation=explanation, remedies=remedies)
    if arguments.via is not None:
        from meshc.cli.via import NotCompiledError, mesh_via  # noqa: PLC0415  not often asked for

        try:
            told = _by_way_of(mesh_via(arguments.via, project, analysis.mesh, console), analysis.mesh, told)
        except NotCompiledError:
            return 1
    _print(told, analysis.mesh, arguments, console)
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What is told of a request."""

    explanation: Explanation
    remedies: Remedies
    origins: Origins = field(default_factory=dict)


def _by_way_of(read: Mesh, program: Mesh, own: _Told) -> _Told:
    """What compiled files say of a request, with what the program says of it beside. Edits are those of the program."""
    explanation = explain(Evaluator(read), own.explanation.request)
    remedies = own.remedies
    before, after = own.explanation.decision, explanation.decision
    if (before.allowed, before.status) != (after.allowed, after.status):
        words = {True: "allowed", False: "denied", None: "answered by the caller's proxy"}[before.allowed]
        status = "" if before.status is None else f" {before.status}"
        note = f"the program itself says: {words}{status}; `meshc verify` finds where the two differ, and `meshc targets` why they may"
        remedies = Remedies(notes=(note,))
    origins = origins_of(read, program, explanation, own.explanation)
    return _Told(explanation=explanation, remedies=remedies, origins=origins)


def _print(told: _Told, mesh: Mesh, arguments: Arguments, console: Console) -> None:
    if arguments.format != "json":
        style = COLOURED if console.colors("stdout") else PLAIN
        console.print(render_explanation(told.explanation, told.remedies, style, told.origins))
        return
    shown = explanation_to_json(told.explanation, told.remedies, mesh, told.origins)
    via = {} if arguments.via is None else {"via": arguments.via}
    console.print(json.dumps({"version": _VERSION, **via, **shown}, indent=2))


def _program(project: Project, analysis: Analysis, environment: str | None) -> Program:
    loaded = project.loaded
    return Program(
        modules=loaded.modules,
        loaded=loaded,
        sources=loaded.sources,
        environment=environment,
        today=analysis.lowered.context.today,
        analysis=analysis,
        groups=groups_of,
    )


def _split(words: tuple[str, ...]) -> tuple[Path | None, str]:
    """The program, if the first word is one, and the request."""
    first = Path(words[0])
    if first.suffix == ".mesh" or first.is_dir():
        return first, " ".join(words[1:])
    return None, " ".join(words)


def _from_json(text: str, mesh: Mesh, console: Console) -> Request:
    """A request, or a line of an access log. Raises RequestError."""
    value = parse_json(text)
    if not isinstance(value, dict) or not is_log_line(value):
        return RequestReader(mesh).convert(value)
    line = read_log_line(value, mesh)
    console.say(f"the log line says: {line.outcome}; it tells no headers and no token, so none are assumed")
    return RequestReader(mesh).convert(line.request)


def _read(text: str, project: Project, analysis: Analysis, mesh: Mesh, console: Console) -> Request | None:
    if text.lstrip().startswith("{"):
        try:
            return _from_json(text, mesh, console)
        except RequestError as error:
            raise UsageError(f"{error.message}" + (f"; {error.advice}" if error.advice else "")) from error
    parsed = parse(SourceFile(_NAME, f"{_BEFORE}{text}{_AFTER}"))
    found = list(parsed.diagnostics)
    request: Request | None = None
    if not found:
        for declaration in parsed.file.declarations:
            if isinstance(declaration, ast.TestDecl) and len(declaration.cases) == 1:
                report = Report()
                module = next(iter(project.loaded.modules), "")
                context = replace(analysis.lowered.context.inside(module), report=report)
                request = lower_request(context, analysis.lowered.world, declaration.cases[0].request)
                found.extend(report.found)
    if found:
        source = SourceFile(_NAME, text)
        console.report([_as_typed(one, source) for one in found], {_NAME: source})
        return None
    if request is None:
        raise UsageError(f"explain takes one request; {_EXAMPLE}")
    return request


def _as_typed(found: Diagnostic, source: SourceFile) -> Diagnostic:
    """A finding in the text around a request, as one in the request itself."""

    def moved(span: Span) -> Span:
        start, end = (min(max(at - len(_BEFORE), 0), len(source.text)) for at in (span.start, span.end))
        return source.span(start, end) if span.path == _NAME else span

    is_end = found.span.path == _NAME and found.span.start >= len(_BEFORE) + len(source.text)
    return replace(
        found,
        span=moved(found.span),
        message=found.message.replace("found `}`", "found the end of the request") if is_end else found.message,
        labels=tuple(replace(one, span=moved(one.span)) for one in found.labels),
    )
