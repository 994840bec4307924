"""Edits of a compiled sidecar's file, and whether its reading is another one then."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from meshc import ir
from meshc.reading import Reading, bare, objects_of_documents
from meshc.target import Document
from meshc_envoy import TARGET
from meshc_envoy.read import read
from meshc_harness.compare import analyze_text

Data = dict[str, Any]
_TYPES: Final = "type.googleapis.com/envoy.extensions.filters"
NETWORK_RBAC: Final = f"{_TYPES}.network.rbac.v3.RBAC"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True)
class Edited:
    """A program, and its compiled files, of which one can be edited."""

    mesh: ir.Mesh
    documents: tuple[Document, ...]

    def reading(self, path: str, edit: Callable[[Data], object]) -> Reading:
        """The reading of all files with one edited."""
        documents = copy.deepcopy(self.documents)
        (edited,) = (one for one in documents if one.path == path)
        before = copy.deepcopy(edited.resources[0])
        edit(edited.resources[0])
        assert edited.resources[0] != before, "nothing was edited"
        return self._read(documents)

    def is_seen(self, reading: Reading) -> bool:
        """Whether it differs from that of the files as they were compiled, or is no proof."""
        assumed = {one.text for one in reading.assumptions} <= set(TARGET.assumes({}))
        return bool(reading.unknown) or not assumed or reading.mesh != self._read(self.documents).mesh

    def _read(self, documents: tuple[Document, ...]) -> Reading:
        return read(objects_of_documents(documents, "envoy"), bare(self.mesh), {})


def compiled(program: str) -> Edited:
    """A program that compiles without a mistake."""
    mesh = analyze_text(program).mesh
    assert mesh is not None
    documents = TARGET.emit(mesh, {}).documents
    plain = tuple(replace(one, resources=tuple(map(_plain, one.resources))) for one in documents)
    return Edited(mesh, plain)


def manager(data: Data, port: int = 8080, chain: int = 0) -> Data:
    """The connection manager of a port's filter chain."""
    listener = next(one for one in data["static_resources"]["listeners"] if one["name"] == f"inbound/{port}")
    return listener["filter_chains"][chain]["filters"][-1]["typed_config"]


def http_filter(data: Data, name: str) -> Data:
    """The configuration of an HTTP filter of port 8080."""
    return next(one for one in manager(data)["http_filters"] if one["name"] == name)["typed_config"]


def messages_with(value: Any, name: str) -> list[Data]:
    """All messages that have a field."""
    if isinstance(value, dict):
        return [value] * (name in value) + [one for inner in value.values() for one in messages_with(inner, name)]
    return [one for inner in value for one in messages_with(inner, name)] if isinstance(value, list) else []
