"""Graphs of small programs, and graphs with hostile texts, for what shows them."""

from dataclasses import replace

from meshc.graph.build import build
from meshc.graph.model import Clause, Edge, Graph, Node, Reach
from meshc.ir import Mesh
from meshc_harness.compare import analyze_text

BANK = """
mesh bank { trust-domain "bank.example" also "ops.example" }
namespace shop
namespace bank
namespace old { mtls permissive }
service web in shop { port 80 http }
service checkout in shop { port 8080 http }
service job in shop
service payments in bank { port 8080 http port 9090 grpc as admin version v1 version v2 }
service ledger in bank { port 5432 tcp }
service legacy in old { port 80 http port 443 tls }
external stripe in bank { host "api.stripe.com" port 443 https port 80 http }
authenticate payments:8080 { jwt corp { issuer "https://idp" jwks file "keys.json" } }
access web { allow anyone deny job deny identity "spiffe://ops.example/ns/x/sa/y" to GET because "they only write" }
access checkout { allow web allow namespace shop to GET }
access payments:8080 {
  allow checkout to POST /charge, GET /charge/{id}
  allow web to GET /reports/** when claim "scope" has "reports" and not header "x-mode" == "raw"
  deny anyone from 10.66.0.0/16
}
access payments:admin { allow identity "spiffe://ops.example/ns/ops/sa/*" to rpc bank.Admin/*, rpc bank.Books/Close }
access ledger { allow payments }
access legacy:80 { allow checkout allow anyone to GET deny authenticated to GET /a }
access legacy:443 { allow anyone from 10.0.0.0/8 }
access stripe { allow payments }
traffic payments:8080 { mirror 10% to payments@v2 route GET /charge/{id} -> payments@v2 }
"""

HOSTILE = (
    "<script>alert(1)</script>",
    "</title></svg></style></script><img src=x onerror=alert(1)>",
    "| a | `b` | **d** _e_ ~~f~~ | [e](http://f) | www.g.com",
    "1. one",
    "- one",
    "${7*7}{{7*7}}{% raw %}{# x",
    "\x1b[31mred\x07\x00\r\n\u202eevil\u2066",
    'end"]; click n0 "javascript:alert(1)"',
    '%%{init: {"theme": "dark"}}%%',
    "style a:b#c;",
    "$$x$$ #quot; #35; \\N \\G",
    "--> <!-- ]]> &amp; &#60;",
    "a\\|b\\",
    'a" -> "b',
    "日本語 ü",
    "\udcff\ud800\ufffe\uffff",
)


def mesh_of(text: str) -> Mesh:
    """The mesh of a program without mistakes."""
    analysis = analyze_text(text)
    assert analysis.mesh is not None, analysis.diagnostics
    return analysis.mesh


def graph_of(text: str) -> Graph:
    """The graph of a program without mistakes."""
    return build(mesh_of(text))


def arrows(graph: Graph) -> dict[str, str]:
    """The edges as `caller -> destination:port`, each with what is let through, in a form that is easy to compare."""
    return {f"{edge.source} -> {edge.target}:{edge.port}": shown(edge) for edge in graph.edges}


def shown(edge: Edge) -> str:
    allows = " & ".join("|".join(map(_clause, group)) for group in edge.allows) or "-"
    return "; ".join([allows, *(f"!{_clause(one)}" for one in edge.denies)])


def _clause(clause: Clause) -> str:
    return " ".join(filter(None, (clause.addresses, ",".join(clause.operations), clause.condition))) or "*"


def undecided(graph: Graph) -> Graph:
    """The same, as if nothing could be decided."""
    edges = (replace(one, reach=Reach.UNDECIDED, reason="too many", example=None) for one in graph.edges)
    return replace(graph, edges=tuple(edges))


def hostile(text: str) -> Graph:
    """A text of users in every place that can hold one."""
    graph = graph_of(BANK)

    def node(one: Node) -> Node:
        ports = tuple(
            replace(
                port,
                name=text,
                providers=(text,),
                travels=tuple(replace(travel, text=text) for travel in port.travels),
            )
            for port in one.ports
        )
        return replace(
            one, label=text, namespace=one.namespace and one.namespace + text, hosts=(text,), ports=ports, doc=text
        )

    def clause(one: Clause) -> Clause:
        place = replace(one.place, path=text)
        return replace(
            one, addresses=text, operations=(text, text), condition=text, rule=text, because=text, place=place
        )

    def edge(one: Edge) -> Edge:
        return replace(
            one,
            reason=text,
            allows=tuple(tuple(map(clause, group)) for group in one.allows),
            denies=tuple(map(clause, one.denies)),
            example=one.example and replace(one.example, text=text),
        )

    return replace(
        graph,
        mesh=replace(graph.mesh, name=text),
        environment=text,
        nodes={name: node(one) for name, one in graph.nodes.items()},
        edges=tuple(map(edge, graph.edges)),
    )


def many(services: int, *, namespaces: int = 3) -> Graph:
    """A graph of so many services, each of which calls a few others, in cycles too."""
    lines = [f"namespace n{number}" for number in range(namespaces)]
    for number in range(services):
        callers = sorted({(number * 7 + 3) % services, (number * 5 + 1) % services, (number + 1) % services})
        allowed = "".join(f" allow s{caller} to GET /from-{caller}" for caller in callers)
        lines.append(f"service s{number} in n{number % namespaces} {{ port 80 http }}\naccess s{number} {{{allowed} }}")
    return graph_of("\n".join(lines))
