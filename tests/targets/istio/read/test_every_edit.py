"""Every edit of emitted files: each value, key and entry of a list, left out, changed, put twice or elsewhere.

Each is seen, or an evaluator of Istio by another hand answers every request as before, or it is listed here, with the reason why it says
nothing.
"""

import copy
import re
from collections.abc import Iterator
from random import Random
from typing import Final, cast

import pytest

from golden_cases import program
from meshc.reading import bare, objects_of_documents
from meshc.target import Json
from meshc_harness.istio_edits import (
    Case,
    Path,
    answers,
    case_of,
    is_seen,
    istio_of,
    paths,
    plain,
    requests_of,
    with_object,
)
from meshc_istio.read import read

CASES: Final = (
    "access-log", "addresses", "allow-and-deny", "balancing", "breakers", "default-allow", "default-deny", "ejection",
    "external-ca", "external-https", "external-plain", "external-tls", "external-wildcards", "faults", "grpc", "hashing", "header-tests",
    "host-domain", "host-equals", "host-parts", "host-present", "idle-tcp", "jwt-options", "jwt-url", "methods", "metrics", "mirror",
    "mtls-off", "mtls-permissive", "negation", "other-destination", "plain-limits", "plain-retries", "probes", "regions",
    "retry-backoff", "retry-budget", "retry-conditions", "rewrites", "route-regex", "routes", "shadow-rules", "tcp", "trace",
)  # fmt: skip
_REQUESTS: Final = 40
_SWAPS: Final = {
    "GET": "POST", "POST": "GET", "ALLOW": "DENY", "DENY": "ALLOW", "STRICT": "PERMISSIVE", "PERMISSIVE": "STRICT", "v1": "v2", "v2": "v1",
}  # fmt: skip

_LISTED: Final = (
    (r"metadata\.(labels|annotations).*", r".*", "what people and tools say of an object"),
    (r"metadata\.name", r"=.*", "what an object is called"),
    (r"spec\.(http|tcp|tls)\.#\.name", r".*", "what a route is called"),
    (r"spec\.configPatches\.#\.patch\.value\.name", r".*", "what a filter is called"),
    (r".*\.(stat_prefix|runtime_key)", r".*", "what counters and overrides are called"),
    # An object without a namespace is one of `default`: hosts are written in full, and routes hold for callers everywhere.
    (r"metadata(\.namespace)?", r"delete", "the place of an object whose hosts are written in full"),
    (r"spec\.workloadSelector.*|spec\.selector.*", r"delete", "the only service of its namespace that has such a port"),
    (r"spec\.configPatches\.#\.match\.listener\.portNumber", r"delete", "the only port of requests"),
    (r"spec\.(accessLogging|tracing|metrics)\.#(\.providers\.#)?", r"twice", "the same report"),
    (r"meshConfig\.extensionProviders\.#", r"twice|swap", "providers are known by their names"),
)
"""Paths and edits, as expressions, and why they say nothing."""

_DEFAULTS: Final[dict[str, Json]] = {
    "loadBalancer.simple": "LEAST_REQUEST",
    "loadBalancer.localityLbSetting.enabled": True,
    "consistentHash.ringHash": {"minimumRingSize": 1024},
    "consistentHash.ringHash.minimumRingSize": 1024,
    "consistentHash.maglev.tableSize": 65_537,
    "outlierDetection.consecutive5xxErrors": 5,
    "outlierDetection.consecutiveGatewayErrors": 0,
    "outlierDetection.interval": "10s",
    "outlierDetection.baseEjectionTime": "30s",
    "outlierDetection.maxEjectionPercent": 10,
    "outlierDetection.minHealthPercent": 0,
    "default_value.denominator": "HUNDRED",
    "envoyFileAccessLog.path": "/dev/stdout",
}
"""What Istio and Envoy take where nothing is said: leaving it out, or writing 0 where that is nothing, changes nothing."""

_BUILT_IN: Final = "prometheus"
"""A provider of every mesh, whether or not MeshConfig names it."""

_UNKNOWN_KINDS: Final = frozenset({"EnvoyFilter", "Telemetry"})
"""Objects of which the evaluator has no answer."""


def _at(data: Json, path: Path) -> tuple[Json, Json]:
    """A copy of an object, and what holds the last step of a path in it."""
    edited = copy.deepcopy(data)
    holder = edited
    for step in path[:-1]:
        holder = cast("dict[str | int, Json]", holder)[step]
    return edited, holder


def _replacements(value: Json) -> tuple[Json, ...]:
    match value:
        case bool():
            return (not value,)
        case str():
            return tuple(dict.fromkeys((_SWAPS.get(value) or f"{value}x", f"{value}*", value[:-1])))
        case int() | float():
            return tuple(one for one in (value + 1, 0) if one != value)
        case _:
            return ()


def _edits(data: Json) -> Iterator[tuple[Path, str, Json]]:
    """Every edit of an object: its place, what was done, and the object afterwards."""
    for path in paths(data):
        edited, holder = _at(data, path)
        last = path[-1]
        value = cast("dict[str | int, Json]", holder)[last]
        del cast("dict[str | int, Json]", holder)[last]
        yield path, "delete", edited
        for other in _replacements(value):
            edited, holder = _at(data, path)
            cast("dict[str | int, Json]", holder)[last] = other
            yield path, f"={other}", edited
        if isinstance(last, int):
            edited, holder = _at(data, path)
            listed = cast("list[Json]", holder)
            listed.insert(last, copy.deepcopy(listed[last]))
            yield path, "twice", edited
            edited, holder = _at(data, path)
            listed = cast("list[Json]", holder)
            if last + 1 < len(listed) and listed[last] != listed[last + 1]:
                listed[last : last + 2] = listed[last + 1], listed[last]
                yield path, "swap", edited


def _is_listed(data: Json, path: Path, how: str) -> bool:
    key = ".".join("#" if isinstance(step, int) else step for step in path)
    if any(re.fullmatch(where, key) and re.fullmatch(edit, how) for where, edit, _ in _LISTED):
        return True
    value = data
    for step in path:
        value = cast("dict[str | int, Json]", value)[step]
    usual = next((one for name, one in _DEFAULTS.items() if key.endswith(f".{name}")), None)
    if usual is not None and value == usual and how in {"delete", "=0"}:
        return True
    return (
        key.startswith("meshConfig.extensionProviders") and _BUILT_IN in str(value) and how.startswith(("delete", "="))
    )


def _said(value: Json) -> Json:
    """Without lists that are empty and ports that are 0: in Istio's own form of objects neither is there."""
    if isinstance(value, dict):
        return {key: _said(one) for key, one in value.items() if one != [] and (key, one) != ("port", 0)}
    return [_said(one) for one in value] if isinstance(value, list) else value


def _changes_nothing(case: Case, number: int, place: int, edited: Json, before: list[tuple[object, ...]]) -> bool:
    """Whether the evaluator answers as before; of an object that Istio refuses, whether or not it is there."""
    kind = cast("dict[str, Json]", edited).get("kind")
    if kind in _UNKNOWN_KINDS:
        return False
    istio = istio_of(case.mesh, with_object(case, number, place, _said(edited)))
    if istio is None and kind is not None:
        istio = istio_of(case.mesh, with_object(case, number, place, None))
    return istio is not None and all(answers(case, istio, request) == answer for request, answer in before)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_edit(name: str) -> None:
    case = case_of(program(name))
    usual = istio_of(case.mesh, case.documents)
    assert usual is not None
    requests = list(requests_of(case, Random(name), _REQUESTS))
    before = [(one, answers(case, usual, one)) for one in requests]
    seen, passed = 0, []
    for number, document in enumerate(case.documents):
        for place, resource in enumerate(document.resources if document.path != "kustomization.yaml" else ()):
            data = plain(resource)
            for path, how, edited in _edits(data):
                if _is_listed(data, path, how):
                    continue
                documents = with_object(case, number, place, edited)
                if is_seen(case, read(objects_of_documents(documents, "out"), bare(case.mesh), {})):
                    seen += 1
                elif not _changes_nothing(case, number, place, edited, before):
                    passed.append((document.path, resource.get("kind"), path, how))
    assert not passed
    assert seen >= 20
