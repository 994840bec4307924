"""`meshc explain`: why a request is allowed or denied."""

import json
from dataclasses import replace
from pathlib import Path

from meshc import ast
from meshc.cli.arguments import Arguments
from meshc.cli.console import Console, UsageError
from meshc.cli.project import Project, ProjectInvalidError, analyze_project, open_project, show
from meshc.decisions_json import RequestError, RequestReader, parse_json
from meshc.frontend import Analysis
from meshc.ir import Mesh
from meshc.log_lines import is_log_line, read_log_line
from meshc.lower.context import Report
from meshc.lower.requests import lower_request
from meshc.parse import parse
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc.semantics.explain import explain
from meshc.semantics.explanation_json import explanation_to_json
from meshc.semantics.explanation_text import COLOURED, PLAIN, render_explanation
from meshc.source import SourceFile

_VERSION = 1
"""Of `schemas/explanation.schema.json`; raised when a field changes its meaning or goes away."""

_BEFORE = 'test "request" { allow\n'
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
    explanation = explain(Evaluator(analysis.mesh), request)
    if arguments.format == "json":
        console.print(json.dumps({"version": _VERSION, **explanation_to_json(explanation)}, indent=2))
    else:
        console.print(render_explanation(explanation, COLOURED if console.colors("stdout") else PLAIN))
    return 0


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
    line = read_log_line(value)
    console.say(f"the log line says: {line.outcome}; it tells no headers and no token, so none are assumed")
    return RequestReader(mesh).convert(line.request)


def _read(text: str, project: Project, analysis: Analysis, mesh: Mesh, console: Console) -> Request | None:
    if text.lstrip().startswith("{"):
        try:
            return _from_json(text, mesh, console)
        except RequestError as error:
            raise UsageError(f"{error.message}" + (f"; {error.advice}" if error.advice else "")) from error
    source = SourceFile("<request>", f"{_BEFORE}{text}\n}}")
    parsed = parse(source)
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
        console.report(found, {source.path: source})
        return None
    if request is None:
        raise UsageError(f"explain takes one request; {_EXAMPLE}")
    return request
