"""One page of HTML that stands alone: the picture, a filter, and a table of every edge. Nothing is loaded from elsewhere."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from meshc._version import __version__
from meshc.diagnostics.render.cells import visible
from meshc.graph.model import Clause, Edge, Graph, NodeKind, Reach
from meshc.graph.render.parts import style_of
from meshc.graph.render.svg import TooLargeError, render_svg
from meshc.graph.wording import clause_text, destination_of, marks, name_of, title_of
from meshc.semantics.show import show_destination

_MOST_MEMBERS: Final = 12
"""Names of services that a row lists; the filter knows all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One edge. `source_id` is a key of the members that the filter looks into."""

    number: int
    style: str
    source_id: str
    source: str
    includes: str
    destination: str
    undecided: str
    allows: tuple[tuple[Clause, ...], ...]
    denies: tuple[Clause, ...]
    refused: tuple[str, ...]
    apart: tuple[str, ...]
    marks: tuple[str, ...]
    example: str


def render_html(graph: Graph) -> str:
    """The page; where the graph is too large for a picture, it says so, and has everything else."""
    templates = Environment(loader=PackageLoader("meshc"), undefined=StrictUndefined, autoescape=True)
    templates.filters["visible"] = visible
    templates.filters["clause"] = clause_text
    picture, too_large = None, ""
    try:
        # INVARIANT: the renderer escapes whatever users wrote.
        picture = Markup(render_svg(graph))  # noqa: S704
    except TooLargeError as error:
        too_large = str(error)
    return templates.get_template("graph.html.j2").render(
        version=__version__,
        title=title_of(graph),
        picture=picture,
        too_large=too_large,
        rows=[_row(graph, number, edge) for number, edge in enumerate(graph.edges)],
        members=_members(graph),
        closed=tuple(_closed(graph)),
        travels=tuple(_travels(graph)),
    )


def _row(graph: Graph, number: int, edge: Edge) -> Row:
    source, target = graph.nodes[edge.source], graph.nodes[edge.target]
    outside = ("external",) if target.kind is NodeKind.EXTERNAL else ()
    return Row(
        number=number,
        style=style_of(graph, edge).value,
        source_id=source.id,
        source=name_of(source),
        includes=_some([_declared_name(one) for one in source.members]),
        destination=destination_of(graph, edge),
        undecided=edge.reason if edge.reach is Reach.UNDECIDED else "",
        allows=edge.allows,
        denies=edge.denies,
        refused=tuple(name_of(graph.nodes[one]) for one in edge.refused),
        apart=tuple(name_of(graph.nodes[one]) for one in edge.apart),
        marks=(*outside, *marks(graph.port(edge))),
        example=edge.example.text if edge.example else "",
    )


def _declared_name(member: str) -> str:
    return member.partition(":")[2]


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_MEMBERS
    return ", ".join(names[:_MOST_MEMBERS]) + (f" and {more} more" if more > 0 else "")


def _members(graph: Graph) -> Mapping[str, str]:
    """For each set of callers the names of the services in it."""
    sets = (node for node in graph.nodes.values() if node.members)
    return {visible(node.id): " ".join(map(_declared_name, node.members)) for node in sets}


def _closed(graph: Graph) -> Iterator[str]:
    """The ports of what was asked for that no edge leads to."""
    open_ports = {(edge.target, edge.port) for edge in graph.edges}
    for node in graph.nodes.values():
        if node.id in graph.subjects:
            yield from (
                f"{name_of(node)}:{port.number}" for port in node.ports if (node.id, port.number) not in open_ports
            )


def _travels(graph: Graph) -> Iterator[tuple[str, str]]:
    """Ports, and those of their routes that do more than to forward everything to the port itself."""
    for node in graph.nodes.values():
        for port in node.ports if node.id in graph.subjects else ():
            name = f"{name_of(node)}:{port.number}"
            for travel in port.travels:
                copies = (f"{one.percent:g}% also to {show_destination(one.destination)}" for one in travel.mirrors)
                mirrored = ", ".join(copies)
                if mirrored or travel.text != f"/** -> {name}":
                    yield name, f"{travel.text}, {mirrored}" if mirrored else travel.text
