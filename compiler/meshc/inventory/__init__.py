"""Inventory: Kubernetes manifests -> the `service` and `namespace` declarations that they amount to.

Takes the texts of the files that `inventory "…"` names. Every declaration has its place in its file, so that messages lead
there. What cannot be understood becomes a diagnostic; what else the files hold is skipped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from meshc import ast
from meshc.diagnostics import Diagnostic
from meshc.inventory.declare import declare
from meshc.inventory.documents import read_documents, template_diagnostic
from meshc.inventory.fields import TemplateError
from meshc.inventory.manifests import Manifest, read_manifest
from meshc.source import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What manifests declare, namespaces first; every namespace that a service is in is among them."""

    declarations: tuple[ast.Namespace | ast.Service, ...]
    diagnostics: tuple[Diagnostic, ...]


def read_inventory(documents: Sequence[SourceFile]) -> Inventory:
    """Read all manifests of a program together: a Service may be in another file than its Deployment."""
    manifests: list[Manifest] = []
    found: list[Diagnostic] = []
    for source in documents:
        read, wrong = _read_file(source)
        manifests.extend(read)
        found.extend(wrong)
    declarations, wrong = declare(manifests)
    return Inventory(declarations=declarations, diagnostics=(*found, *wrong))


def _read_file(source: SourceFile) -> tuple[Sequence[Manifest], Sequence[Diagnostic]]:
    documents = read_documents(source)
    found = list(documents.diagnostics)
    manifests: list[Manifest] = []
    try:
        for root in documents.roots:
            manifests.extend(read_manifest(root, found))
    except TemplateError as template:
        return (), (template_diagnostic(template.span),)
    return manifests, found


__all__ = ["Inventory", "read_inventory"]
