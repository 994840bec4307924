"""What all pictures have in common: the order of namespaces, the lines in a node, the styles of edges."""

from collections.abc import Mapping
from enum import Enum

from meshc.graph.model import Edge, Graph, Node, NodeId, NodeKind, Reach
from meshc.graph.wording import marks, port_text

LABEL_LIMIT = 60
"""Cells of a label's parts in text formats."""


class Style(Enum):
    """How an edge is drawn. PLAINTEXT: the caller may do without mTLS. OUTSIDE: it leaves the mesh."""

    PLAIN = "plain"
    PLAINTEXT = "plaintext"
    OUTSIDE = "outside"
    UNDECIDED = "undecided"


def style_of(graph: Graph, edge: Edge) -> Style:
    """The first that is true of an edge, the most worrying before the others."""
    if edge.reach is Reach.UNDECIDED:
        return Style.UNDECIDED
    if graph.port(edge).is_plaintext:
        return Style.PLAINTEXT
    return Style.OUTSIDE if graph.nodes[edge.target].kind is NodeKind.EXTERNAL else Style.PLAIN


def clusters(graph: Graph) -> Mapping[str | None, tuple[Node, ...]]:
    """The nodes that are drawn by namespace, in order; None holds those of no namespace, and comes first if it is there."""
    found: dict[str | None, list[Node]] = {}
    for node in graph.drawn:
        found.setdefault(node.namespace, []).append(node)
    return {name: tuple(found[name]) for name in sorted(found, key=lambda name: (name is not None, name or ""))}


def lines_of(node: Node) -> tuple[str, ...]:
    """The label of a node, then a line for each port and host, with its marks."""
    ports = (", ".join((port_text(port), *marks(port))) for port in node.ports)
    return (node.label, *node.hosts, *ports)


def short_ids(graph: Graph) -> Mapping[NodeId, str]:
    """Identifiers that any format takes: `n1`, `n2`, …"""
    return {node.id: f"n{number}" for number, node in enumerate(graph.drawn, 1)}
