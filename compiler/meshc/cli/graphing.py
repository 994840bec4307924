"""`meshc graph`: who may call whom, as a diagram, a picture, a page or data."""

from meshc.cli.arguments import Arguments
from meshc.cli.console import Console, UsageError
from meshc.cli.project import ProjectInvalidError, analyze_project, open_project, show
from meshc.graph.build import build
from meshc.graph.focus import FocusError, focus_on
from meshc.graph.model import Graph

_ADVICE = "name what you care about with `--service NAME` or `--namespace NAME`"


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
    graph = build(analysis.mesh, arguments.environment)
    try:
        graph = focus_on(graph, arguments.services, arguments.namespaces)
    except FocusError as error:
        raise UsageError(error.message) from error
    console.print(_rendered(graph, arguments.format, console))
    return 0


def _rendered(graph: Graph, form: str, console: Console) -> str:
    match form:
        case "json":
            from meshc.graph.render.as_json import render_json  # noqa: PLC0415  one of several formats

            return render_json(graph)
        case "dot":
            from meshc.graph.render.dot import render_dot  # noqa: PLC0415

            return render_dot(graph)
        case "svg":
            return _svg(graph)
        case "html":
            return _html(graph, console)
        case _:
            from meshc.graph.render.mermaid import MAX_EDGES, render_mermaid  # noqa: PLC0415

            if len(graph.edges) > MAX_EDGES:
                limit = f"Mermaid draws {MAX_EDGES} edges, unless its `maxEdges` is raised"
                console.say(f"meshc: there are {len(graph.edges)} edges, and {limit}; {_ADVICE}")
            return render_mermaid(graph)


def _svg(graph: Graph) -> str:
    from meshc.graph.render.svg import TooLargeError, render_svg  # noqa: PLC0415

    try:
        return render_svg(graph)
    except TooLargeError as error:
        raise UsageError(f"{error}; {_ADVICE}, or use `--format html`, `dot` or `json`") from error


def _html(graph: Graph, console: Console) -> str:
    from meshc.graph.render.as_html import render_html  # noqa: PLC0415
    from meshc.graph.render.svg import TooLargeError, check_size  # noqa: PLC0415

    try:
        check_size(graph)
    except TooLargeError as error:
        console.say(f"meshc: the page has no picture: {error}; {_ADVICE}")
    return render_html(graph)
