"""Coverage by meaning: which rules, clauses, regions and routes the `test` blocks of a program exercise, and tests for the rest."""

from meshc.coverage.measure import Measured, measure
from meshc.coverage.model import Count, Coverage, Edge, Entry, Item, Kind, Program, Standing, Undecided, count, percent
from meshc.coverage.suggest import Suggested, Suggestions, suggest

__all__ = [
    "Count",
    "Coverage",
    "Edge",
    "Entry",
    "Item",
    "Kind",
    "Measured",
    "Program",
    "Standing",
    "Suggested",
    "Suggestions",
    "Undecided",
    "count",
    "measure",
    "percent",
    "suggest",
]
