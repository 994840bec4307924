"""Path patterns without expressions, as a tree of segments that all of them share."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from meshc.ir import ExactPath, TemplatePath

Nodes = frozenset[int]
"""Where in the tree a path may be after some segments; the root is 0."""

ROOT: Nodes = frozenset({0})


@dataclass(slots=True)
class _Node:
    """Bit i of `ends` is set where pattern i ends here, of `rests` where it ends here with `/**`."""

    literal: dict[str, int] = field(default_factory=dict)
    capture: int | None = None
    ends: int = 0
    rests: int = 0


class Templates:
    """Patterns with their labels, one bit for each test."""

    def __init__(self) -> None:
        self._nodes = [_Node()]

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self._nodes)

    def add(self, pattern: ExactPath | TemplatePath, label: int) -> None:
        """Add a pattern; one that no path matches is left out."""
        match pattern:
            case ExactPath(path=path):
                segments: Iterable[str | None] = path[1:].split("/")
                rest = False
            case TemplatePath():
                segments, rest = pattern.segments, pattern.rest
        at = 0
        for segment in segments:
            at = self._child(at, segment)
        if rest:
            self._nodes[at].rests |= label
        else:
            self._nodes[at].ends |= label

    def _child(self, at: int, segment: str | None) -> int:
        node = self._nodes[at]
        child = node.capture if segment is None else node.literal.get(segment)
        if child is None:
            child = len(self._nodes)
            self._nodes.append(_Node())
            if segment is None:
                node.capture = child
            else:
                node.literal[segment] = child
        return child

    def literals(self, nodes: Nodes) -> list[str]:
        """The segments that some pattern names next."""
        return list(dict.fromkeys(segment for at in sorted(nodes) for segment in self._nodes[at].literal))

    def after(self, nodes: Nodes, segment: str | None) -> Nodes:
        """Where a path is after one more segment; None is one that no pattern names, and it is not empty."""
        found: set[int] = set()
        for at in nodes:
            node = self._nodes[at]
            if segment is not None and (child := node.literal.get(segment)) is not None:
                found.add(child)
            if segment != "" and node.capture is not None:
                found.add(node.capture)
        return frozenset(found)

    def ending(self, nodes: Nodes) -> int:
        """The patterns without `/**` that a path matches which ends here."""
        found = 0
        for at in nodes:
            found |= self._nodes[at].ends
        return found

    def resting(self, nodes: Nodes) -> int:
        """The patterns with `/**` that every path matches which comes by here."""
        found = 0
        for at in nodes:
            found |= self._nodes[at].rests
        return found
