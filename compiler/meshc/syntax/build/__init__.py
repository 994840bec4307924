"""Callbacks of the grammar: the children of a reduced rule to a node of the syntax tree.

Each module has those of one part of the grammar, by the rule's name in `mesh.lark`. `PARTS` give tuples and other pieces of a node, `NODES`
a node with a span, `DOCUMENTED` one with a doc comment too. Children are what the rule lists, absent parts being None.
"""

from typing import Final

from meshc.syntax.build import conditions, declarations, policies, references, services, traffic
from meshc.syntax.machine import Callbacks

__all__ = ["CALLBACKS"]

_MODULES = (references, services, conditions, policies, traffic, declarations)

CALLBACKS: Final = Callbacks(
    parts={name: call for module in _MODULES for name, call in module.PARTS.items()},
    nodes={name: call for module in _MODULES for name, call in module.NODES.items()},
    documented={name: call for module in _MODULES for name, call in module.DOCUMENTED.items()},
)
"""A test holds that they are exactly those that the grammar calls for."""
