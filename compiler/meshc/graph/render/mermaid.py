"""Mermaid: a flowchart, for Markdown. Source: https://mermaid.js.org/syntax/flowchart.html"""

import re
from collections.abc import Iterator
from typing import Final

from meshc.diagnostics.render.cells import visible
from meshc.graph.model import Edge, Graph, Node, NodeKind
from meshc.graph.render.parts import LABEL_LIMIT, Style, clusters, lines_of, short_ids, style_of
from meshc.graph.wording import label

MAX_EDGES: Final = 500
"""Mermaid draws no more, unless `maxEdges` is raised where it is set up; a diagram cannot do that itself."""

# Everything else becomes a code, since much has a meaning even within quotes: `#` begins codes, `%%` comments and directives,
# `$$` formulas, some releases read labels as Markdown, and a line with `style`, a colon and `#` is taken for a style.
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9 ,./{}()|=?-]|^[- =|]|^[0-9](?=[0-9]*[.)])")

_ARROWS: Final = {
    Style.PLAIN: "-->",
    Style.PLAINTEXT: "==>",
    Style.OUTSIDE: "-->",
    Style.UNDECIDED: "-.->",
}
_SHAPES: Final = {
    NodeKind.SERVICE: ("[", "]"),
    NodeKind.EXTERNAL: ("[[", "]]"),
}
_CALLERS: Final = ("([", "])")


def render_mermaid(graph: Graph) -> str:
    """The whole diagram."""
    return "".join(f"{line}\n" for line in _lines(graph))


def _lines(graph: Graph) -> Iterator[str]:
    ids = short_ids(graph)
    yield "flowchart LR"
    for number, (namespace, nodes) in enumerate(clusters(graph).items(), 1):
        indent = "  " if namespace is None else "    "
        if namespace is not None:
            yield f"  subgraph c{number}[{_quoted(namespace)}]"
            yield "    direction LR"
        for node in nodes:
            yield f"{indent}{ids[node.id]}{_shape(node)}"
        if namespace is not None:
            yield "  end"
    for edge in graph.edges:
        arrow = _ARROWS[style_of(graph, edge)]
        yield f"  {ids[edge.source]} {arrow}|{_edge_label(graph, edge)}| {ids[edge.target]}"


def _shape(node: Node) -> str:
    left, right = _SHAPES.get(node.kind, _CALLERS)
    return f"{left}{_quoted(*lines_of(node))}{right}"


def _edge_label(graph: Graph, edge: Edge) -> str:
    return _quoted(label(graph, edge, LABEL_LIMIT))


def _quoted(*lines: str) -> str:
    return '"' + "<br/>".join(_UNSAFE.sub(_code, visible(line)) for line in lines) + '"'


def _code(found: re.Match[str]) -> str:
    return f"#{ord(found[0])};"
