"""The changed edges as a drawing: callers on the left, destinations on the right, a curve for each edge. Sizes in pixels."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from meshc.diagnostics.render.cells import visible
from meshc.difference.render.edges import Edge

_ROW: Final = 34
_TOP: Final = 24
_LEFT: Final = 300
_GAP: Final = 320
_LONGEST: Final = 36
WIDTH: Final = 2 * _LEFT + _GAP


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A name at a place; `full` is the whole of a name that was cut."""

    x: int
    y: int
    text: str
    full: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """An edge: `path` is SVG path data, `change` the word for its kind, and `title` what it is about."""

    path: str
    change: str
    title: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """All of it. Nothing here is escaped."""

    width: int
    height: int
    nodes: tuple[Node, ...]
    curves: tuple[Curve, ...]


def draw(edges: Iterable[Edge]) -> Picture:
    """Lay the edges out; callers and destinations in the order in which they come."""
    listed = tuple(edges)
    callers = {name: at for at, name in enumerate(dict.fromkeys(edge.sources for edge in listed))}
    destinations = {name: at for at, name in enumerate(dict.fromkeys(edge.destination for edge in listed))}
    nodes = [_node(name, at, is_caller=True) for name, at in callers.items()]
    nodes += (_node(name, at, is_caller=False) for name, at in destinations.items())
    rows = max(len(callers), len(destinations), 1)
    return Picture(
        width=WIDTH,
        height=rows * _ROW + 2 * _TOP,
        nodes=tuple(nodes),
        curves=tuple(_curve(edge, callers[edge.sources], destinations[edge.destination]) for edge in listed),
    )


def _node(name: str, row: int, *, is_caller: bool) -> Node:
    shown = visible(name)
    cut = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
    x, anchor = (_LEFT - 8, "end") if is_caller else (_LEFT + _GAP + 8, "start")
    return Node(x=x, y=_height(row), text=cut, full=shown, anchor=anchor)


def _height(row: int) -> int:
    return _TOP + row * _ROW + _ROW // 2


# Where an edge bends depends on its kind, so that several between the same two names lie apart.
_BENDS: Final = {"opened": -12, "closed": 12, "changed": 4, "routing": -4}


def _curve(edge: Edge, caller: int, destination: int) -> Curve:
    start, end = _height(caller), _height(destination)
    bend = _BENDS[edge.change.value]
    left, right, half = _LEFT, _LEFT + _GAP, _GAP // 2
    path = f"M{left},{start} C{left + half},{start + bend} {right - half},{end + bend} {right},{end}"
    more = f" (and {edge.count - 1} more)" if edge.count > 1 else ""
    return Curve(
        path=path,
        change=edge.change.value,
        title=visible(f"{edge.sources} → {edge.destination}: {edge.label}{more}"),
        subject=edge.destination,
    )
