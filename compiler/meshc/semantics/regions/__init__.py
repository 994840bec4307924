"""Exact access semantics of one destination port: what becomes of all its requests at once, as decision diagrams.

Invariants, differences and dead rules stand on this. `docs/decisions/007-regions.md` says why it is done so.
"""

from meshc.semantics.languages import TooComplexError
from meshc.semantics.regions.compare import (
    Change,
    ChangedPart,
    PortDifference,
    PortPair,
    Turn,
    compare,
    differing_ports,
)
from meshc.semantics.regions.describe import Part, Term
from meshc.semantics.regions.diagram import Diagram, Region
from meshc.semantics.regions.ports import Cause, Outcome, PortSide, sides_of
from meshc.semantics.regions.rules import RuleRegion
from meshc.semantics.regions.space import Question, Space

__all__ = [
    "Cause",
    "Change",
    "ChangedPart",
    "Diagram",
    "Outcome",
    "Part",
    "PortDifference",
    "PortPair",
    "PortSide",
    "Question",
    "Region",
    "RuleRegion",
    "Space",
    "Term",
    "TooComplexError",
    "Turn",
    "compare",
    "differing_ports",
    "sides_of",
]
