"""The graph as JSON, complete. Schema: `schemas/graph.schema.json`."""

import json
from typing import Final

from meshc.decisions_json import request_to_json
from meshc.graph.model import Clause, Edge, Example, Graph, Node, Port, Travel
from meshc.graph.wording import condition_text, label, name_of
from meshc.ir import Destination, ExactIdentity, IdentityPrefix
from meshc.source import Span
from meshc.target import Json

VERSION: Final = 1
"""Of the format; raised when a field changes its meaning or goes away."""


def render_json(graph: Graph) -> str:
    """The whole graph."""
    return json.dumps(graph_to_json(graph), indent=2)


def graph_to_json(graph: Graph) -> Json:
    """The graph as plain data."""
    return {
        "version": VERSION,
        "mesh": graph.mesh.name,
        "environment": graph.environment,
        "nodes": [_node(node) for node in graph.nodes.values()],
        "edges": [_edge(graph, edge) for edge in graph.edges],
    }


def _node(node: Node) -> Json:
    return {
        "id": node.id,
        "kind": node.kind.value,
        "name": name_of(node),
        "namespace": node.namespace,
        "identity": node.caller.identity if isinstance(node.caller, ExactIdentity) else None,
        "prefix": node.caller.prefix if isinstance(node.caller, IdentityPrefix) else None,
        "members": list(node.members),
        "hosts": list(node.hosts),
        "ports": [_port(port) for port in node.ports],
        "doc": node.doc,
        "place": _place(node.place),
    }


def _port(port: Port) -> Json:
    return {
        "number": port.number,
        "name": port.name,
        "protocol": port.protocol.value,
        "mtls": None if port.mtls is None else port.mtls.value,
        "jwt": list(port.providers),
        "token_required": port.is_token_required,
        "routes": [_travel(travel) for travel in port.travels],
        "place": _place(port.place),
    }


def _travel(travel: Travel) -> Json:
    return {
        "text": travel.text,
        "destinations": [{**_destination(one), "weight": one.weight} for one in travel.destinations],
        "mirrors": [{**_destination(one.destination), "percent": one.percent} for one in travel.mirrors],
        "place": _place(travel.place),
    }


def _destination(destination: Destination) -> dict[str, Json]:
    return {
        "to": f"{destination.namespace}.{destination.service}:{destination.port}",
        "version": destination.version,
    }


def _edge(graph: Graph, edge: Edge) -> Json:
    return {
        "from": edge.source,
        "to": edge.target,
        "port": edge.port,
        "reach": edge.reach.value,
        "reason": edge.reason or None,
        "label": label(graph, edge),
        "condition": condition_text(graph, edge),
        "allow": [[_clause(clause) for clause in group] for group in edge.allows],
        "deny": [_clause(clause) for clause in edge.denies],
        "apart": list(edge.apart),
        "refused": list(edge.refused),
        "example": None if edge.example is None else _example(graph, edge.example),
    }


def _clause(clause: Clause) -> Json:
    return {
        "addresses": clause.addresses or None,
        "operations": list(clause.operations),
        "condition": clause.condition or None,
        "rule": clause.rule,
        "because": clause.because,
        "place": _place(clause.place),
    }


def _example(graph: Graph, example: Example) -> Json:
    return {"request": request_to_json(example.request, graph.mesh), "text": example.text}


def _place(place: Span | None) -> Json:
    if place is None:
        return None
    return {"path": place.path, "line": place.line, "column": place.column}
