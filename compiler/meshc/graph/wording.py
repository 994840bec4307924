"""Words for the graph: names of nodes, what an edge's condition is, whole or as a short label, and marks of ports."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from meshc.diagnostics.render.cells import cell_width
from meshc.graph.model import Clause, Edge, Graph, Node, Port, Reach

ALWAYS: Final = "always"
UNDECIDED: Final = "not decided"


def name_of(node: Node) -> str:
    """How people know a node: `shop.cart`, `namespace shop`, an identity, `anyone`."""
    return f"{node.namespace}.{node.label}" if node.is_declared else node.label


def title_of(graph: Graph) -> str:
    """What a picture of the graph is called."""
    where = f" in environment {graph.environment}" if graph.environment else ""
    return f"Who may call whom: {graph.mesh.name}{where}"


def destination_of(graph: Graph, edge: Edge) -> str:
    """`shop.cart:8080`."""
    return f"{name_of(graph.nodes[edge.target])}:{edge.port}"


def port_text(port: Port) -> str:
    """`9090 grpc as admin`."""
    return f"{port.number} {port.protocol.value}" + (f" as {port.name}" if port.name else "")


def marks(port: Port) -> tuple[str, ...]:
    """What callers of a port should know: whether it takes plaintext, and whether it reads or wants a token."""
    found: list[str] = []
    if port.is_plaintext and port.mtls is not None:
        found.append(f"mTLS {port.mtls.value}")
    if port.providers:
        found.append("token required" if port.is_token_required else "token read")
    return tuple(found)


# ---- conditions -----------------------------------------------------------------------------------------------------


def clause_text(clause: Clause) -> str:
    """`from 10.0.0.0/8 to GET /x, POST /y when header "z" is present`, or `always`."""
    parts = (
        f"from {clause.addresses}" if clause.addresses else "",
        f"to {', '.join(clause.operations)}" if clause.operations else "",
        f"when {clause.condition}" if clause.condition else "",
    )
    return " ".join(filter(None, parts)) or ALWAYS


def condition_text(graph: Graph, edge: Edge) -> str:
    """The whole condition of an edge."""
    if edge.reach is Reach.UNDECIDED:
        return f"{UNDECIDED}: {edge.reason}"
    allows = "; and ".join(" or ".join(map(clause_text, group)) for group in edge.allows) or ALWAYS
    denies = "".join(f"; if not {clause_text(clause)}" for clause in edge.denies)
    refused = ", ".join(name_of(graph.nodes[one]) for one in edge.refused)
    return allows + denies + (f"; except {refused}" if refused else "")


def label(graph: Graph, edge: Edge, limit: int | None = None) -> str:
    """The condition in short: the first of all ways in, and how many more there are.

    `limit` is how many cells each part may take, the counts aside. The port is named where the destination has several.
    """
    port = f":{edge.port} " if len(graph.nodes[edge.target].ports) > 1 else ""
    if edge.reach is Reach.UNDECIDED:
        return f"{port}{UNDECIDED}"
    allows = "; and ".join(_first_of(_ways(group), limit) for group in edge.allows) or ALWAYS
    denies = f", if not {_first_of(_ways(edge.denies), limit)}" if edge.denies else ""
    refused = [name_of(graph.nodes[one]) for one in edge.refused]
    return port + allows + denies + (f", except {_first_of(refused, limit)}" if refused else "")


def _ways(clauses: Sequence[Clause]) -> list[str]:
    """Each operation with what else must hold."""
    found: list[str] = []
    for clause in clauses:
        rest = (
            f"from {clause.addresses}" if clause.addresses else "",
            f"when {clause.condition}" if clause.condition else "",
        )
        found += (" ".join(filter(None, (one, *rest))) or ALWAYS for one in clause.operations or ("",))
    return found


def _first_of(texts: Sequence[str], limit: int | None) -> str:
    more = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
    return shortened(texts[0], limit) + more


def shortened(text: str, limit: int | None) -> str:
    """The text in at most `limit` cells; an `rpc` loses its package before anything is cut."""
    if limit is None or cell_width(text) <= limit:
        return text
    if text.startswith("rpc "):
        target, space, rest = text.removeprefix("rpc ").partition(" ")
        service, slash, method = target.partition("/")
        text = f"{service.rpartition('.')[2]}{slash}{method}{space}{rest}"
        if cell_width(text) <= limit:
            return text
    widths = accumulate(map(cell_width, text))
    return f"{text[: sum(width < limit for width in widths)]}…"
