"""Inventory: Kubernetes manifests -> the services and namespaces that they declare.

Texts come in, declarations come out, with their places in the YAML. Whatever the texts hold, the answer is declarations and
diagnostics; every document that can be read counts, and kinds that say nothing of services are passed over.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from meshc import ast
from meshc.diagnostics import Diagnostic
from meshc.inventory.declaring import declare
from meshc.inventory.objects import read_objects
from meshc.inventory.reading import Fields
from meshc.inventory.stream import read_documents
from meshc.source import SourceFile
from meshc.yaml_places import Node

__all__ = ["Inventory", "read_inventory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What manifests declare: every namespace once, then the services; no two of one name and namespace."""

    declarations: tuple[ast.Namespace | ast.Service, ...]
    diagnostics: tuple[Diagnostic, ...]


def read_inventory(documents: Sequence[SourceFile]) -> Inventory:
    """Read manifests, all of them as one set: a Service may pick workloads of another file."""
    fields = Fields()
    nodes: list[Node] = []
    for source in documents:
        found, diagnostics = read_documents(source)
        nodes.extend(found)
        fields.found.extend(diagnostics)
    declarations = declare(fields, tuple(read_objects(fields, nodes)))
    return Inventory(declarations=declarations, diagnostics=tuple(dict.fromkeys(fields.found)))
