"""Resolve: from parsed files to one table of declarations, for one environment."""

from meshc.resolve.modules import BASE, ENVIRONMENT, INVENTORY, Entry, Module, Names
from meshc.resolve.symbols import Key, Placed, Policy, Symbols, collect

__all__ = [
    "BASE",
    "ENVIRONMENT",
    "INVENTORY",
    "Entry",
    "Key",
    "Module",
    "Names",
    "Placed",
    "Policy",
    "Symbols",
    "collect",
]
