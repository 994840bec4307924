"""Single values of emitted objects, edited: where requests go, and where limits are put, is not passed over."""

import copy
from collections.abc import Mapping
from typing import Any, cast

import pytest

from golden_cases import program
from meshc.difference.compare import Comparer
from meshc.difference.model import Side
from meshc.reading import bare, objects_of_documents
from meshc.target import Document
from meshc.verification import narrowed
from meshc_harness.compare import analyze_text
from meshc_istio import TARGET


def _plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _edited(value: Any, path: tuple[str, ...], old: str, new: str) -> Any:
    """A copy in which such texts at the end of such a path of names are others."""
    if isinstance(value, list):
        return [_edited(one, path, old, new) for one in value]
    if isinstance(value, dict):
        return {
            key: _edited(inner, path[1:] if path and key == path[0] else path, old, new) for key, inner in value.items()
        }
    return new if not path and value == old else value


def _seen(case: str, path: tuple[str, ...], old: str, new: str) -> tuple[bool, bool]:
    """Whether anything was edited, and whether `meshc verify` sees it."""
    mesh = analyze_text(program(case)).mesh
    assert mesh is not None
    assert TARGET.read is not None
    assert TARGET.expressed is not None
    options = {"unsupported": "warn"}
    before = [cast("Document", one) for one in TARGET.emit(mesh, options).documents]
    plain = [_plain(one.resources) for one in before]
    after = [_edited(copy.deepcopy(one), path, old, new) for one in plain]
    documents = [
        Document(path=one.path, resources=tuple(cast("Mapping[str, Any]", each) for each in resources))
        for one, resources in zip(before, after, strict=True)
    ]
    reading = TARGET.read(objects_of_documents(documents, "out"), bare(mesh), options)
    if any(one.aspects & TARGET.reads for one in reading.unknown):
        return after != plain, True
    expected = TARGET.expressed(mesh, options)
    if TARGET.expected is not None:
        expected = TARGET.expected(expected, reading.mesh)
    sides = (Side(mesh=narrowed(one, TARGET.reads)) for one in (expected, reading.mesh))
    return after != plain, bool(Comparer().compare(*sides).subjects)


@pytest.mark.parametrize(
    ("case", "path", "old", "new"),
    [
        ("split", ("subsets", "labels", "version"), "v1", "v3"),
        ("split", ("subsets", "labels", "version"), "v1", "v2"),
        (
            "plain-limits",
            ("filterChain", "filter", "name"),
            "envoy.filters.network.http_connection_manager",
            "envoy.filters.network.tcp_proxy",
        ),
    ],
)
def test_seen(case: str, path: tuple[str, ...], old: str, new: str) -> None:
    assert _seen(case, path, old, old) == (False, False)
    assert _seen(case, path, old, new) == (True, True)
