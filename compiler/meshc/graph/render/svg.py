"""SVG: a picture that stands alone, for people; no script, and nothing is loaded from elsewhere."""

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from meshc.diagnostics.render.cells import cell_width, visible
from meshc.graph.layout import Arrow, Box, Drawing, Frame, Item, Link, draw
from meshc.graph.model import Edge, Graph, Node, NodeKind
from meshc.graph.render.parts import clusters, lines_of, short_ids, style_of
from meshc.graph.wording import condition_text, destination_of, label, name_of, shortened, title_of

MAX_NODES: Final = 150
MAX_EDGES: Final = 400
"""Beyond these, a picture is no help, and takes long to make."""

_LABEL_LIMIT: Final = 30
_LINE_LIMIT: Final = 36
_NAME_CELL: Final = 7.8
_LINE_CELL: Final = 6.6
_LABEL_CELL: Final = 6.3
"""The widths of a character of each kind of text, which is monospaced, in pixels."""

_NAMED: Final = 'aria-labelledby="mesh-title mesh-description"'
_LINE: Final = 15.0
_PADDING: Final = 10.0

_STYLE: Final = """
.mesh{--page:#fff;--box:#f6f8fa;--text:#1f2328;--faint:#59636e;--line:#8c959f;--frame:#d1d9e0;--red:#cf222e;--purple:#8250df;--orange:#bc4c00}
@media (prefers-color-scheme:dark){.mesh{--page:#0d1117;--box:#161b22;--text:#e6edf3;--faint:#9198a1;--line:#6e7681;--frame:#3d444d;--red:#ff7b72;--purple:#d2a8ff;--orange:#ffa657}}
.mesh text{font:11px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:var(--faint)}
.mesh .name{font-size:13px;font-weight:600;fill:var(--text)}
.mesh .label{font-size:10.5px;fill:var(--text);text-anchor:middle;stroke:var(--page);stroke-width:3px;paint-order:stroke}
.mesh .page{fill:var(--page)}
.mesh .box{fill:var(--box);stroke:var(--line)}
.mesh .external .box{stroke:var(--purple);stroke-dasharray:5 3}
.mesh .frame{fill:none;stroke:var(--frame);stroke-width:1.5}
.mesh .way{fill:none;stroke:var(--line);stroke-width:1.3}
.mesh .head{fill:var(--line)}
.mesh .plaintext .way{stroke:var(--red)}.mesh .plaintext .head{fill:var(--red)}
.mesh .outside .way{stroke:var(--purple)}.mesh .outside .head{fill:var(--purple)}
.mesh .undecided .way{stroke:var(--orange);stroke-dasharray:4 3}.mesh .undecided .head{fill:var(--orange)}
""".strip()


class TooLargeError(Exception):
    """The graph is larger than a picture may be. The text is meant for the user."""


def check_size(graph: Graph) -> None:
    """Raises TooLargeError for a graph that is too large to be drawn."""
    nodes, edges = len(graph.drawn), len(graph.edges)
    if nodes > MAX_NODES or edges > MAX_EDGES:
        raise TooLargeError(
            f"a picture of {nodes} nodes and {edges} edges cannot be read; {MAX_NODES} and {MAX_EDGES} are drawn at most"
        )


def render_svg(graph: Graph) -> str:
    """The picture. Raises TooLargeError."""
    check_size(graph)
    return _Picture(graph).text()


class _Picture:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._bands = list(clusters(graph))
        self._nodes = [node for nodes in clusters(graph).values() for node in nodes]
        self._ids = short_ids(graph)
        self._places = {node.id: place for place, node in enumerate(self._nodes)}
        own = [edge for edge in graph.edges if edge.source == edge.target]
        self._own = {node.id: [edge for edge in own if edge.source == node.id] for node in self._nodes}
        self._edges = [(number, edge) for number, edge in enumerate(graph.edges) if edge.source != edge.target]
        self._labels = [_text(label(graph, edge, _LABEL_LIMIT)) for _, edge in self._edges]

    def text(self) -> str:
        drawing = self._draw()
        width, height = round(drawing.width), round(drawing.height)
        size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="mesh" {size} role="img" {_NAMED}>',
            f'<title id="mesh-title">{_escaped(title_of(self._graph))}</title>',
            f'<desc id="mesh-description">{_escaped(self._description())}</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect class="page" width="{width}" height="{height}"/>',
            *map(self._frame, drawing.frames),
            *map(self._arrow, self._edges, self._labels, drawing.arrows),
            *map(self._box, self._nodes, drawing.boxes),
            "</svg>",
        ]
        return "".join(f"{part}\n" for part in parts)

    def _draw(self) -> Drawing:
        items = [
            Item(band=self._bands.index(node.namespace), width=_width(lines), height=_LINE * len(lines) + _PADDING)
            for node in self._nodes
            for lines in [self._lines(node)]
        ]
        links = [
            Link(
                source=self._places[edge.source],
                target=self._places[edge.target],
                label_width=cell_width(text) * _LABEL_CELL,
            )
            for (_, edge), text in zip(self._edges, self._labels, strict=True)
        ]
        return draw(items, links, frozenset(place for place, name in enumerate(self._bands) if name is not None))

    def _lines(self, node: Node) -> list[str]:
        own = [f"↻ {label(self._graph, edge, _LABEL_LIMIT)}" for edge in self._own[node.id]]
        return [shortened(_text(line), _LINE_LIMIT) for line in (*lines_of(node), *own)]

    # ---- words ------------------------------------------------------------------------------------------------------

    def _description(self) -> str:
        kinds = Counter(node.kind is NodeKind.SERVICE for node in self._nodes)
        edges = len(self._graph.edges)
        return f"{kinds[True]} services, {kinds[False]} externals and other callers, {edges} edges from callers to what they may call."

    def _said(self, edge: Edge) -> str:
        graph = self._graph
        return f"{name_of(graph.nodes[edge.source])} → {destination_of(graph, edge)}: {condition_text(graph, edge)}"

    # ---- shapes -----------------------------------------------------------------------------------------------------

    def _frame(self, frame: Frame) -> str:
        name = shortened(_text(self._bands[frame.band] or ""), max(4, int(frame.width / _LINE_CELL) - 2))
        return (
            f'<g><rect class="frame" x="{frame.x:.1f}" y="{frame.y:.1f}" width="{frame.width:.1f}" '
            f'height="{frame.height:.1f}" rx="8"/>'
            f'<text x="{frame.x + 10:.1f}" y="{frame.y + 16:.1f}">{_escaped(name)}</text></g>'
        )

    def _arrow(self, numbered: tuple[int, Edge], text: str, arrow: Arrow) -> str:
        number, edge = numbered
        style = style_of(self._graph, edge).value
        shown = f'<text class="label" x="{arrow.label_x:.1f}" y="{arrow.end_y - 3.5:.1f}">{_escaped(text)}</text>'
        way = f'<path class="way" d="{arrow.path}"/>{_head(arrow)}'
        ends = f'data-source="{self._ids[edge.source]}" data-target="{self._ids[edge.target]}"'
        title = f"<title>{_escaped(self._said(edge))}</title>"
        return f'<g class="edge {style}" data-edge="{number}" {ends}>{title}{way}{shown}</g>'

    def _box(self, node: Node, box: Box) -> str:
        lines = self._lines(node)
        radius = 4 if node.is_declared else min(box.height / 2, 16)
        shape = (
            f'<rect class="box" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
            f'rx="{radius:.1f}"/>'
        )
        middle = box.y + box.height / 2
        texts = "".join(_texts(lines, box.x + _PADDING, middle - _LINE * len(lines) / 2 + 11))
        said = [self._said(edge) for edge in self._own[node.id]]
        title = "; ".join((name_of(node), *lines_of(node)[1:], *said, *filter(None, (node.doc,))))
        group = f'<g class="node {node.kind.value}" data-node="{self._ids[node.id]}">'
        return f"{group}<title>{_escaped(title)}</title>{shape}{texts}</g>"


def _texts(lines: Sequence[str], x: float, y: float) -> Iterator[str]:
    for number, line in enumerate(lines):
        kind = "" if number else ' class="name"'
        yield f'<text{kind} x="{x:.1f}" y="{y + number * _LINE:.1f}">{_escaped(line)}</text>'


def _head(arrow: Arrow) -> str:
    back = -7 if arrow.points_right else 7
    return f'<path class="head" d="M{arrow.end_x:.1f},{arrow.end_y:.1f} l{back},-3.5 l0,7 z"/>'


def _width(lines: Sequence[str]) -> float:
    name, *others = lines
    return max(cell_width(name) * _NAME_CELL, *(cell_width(one) * _LINE_CELL for one in ("", *others))) + 2 * _PADDING


def _text(text: str) -> str:
    """The text with nothing in it that XML cannot hold. Source: XML 1.0, production 2."""
    return "".join(f"\\u{{{ord(char):x}}}" if char in "\ufffe\uffff" else char for char in visible(text))


def _escaped(text: str) -> str:
    return escape(_text(text))
