"""DOT, for Graphviz. Source: https://graphviz.org/doc/info/lang.html"""

from collections.abc import Iterator
from typing import Final

from meshc.diagnostics.render.cells import visible
from meshc.graph.model import Graph, Node, NodeKind
from meshc.graph.render.parts import LABEL_LIMIT, Style, clusters, lines_of, short_ids, style_of
from meshc.graph.wording import condition_text, label, name_of

_EDGES: Final = {
    Style.PLAIN: "",
    Style.PLAINTEXT: ', color="firebrick", penwidth=2',
    Style.OUTSIDE: ', color="slateblue"',
    Style.UNDECIDED: ', color="darkorange", style="dashed"',
}


def render_dot(graph: Graph) -> str:
    """The whole graph, in UTF-8."""
    return "".join(f"{line}\n" for line in _lines(graph))


def _lines(graph: Graph) -> Iterator[str]:
    ids = short_ids(graph)
    yield f"digraph {_quoted(graph.mesh.name)} {{"
    yield '  graph [rankdir="LR", charset="UTF-8", fontname="sans-serif"];'
    yield '  node [shape="box", fontname="sans-serif"];'
    yield '  edge [fontname="sans-serif", fontsize=10];'
    for number, (namespace, nodes) in enumerate(clusters(graph).items(), 1):
        indent = "  " if namespace is None else "    "
        if namespace is not None:
            yield f"  subgraph cluster_{number} {{"
            yield f"    label={_quoted(namespace)};"
        for node in nodes:
            yield f"{indent}{ids[node.id]} [label={_quoted(*lines_of(node))}, tooltip={_quoted(name_of(node))}{_shape(node)}];"
        if namespace is not None:
            yield "  }"
    for edge in graph.edges:
        shown = _quoted(label(graph, edge, LABEL_LIMIT))
        whole = _quoted(condition_text(graph, edge))
        style = _EDGES[style_of(graph, edge)]
        yield f"  {ids[edge.source]} -> {ids[edge.target]} [label={shown}, tooltip={whole}{style}];"
    yield "}"


def _shape(node: Node) -> str:
    match node.kind:
        case NodeKind.SERVICE:
            return ""
        case NodeKind.EXTERNAL:
            return ', style="dashed"'
        case _:
            return ', style="rounded"'


def _quoted(*lines: str) -> str:
    """A string; Graphviz reads backslashes and character entities within."""
    escaped = (visible(line).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'
