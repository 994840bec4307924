"""The services that manifests declare, as a mesh without policy."""

from collections.abc import Sequence
from datetime import date

from meshc.diagnostics import Diagnostic
from meshc.inventory import read_inventory
from meshc.ir import Mesh
from meshc.lower.program import lower
from meshc.reading import bare
from meshc.resolve import collect
from meshc.source import SourceFile


def known_services(sources: Sequence[SourceFile]) -> tuple[Mesh, tuple[Diagnostic, ...]]:
    """The services, and what is wrong with their manifests."""
    inventory = read_inventory(sources)
    symbols, found = collect({}, inventory.declarations, None)
    lowered = lower(symbols, today=date.min)
    return bare(lowered.mesh), (*inventory.diagnostics, *found, *lowered.diagnostics)
