"""Edits of emitted files: each is seen, or touches what is known to decide nothing."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import cast

import pytest

from golden_cases import program
from meshc.difference.compare import Comparer
from meshc.difference.model import Side
from meshc.ir import Mesh
from meshc.reading import Reading, bare, objects_of_documents
from meshc.target import Document, Json
from meshc_envoy import TARGET
from meshc_envoy.read import expressed, read
from meshc_harness.compare import analyze_text

_CASES = (
    "allow-and-deny",
    "conditions",
    "jwt",
    "routes",
    "rate-limits",
    "mtls-permissive",
    "split",
    "retries",
    "faults",
)
_DECISIVE = frozenset(
    {
        "permissions",
        "principals",
        "policies",
        "action",
        "header",
        "url_path",
        "principal_name",
        "authenticated",
        "exact",
        "prefix",
        "suffix",
        "and_rules",
        "or_rules",
        "not_rule",
        "require_client_certificate",
        "issuer",
        "audiences",
        "providers",
        "requires",
        "routes",
        "match",
        "headers",
        "query_parameters",
        "weighted_clusters",
        "weight",
        "cluster",
        "retry_policy",
        "num_retries",
        "retry_on",
        "timeout",
        "token_bucket",
        "tokens_per_fill",
        "fill_interval",
        "max_tokens",
        "delay",
        "abort",
        "percentage",
        "http_filters",
        "filters",
        "filter_chains",
    }
)
"""Fields below which every edit that says something else must be seen."""

_HARMLESS = frozenset({"local_reply_config"})
"""Fields below which only the words of answers are."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    mesh: Mesh
    documents: tuple[Document, ...]
    plain: Side


@cache
def _case(name: str) -> _Case:
    mesh = analyze_text(program(name)).mesh
    assert mesh is not None
    return _Case(mesh, TARGET.emit(mesh, {}).documents, Side(mesh=expressed(mesh, {})))


def _plain(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _paths(value: Json, at: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key)
            yield from _paths(inner, (*at, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield (*at, place)
            yield from _paths(inner, (*at, place))


def _read(case: _Case, number: int, data: Json) -> Reading:
    documents = [*case.documents]
    documents[number] = replace(documents[number], resources=(cast("Mapping[str, Json]", data),))
    return read(objects_of_documents(documents, "out"), bare(case.mesh), {})


def _is_seen(case: _Case, reading: Reading) -> bool:
    usual = read(objects_of_documents(case.documents, "out"), bare(case.mesh), {})
    if reading.unknown or {one.text for one in reading.assumptions} != {one.text for one in usual.assumptions}:
        return True
    return bool(Comparer().compare(case.plain, Side(mesh=reading.mesh)).subjects)


def _edited(data: Json, path: Path, rng: Random) -> Json:
    """A copy with one part taken out or changed."""
    edited = copy.deepcopy(data)
    holder: Json = edited
    for step in path[:-1]:
        holder = cast("dict[str | int, Json]", holder)[step]
    parent, last = cast("dict[str | int, Json]", holder), path[-1]
    value = parent[last]
    if value == "ALLOW":
        parent[last] = "DENY"  # what is left out means the same
        return edited
    if isinstance(value, bool):
        parent[last] = not value
    elif isinstance(value, str) and rng.random() < 0.7:
        parent[last] = {"GET": "POST", "POST": "GET", "ALLOW": "DENY", "DENY": "ALLOW"}.get(value, f"{value}x")
    elif isinstance(value, int):
        parent[last] = value + 1
    else:
        del parent[last]
    return edited


def _decisive(path: Path) -> bool:
    """Whether the edit is one of something decisive.

    The bucket of what no descriptor counts is as large as can be, shadow rules here are marks, whose action says nothing,
    and on connections the handshake admits nobody else than the rules do.
    """
    if path[-2:] == ("shadow_rules", "action") or ("rules" in path and "http_filters" not in path):
        return False
    if "token_bucket" in path and "descriptors" not in path:
        return False
    return path[-1] in _DECISIVE and path[0] == "static_resources" and not any(step in _HARMLESS for step in path)


@pytest.mark.slow
@pytest.mark.parametrize("name", _CASES)
def test_decisive_edits_are_seen(name: str) -> None:
    case, rng = _case(name), Random(name)
    unseen: list[Path] = []
    tried = 0
    for number, document in enumerate(case.documents):
        data = _plain(document.resources[0])
        found = [path for path in _paths(data) if _decisive(path)]
        for path in rng.sample(found, min(len(found), 25)):
            tried += 1
            if not _is_seen(case, _read(case, number, _edited(data, path, rng))):
                unseen.append((number, *path))
    assert tried >= 10
    assert not unseen, "\n".join(map(str, unseen))


@pytest.mark.slow
def test_any_edit_is_read_without_a_failure() -> None:
    """Whatever is taken out or changed, there is a reading; and most edits are seen."""
    seen = tried = 0
    for name in _CASES[:4]:
        case, rng = _case(name), Random(f"any {name}")
        for number, document in enumerate(case.documents):
            data = _plain(document.resources[0])
            paths = list(_paths(data))
            for path in rng.sample(paths, 40):
                tried += 1
                seen += _is_seen(case, _read(case, number, _edited(data, path, rng)))
    assert seen >= tried * 0.4
