"""Layout: emitted objects -> files, as GitOps tools take them.

One file for each service in a folder for each namespace, `mesh.yaml` for what belongs to no service, and a
`kustomization.yaml` that lists every one, so that `kubectl apply -k` and Argo CD take the folder as it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from meshc.errors import InternalError
from meshc.kubernetes.models import Resource, resource_data
from meshc.source import Span
from meshc.target import Document

KUSTOMIZATION: Final = "kustomization.yaml"
MESH: Final = "mesh.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An object and the service, by namespace and name, that its file is for; `owner` is None for the whole mesh."""

    owner: tuple[str, str] | None
    resource: Resource
    sources: tuple[Span, ...] = ()


def lay_out(placed: Iterable[Placed], settings: Iterable[Document] = ()) -> tuple[Document, ...]:
    """The files, sorted by path; objects keep their order within one. `settings` are files that are not applied as objects.

    Raises InternalError for two objects of one name, of which a cluster would keep the last.
    """
    files: dict[str, list[Placed]] = {}
    names: set[tuple[str, str | None, str]] = set()
    for one in placed:
        name = (one.resource.kind, one.resource.metadata.namespace, one.resource.metadata.name)
        if name in names:
            raise InternalError(f"two objects are called {name}")
        names.add(name)
        files.setdefault(_path(one.owner), []).append(one)
    documents = [_document(path, objects) for path, objects in files.items()]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(files),
    }
    documents += [Document(path=KUSTOMIZATION, resources=(kustomization,)), *settings]
    return tuple(sorted(documents, key=lambda document: document.path))


def _path(owner: tuple[str, str] | None) -> str:
    return MESH if owner is None else f"{owner[0]}/{owner[1]}.yaml"


def _document(path: str, objects: list[Placed]) -> Document:
    sources = dict.fromkeys(span for one in objects for span in one.sources)
    return Document(path=path, resources=tuple(resource_data(one.resource) for one in objects), sources=tuple(sources))
