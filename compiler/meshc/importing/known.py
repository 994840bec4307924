"""The services that manifests declare, as a mesh without policy."""

from collections.abc import Sequence
from dataclasses import replace
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


def in_trust_domains(known: Mesh, domains: tuple[str, ...]) -> Mesh:
    """The known services with their identities in the trust domain that a mesh turned out to have; manifests name none."""
    workloads = tuple(
        replace(one, identity=f"spiffe://{domains[0]}/ns/{one.namespace}/sa/{one.service_account}")
        for one in known.workloads
    )
    return replace(known, trust_domains=domains, workloads=workloads)
