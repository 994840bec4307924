"""`meshc decide`: JSON Lines of requests in, JSON Lines of decisions out."""

import json
import sys
from collections.abc import Iterator

from meshc.cli.arguments import Arguments, via_of
from meshc.cli.console import Console
from meshc.cli.project import ProjectInvalidError, analyze_project, open_project, show
from meshc.decisions_json import RequestError, RequestReader, decision_to_json
from meshc.ir import Mesh
from meshc.request import Request
from meshc.semantics.decide import Evaluator


def run(arguments: Arguments, console: Console) -> int:
    """Run the command; returns the exit status."""
    try:
        project = open_project(arguments.path, console)
    except ProjectInvalidError:
        return 1
    analysis = analyze_project(project, arguments.environment)
    if analysis.mesh is None:
        show(project, analysis.diagnostics, console)
        return 1
    mesh = analysis.mesh
    via = via_of(arguments)
    if via is not None:
        from meshc.cli.via import NotCompiledError, mesh_via  # noqa: PLC0415  not often asked for

        try:
            mesh = mesh_via(via, project, mesh, console)
        except NotCompiledError:
            return 1
    if sys.stdin.isatty():
        console.say("reading requests from the terminal, one JSON object a line; Ctrl-D ends")
    if arguments.engine == "model":
        return _decide_in_model(mesh, console)
    return _decide_by(arguments.engine, mesh, console)


def _decide_in_model(mesh: Mesh, console: Console) -> int:
    evaluator, failed = Evaluator(mesh), False
    for number, request in _requests(mesh):
        if isinstance(request, RequestError):
            failed = _refuse(number, request, console)
        else:
            console.print(json.dumps(decision_to_json(evaluator.decide(request))))
        sys.stdout.flush()
    return 1 if failed else 0


def _decide_by(engine: str, mesh: Mesh, console: Console) -> int:
    from meshc.cli.engines import observe_requests  # noqa: PLC0415  needs `meshc[envoy]`

    read = list(_requests(mesh))
    observations = iter(observe_requests(mesh, engine, [one for _, one in read if isinstance(one, Request)], console))
    failed = False
    for number, request in read:
        if isinstance(request, RequestError):
            failed = _refuse(number, request, console)
            continue
        observation = next(observations)
        access = None if observation.allowed is None else ("allow" if observation.allowed else "deny")
        line = {"access": access, "status": observation.status, "served_by": observation.served_by}
        console.print(json.dumps(line))
    return 1 if failed else 0


def _requests(mesh: Mesh) -> Iterator[tuple[int, Request | RequestError]]:
    reader = RequestReader(mesh)
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        try:
            yield number, reader.read(line.decode("utf-8"))
        except UnicodeDecodeError:
            yield number, RequestError("the line is not UTF-8")
        except RequestError as error:
            yield number, error


def _refuse(number: int, error: RequestError, console: Console) -> bool:
    """Answer a line that is no request: in its place among the answers, and on standard error."""
    text = f"{error.message}; {error.advice}" if error.advice else error.message
    console.print(json.dumps({"error": text}))
    console.complain(f"line {number}: {text}")
    return True
