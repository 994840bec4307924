"""Focus: the part of a graph that is about some services or namespaces."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from meshc.graph.model import Graph, Node, NodeId
from meshc.ir import ExactIdentity
from meshc.suggest import closest


class FocusError(ValueError):
    """There is nothing of this name, or more than one thing. `message` is one line that says so, with what to write instead."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def focus_on(graph: Graph, services: Iterable[str] = (), namespaces: Iterable[str] = ()) -> Graph:
    """What is named, and every edge that leads to it or speaks for it. Nothing named: the whole graph. Raises FocusError."""
    declared = [node for node in graph.nodes.values() if node.is_declared]
    found = {_service(name, declared).id for name in services}
    for name in namespaces:
        found |= _in_namespace(name, declared)
    return _kept(graph, {node.id: node for node in declared if node.id in found}) if found else graph


def _service(name: str, declared: Iterable[Node]) -> Node:
    full = {f"{node.namespace}.{node.label}": node for node in declared}
    fitting = [text for text, node in full.items() if name in {text, node.label}]
    if len(fitting) == 1:
        return full[fitting[0]]
    if fitting:
        raise FocusError(f"`{name}` is ambiguous; write one of {', '.join(f'`{one}`' for one in fitting)}")
    near = closest(name, [*full, *(node.label for node in full.values())])
    raise FocusError(f"there is no service or external `{name}`" + (f"; did you mean `{near}`?" if near else ""))


def _in_namespace(name: str, declared: Iterable[Node]) -> set[NodeId]:
    known: dict[str, set[NodeId]] = {}
    for node in declared:
        known.setdefault(node.namespace or "", set()).add(node.id)
    if name not in known:
        near = closest(name, known)
        advice = f"did you mean `{near}`?" if near else f"there are {', '.join(sorted(known)) or 'none'}"
        raise FocusError(f"there is no namespace `{name}` with services; {advice}")
    return known[name]


def _kept(graph: Graph, wanted: Mapping[NodeId, Node]) -> Graph:
    identities = [node.caller.identity for node in wanted.values() if isinstance(node.caller, ExactIdentity)]
    edges = tuple(
        edge
        for edge in graph.edges
        if edge.target in wanted or any(graph.speaks_for(edge, identity) for identity in identities)
    )
    named = {end for edge in edges for end in (edge.source, edge.target, *edge.apart, *edge.refused)}
    nodes = {name: node for name, node in graph.nodes.items() if name in wanted or name in named}
    return replace(graph, nodes=nodes, edges=edges, subjects=frozenset(wanted))
