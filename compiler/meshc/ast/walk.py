"""Walk: every node of a syntax tree."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from meshc.source import Span

_known: dict[type, tuple[str, ...] | None] = {}
"""The fields to follow, by class: found out once."""


def nodes(root: object) -> Iterator[object]:
    """A node, or each of a tuple, and all nodes below, in no particular order."""
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if type(one) is tuple:
            waiting.extend(one)
            continue
        kind = type(one)
        if kind not in _known:
            _known[kind] = _children(kind)
        names = _known[kind]
        if names is not None:
            yield one
            for name in names:
                child = getattr(one, name)
                if type(child) is not str and child is not None:
                    waiting.append(child)


def _children(kind: type) -> tuple[str, ...] | None:
    """The fields of a class of nodes that may hold others; None for what is no node."""
    if not is_dataclass(kind) or kind is Span:
        return None
    return tuple(field.name for field in fields(kind) if field.name not in {"span", "doc"})
