"""Every value of emitted files, edited once: the edit is seen, or the value is of those that decide nothing, for a reason."""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path as File
from random import Random
from typing import Final, cast

import pytest

from golden_cases import program
from meshc.difference.compare import Comparer
from meshc.difference.model import Side
from meshc.frontend import analyze
from meshc.ir import Mesh
from meshc.load import load
from meshc.reading import Reading, bare, objects_of_documents
from meshc.target import Document, Json
from meshc_envoy import TARGET
from meshc_envoy.read import expressed, read
from meshc_harness.compare import TODAY, analyze_text

Path = tuple[str | int, ...]

_TYPE: Final = "Envoy does not start with a type that it does not know"
_NAME: Final = "a name that nothing refers to, or that only counts and reports"
_REFUSED: Final = "Envoy refuses the file: the name is referred to, or the value is out of range"
_WORDS: Final = "what answers of the sidecar's own say, beside their status"
_SHOWN: Final = "what a line of a log or a span calls it; neither the request nor its way changes"
_HEADERS: Final = "a header for the application's or the caller's information, which no rule asks for"
_OWN_LIMIT: Final = "each route of callers says its own limit of idleness, which stands in its place"
_METRICS: Final = "the listener of metrics answers one path alone, which is compared exactly before anything is changed"

HARMLESS: Final[Mapping[str, str]] = {
    r".*\.@type": _TYPE,
    r"layered_runtime\..*": "a bound on the size of expressions: beyond it Envoy refuses the file",
    r"layered_runtime\.layers\.\*\.name": _NAME,
    r"admin\.address\.socket_address\.port_value": "only operators ask the admin interface, at an address of this machine",
    r"node\.cluster": _NAME,
    r".*\.(stat_prefix|traffic_direction|server_header_transformation)": _NAME,
    r"static_resources\.(clusters|listeners)\.\*\.name": _NAME,
    r".*\.(transport_socket|custom_validator_config|filters\.\*|http_filters\.\*|early_header_mutation_extensions\.\*)\.name": _NAME,
    r".*\.(listener_filters\.\*|access_log\.\*|extension_filter|cluster_type|sampler|wrapped_sampler|provider)\.name": _NAME,
    r".*\.(input|action|on_match\.action\.typed_config|on_no_match\.action\.typed_config|retry_host_predicate\.\*)\.name": _NAME,
    r".*\.(route_config|virtual_hosts\.\*|routes\.\*|dns_cache_config|filter_chains\.\*|request_id_extension)\.name": _NAME,
    r".*\.providers\.[^.]*\.payload_in_metadata": _REFUSED,
    r".*\.load_assignment\.cluster_name": "Envoy looks at it where endpoints are asked of a server alone",
    r".*\.dns_lookup_family": "which addresses of the same host are asked first",
    r".*\.circuit_breakers\.thresholds\.\*\.(max_\w+|priority)": "beyond the largest number there is, which is no bound",
    r".*\.retry_budget\.min_retry_concurrency": "retries that a budget always lets through; the language says shares alone",
    r".*\.host_selection_retry_max_attempts": "how often another endpoint is looked for before one is tried twice",
    r".*\.(local_reply_config\.mappers\.\*\.(body|headers_to_add)|rate_limited_as_resource_exhausted).*": _WORDS,
    r".*\.log_format\.json_format\.(from|to)": _SHOWN,
    r".*\.metadata\.filter_metadata\.meshc\.destinations\.to": _SHOWN,
    r".*\.on_request_headers\.\*\..*": _SHOWN,
    r".*\.tracing\.(operation|provider\.typed_config\.(service_name|grpc_service\.timeout))": _SHOWN,
    r".*\.request_id_extension\.typed_config\.pack_trace_reason": _SHOWN,
    r".*\.(generate_request_id|preserve_external_request_id|suppress_envoy_headers)": _HEADERS,
    r".*\.(request_headers_to_remove\.\*|set_current_client_cert_details\.uri)": _HEADERS,
    r".*\.sds_config\.resource_api_version": _REFUSED,
    r".*\.virtual_hosts\.\*\.domains\.\*": "a short form of a name that is no more known: its calls are refused, as the table says",
    r".*\.token_bucket\.(max_tokens|tokens_per_fill|fill_interval)": "the bucket of what no descriptor counts",
    r".*\.max_early_data_bytes": "how much is kept of what a caller sends before its application is connected",
    r".*\.actions\.\*\.extension\.name": _NAME,
    r".*\.max_dynamic_descriptors": "more callers that are counted one by one; fewer are seen",
    r".*\.connect_timeout": "of the application, a collector, an agent or an issuer: how long is waited for who does not answer",
}
"""Shapes of paths, and why what stands there decides nothing. Some are known to decide in other places, and are seen there."""

_CASES: Final = (
    ("allow-and-deny", {}),
    ("conditions", {}),
    ("jwt", {}),
    ("routes", {}),
    ("rate-limits", {}),
    ("mtls-permissive", {"certificates": "sds"}),
    ("external-traffic", {"tls-directory": "/run/tls"}),
    ("retries", {}),
    ("faults", {}),
    ("federation", {}),
    ("tcp", {}),
)


@dataclass(frozen=True, slots=True)
class _Case:
    mesh: Mesh
    documents: tuple[Document, ...]
    options: Mapping[str, str]
    expected: Side

    def read(self, number: int, data: Json) -> Reading:
        documents = [*self.documents]
        documents[number] = replace(documents[number], resources=(cast("Mapping[str, Json]", data),))
        return read(objects_of_documents(documents, "out"), bare(self.mesh), self.options)

    def is_seen(self, number: int, data: Json) -> bool:
        """As `meshc verify` sees it."""
        reading = self.read(number, data)
        if reading.unknown or not {one.text for one in reading.assumptions} <= set(TARGET.assumes(self.options)):
            return True
        return bool(Comparer().compare(self.expected, Side(mesh=reading.mesh)).subjects)


def _case_of(mesh: Mesh | None, options: Mapping[str, str]) -> _Case:
    assert mesh is not None
    documents = tuple(
        replace(one, resources=tuple(cast("Mapping[str, Json]", _plain(each)) for each in one.resources))
        for one in TARGET.emit(mesh, options).documents
    )
    assert documents
    return _Case(mesh, documents, options, Side(mesh=expressed(mesh, options)))


@cache
def _example(name: str) -> _Case:
    loaded = load(File(__file__).parents[4] / "policies" / "examples" / name)
    found = analyze(
        loaded.modules, loaded.inventory, loaded.comments, environment=None, today=TODAY, earlier=loaded.diagnostics
    )
    return _case_of(found.mesh, {})


def _plain(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _leaves(value: Json, at: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*at, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _leaves(inner, (*at, place))
    else:
        yield at


def _shape(path: Path) -> str:
    return ".".join("*" if isinstance(one, int) else one for one in path)


def _edited(data: Json, path: Path) -> Json:
    """A copy with another value in this place."""
    edited = copy.deepcopy(data)
    holder: Json = edited
    for step in path[:-1]:
        holder = cast("dict[str | int, Json]", holder)[step]
    parent, last = cast("dict[str | int, Json]", holder), path[-1]
    parent[last] = _other(parent[last])
    return edited


def _other(value: Json) -> Json:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    text = str(value)
    return "7.5s" if re.fullmatch(r"[0-9.]+s", text) else f"{text}x"


def _listener(case: _Case, number: int, path: Path) -> str:
    """The name of the listener that the value is within; empty for none."""
    static = cast("dict[str, list[dict[str, Json]]]", case.documents[number].resources[0]["static_resources"])
    if path[:2] != ("static_resources", "listeners"):
        return ""
    return str(static["listeners"][cast("int", path[2])]["name"])


def _is_mark(case: _Case, number: int, path: Path) -> bool:
    """Whether the value is of rules that mark connections for a log, and are no shadow rules of the program."""
    if path[-1] != "shadow_rules_stat_prefix" and "shadow_rules" not in path:
        return False
    holder: Json = cast("Json", case.documents[number].resources[0])
    for step in path[: path.index("typed_config") + 1]:
        holder = cast("dict[str | int, Json]", holder)[step]
    prefix = str(cast("dict[str, Json]", holder).get("shadow_rules_stat_prefix"))
    return "http_filters" not in path and not prefix.startswith("shadow-")


def _reason(case: _Case, number: int, path: Path) -> str | None:
    listener = _listener(case, number, path)
    if listener == "metrics" and (path[-1] == "timeout" or not {"routes", "address", "http_filters"} & set(path)):
        return _METRICS
    if listener and not listener.startswith("inbound") and path[-1] == "stream_idle_timeout":
        return _OWN_LIMIT
    if _is_mark(case, number, path):
        return _SHOWN
    found = [reason for shape, reason in HARMLESS.items() if re.fullmatch(shape, _shape(path))]
    return found[0] if found else None


def _sample(case: _Case, each: int, rng: Random) -> list[tuple[int, Path]]:
    """At most so many places of each shape; 0 for all."""
    shapes: dict[str, list[tuple[int, Path]]] = {}
    for number, document in enumerate(case.documents):
        for path in _leaves(cast("Json", document.resources[0])):
            shapes.setdefault(_shape(path), []).append((number, path))
    return [one for found in shapes.values() for one in (rng.sample(found, min(each, len(found))) if each else found)]


def _unseen(case: _Case, each: int, seed: str) -> tuple[int, list[str]]:
    """How many edits were tried, and those that went unnoticed without a reason."""
    places = _sample(case, each, Random(seed))
    found = [
        f"{case.documents[number].path}: {'/'.join(map(str, path))}"
        for number, path in places
        if _reason(case, number, path) is None and not _is_seen(case, number, path)
    ]
    return len(places), found


def _is_seen(case: _Case, number: int, path: Path) -> bool:
    """Whether the edit is seen."""
    return case.is_seen(number, _edited(cast("Json", case.documents[number].resources[0]), path))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), _CASES, ids=[name for name, _ in _CASES])
def test_each_kind_of_value(name: str, options: Mapping[str, str]) -> None:
    tried, unseen = _unseen(_case_of(analyze_text(program(name)).mesh, options), 1, name)
    assert tried > 40
    assert not unseen, "\n".join(unseen)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bookinfo", "online-boutique"])
def test_every_value_of_the_examples(name: str) -> None:
    case = _example(name)
    tried, unseen = _unseen(case, 0 if name == "bookinfo" else 4, name)
    assert tried > 500
    assert not unseen, "\n".join(unseen)


@pytest.mark.slow
def test_every_reason_is_needed() -> None:
    """A reason that no emitted file needs says nothing."""
    cases = [_case_of(analyze_text(program(name)).mesh, options) for name, options in _CASES]
    cases.append(_example("bookinfo"))
    shapes = {_shape(path) for case in cases for _, path in _sample(case, 1, Random(0))}
    unused = [shape for shape in HARMLESS if not any(re.fullmatch(shape, one) for one in shapes)]
    assert not unused


def _moved(value: Json, old: str, new: str) -> Json:
    if isinstance(value, dict):
        return {key: _moved(inner, old, new) for key, inner in value.items()}
    if isinstance(value, list):
        return [_moved(one, old, new) for one in value]
    return value.replace(old, new) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("name", "options", "old"),
    [
        ("allow-and-deny", {}, "/etc/meshc/tls"),
        ("federation", {"tls-directory": "/run/tls"}, "/run/tls"),
        ("mtls-permissive", {"certificates": "sds"}, "/run/spire/sockets/agent.sock"),
        ("jwt", {}, "https://"),
    ],
)
def test_moving_all_that_lies_together_is_seen(name: str, options: Mapping[str, str], old: str) -> None:
    """Certificates, bundles and agents elsewhere are somebody else's, however well they fit each other."""
    case = _case_of(analyze_text(program(name)).mesh, options)
    moved = 0
    for number, document in enumerate(case.documents):
        data = cast("Json", document.resources[0])
        other = _moved(data, old, f"/tmp{old}" if old.startswith("/") else "http://")
        if other != data:
            moved += 1
            assert case.is_seen(number, other)
    assert moved


def test_files_of_other_options_are_not_verified() -> None:
    """Files compiled for another folder are not those of the options, though they say the same rules."""
    mesh = analyze_text(program("allow-and-deny")).mesh
    assert mesh is not None
    documents = TARGET.emit(mesh, {"tls-directory": "/elsewhere"}).documents
    reading = read(objects_of_documents(documents, "out"), bare(mesh), {})
    assert not reading.unknown
    assumed = {one.text for one in reading.assumptions} - set(TARGET.assumes({}))
    assert "the certificate in `/elsewhere/cert.pem` is the sidecar's" in assumed
