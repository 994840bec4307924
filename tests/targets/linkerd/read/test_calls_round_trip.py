"""How calls travel: random programs read back as they were, edits of their files are seen, and readings are what proxies do."""

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import yaml

from meshc.ir import Mesh
from meshc.reading import bare, objects_of_source
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc.source import SourceFile
from meshc.target import Emission
from meshc.verification import verify
from meshc_harness.compare import analyze_text
from meshc_harness.expressible import Expressed, expressed
from meshc_harness.linkerd import Outbound, Precedence, RejectedError, Sent
from meshc_harness.linkerd.comparison import cluster_of, documents_of, on_the_wire, route_differences
from meshc_harness.linkerd_routes import travel_program, travel_request
from meshc_linkerd import TARGET
from meshc_linkerd.read import read

CHUNKS = 5
PROGRAMS = 100
EDITS = 40
REQUESTS = 60


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_programs(chunk: int) -> None:
    proven = 0
    for seed in range(chunk * PROGRAMS, (chunk + 1) * PROGRAMS):
        mesh = analyze_text(travel_program(Random(seed))).mesh
        emission = None if mesh is None else TARGET.emit(mesh, {})
        if mesh is None or emission is None or not emission.documents:
            continue  # more than Linkerd can express
        found = verify(TARGET, mesh, emission.documents, {}, {})
        assert not found, travel_program(Random(seed)) + "\n".join(one.message for one in found)
        proven += 1
    assert proven > PROGRAMS * 0.7


# ---- edits ----------------------------------------------------------------------------------------------------------

_CALLERS = frozenset({"HTTPRoute", "GRPCRoute", "Service", "HTTPLocalRateLimitPolicy"})
_OTHERS: dict[str, list[Any]] = {
    "method": ["GET", "POST", "DELETE"],
    "type": ["Exact", "PathPrefix", "RegularExpression"],
    "value": ["/", "/a", "^(?:/.*)$", "yes", "no"],
    "name": ["cart", "stock", "cart-v1", "x-b"],
    "port": [80, 90],
    "weight": [0, 1, 50],
    "request": ["1s", "2s"],
    "statusCode": [301, 302],
    "hostname": ["other.example"],
    "replaceFullPath": ["/", "/other"],
    "requestsPerSecond": [5, 7000],
    "retry.linkerd.io/http": ["5xx", "gateway-error"],
    "retry.linkerd.io/limit": ["1", "9"],
    "retry.linkerd.io/timeout": ["1s"],
    "timeout.linkerd.io/idle": ["1s"],
    "version": ["v1", "v2"],
}
_PARTS = ("spec", "metadata")


def _is_of_callers(one: dict[str, Any]) -> bool:
    parents = one["spec"].get("parentRefs", ()) if "spec" in one else ()
    return one["kind"] in _CALLERS and all(parent["kind"] == "Service" for parent in parents)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        if path != ("metadata",) or step == "annotations":
            yield (*path, step)
            yield from _places(inner, (*path, step))


def _edited(rng: Random, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects with one of the callers' gone, a part of one gone or changed, or a list in another order."""
    edited = copy.deepcopy(documents)
    number = rng.choice([number for number, one in enumerate(edited) if _is_of_callers(one)])
    if rng.random() < 0.1:
        return edited[:number] + edited[number + 1 :]
    parts = {part: edited[number][part] for part in _PARTS if part in edited[number]}
    path = rng.choice([one for one in _places(parts) if len(one) > 1])
    holder: Any = parts
    for step in path[:-1]:
        holder = holder[step]
    others = [one for one in _OTHERS.get(str(path[-1]), []) if one != holder[path[-1]]]
    if others and rng.random() < 0.7:
        holder[path[-1]] = rng.choice(others)
    elif isinstance(holder, list) and len(holder) > 1 and rng.random() < 0.4:
        holder.reverse()
    else:
        del holder[path[-1]]
    return edited


def _sent(mesh: Mesh, documents: list[dict[str, Any]], requests: Sequence[Request]) -> list[object] | None:
    """What callers' proxies do under both orders; None for objects that no cluster would take, or whose age would decide."""
    try:
        cluster = cluster_of(mesh, documents)
        found: list[object] = []
        for request in requests:
            raw = on_the_wire(mesh, request, cluster)
            assert raw is not None
            for order in Precedence:
                sent = Outbound(cluster, order).send(request.namespace, request.service, request.port, raw)
                found.append(_as_one(sent))
    except (RejectedError, KeyError, TypeError, AttributeError, IndexError, ValueError, AssertionError):
        return None
    return found


def _as_one(sent: Sent) -> object:
    if sent.redirect is not None:
        return sent.status, repr(sorted(sent.redirect.items(), key=repr))
    return repr(sorted(sent.backends.items())), repr(replace(sent, backends={}))


def _is_seen(mesh: Mesh, emission: Emission, documents: list[dict[str, Any]]) -> bool:
    changed = replace(emission.documents[0], path="all.yaml", resources=tuple(documents), note="")
    return bool(verify(TARGET, mesh, (changed,), {}, {}))


def _expressed(rng: Random) -> tuple[Expressed, list[dict[str, Any]]]:
    """A program whose callers have some objects of their own."""
    while True:
        left = expressed(travel_program(rng), "linkerd")
        documents = (
            [] if left is None else [one for one in documents_of(left.emission) if one["kind"] != "Kustomization"]
        )
        if left is not None and sum(map(_is_of_callers, documents)) > 1:
            return left, documents


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_an_edit_is_seen_or_changes_nothing(seed: int) -> None:
    rng = Random(900 + seed)
    seen = 0
    for _ in range(EDITS // 4):
        left, documents = _expressed(rng)
        requests = [travel_request(rng) for _ in range(REQUESTS)]
        before = _sent(left.mesh, documents, requests)
        assert before is not None
        assert not _is_seen(left.mesh, left.emission, documents), left.text
        for _ in range(4):
            edited = _edited(rng, documents)
            if _is_seen(left.mesh, left.emission, edited):
                seen += 1
            else:
                assert _sent(left.mesh, edited, requests) in (None, before), left.text + yaml.safe_dump_all(edited)
    assert seen > EDITS // 2


@pytest.mark.parametrize(
    ("old", "new"), [("'4'", "'5'"), ("'20s'", "'30s'"), ("consecutive\\n", "unified\\n"), ("name: cart", "name: web")]
)
def test_an_edit_of_annotations_of_services_is_seen(old: str, new: str) -> None:
    text = "namespace a\nservice web in a\nservice cart in a { port 80 http }\naccess cart { allow web }\n"
    mesh = analyze_text(f"{text}traffic cart {{ outlier-detection {{ consecutive-5xx 4 ejection 20s }} }}\n").mesh
    assert mesh is not None
    documents = TARGET.emit(mesh, {}).documents
    assert verify(TARGET, mesh, documents, {}, {}) == ()
    component = next(one for one in documents if one.path.startswith("service-annotations"))
    printed = json.dumps(component.resources[0])
    assert old in printed
    edited = replace(component, resources=(json.loads(printed.replace(old, new)),))
    assert verify(TARGET, mesh, [edited if one is component else one for one in documents], {}, {})


# ---- as people write it ---------------------------------------------------------------------------------------------

PROGRAM = """
namespace a
service web in a
service stock in a { port 90 http }
service cart in a { port 80 http target 8080 version v1 version v2 }
"""
GATEWAY = "gateway.networking.k8s.io/v1"
BACKENDS = (
    {"name": "cart", "port": 80},
    {"name": "stock", "port": 90},
    {"name": "blue", "port": 80, "weight": 3},
    {"name": "cart", "port": 80, "kind": "Service", "group": "", "weight": 2},
)
BLUE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "blue", "namespace": "a"},
    "spec": {"selector": {"app": "cart", "version": "v1"}, "ports": [{"port": 80, "targetPort": 8080}]},
}
_VALUES = {
    "Exact": ("/", "/a", "/a/b", "/b"),
    "PathPrefix": ("/", "/a", "/a/", "/a/b", "/b"),
    "RegularExpression": ("^(?:/a|/ab)$", "/a.*", "/[ab]$", "^/a/[^/]+$", "/(a|ab)"),
}


def _written_match(rng: Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if rng.random() < 0.8:
        kind = rng.choice(("Exact", "PathPrefix", "PathPrefix", "RegularExpression"))
        found["path"] = {"type": kind, "value": rng.choice(_VALUES[kind])}
    if rng.random() < 0.25:
        found["method"] = rng.choice(("GET", "POST"))
    if rng.random() < 0.25:
        found["headers"] = [
            rng.choice(
                ({"name": "X-A", "value": "yes"}, {"name": "x-a", "type": "RegularExpression", "value": "^y.*$"})
            )
        ]
    if rng.random() < 0.15:
        found["queryParams"] = [{"name": "q", "value": rng.choice(("1", "2"))}]
    return found


def _written_rule(rng: Random) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if matches := [_written_match(rng) for _ in range(rng.choice((0, 1, 1, 2)))]:
        rule["matches"] = matches
    if rng.random() < 0.1:
        redirect = {"hostname": "x.example", "statusCode": rng.choice((301, 307))}
        return {**rule, "filters": [{"type": "RequestRedirect", "requestRedirect": redirect}]}
    rule["backendRefs"] = [dict(one) for one in rng.sample(BACKENDS, rng.choice((1, 1, 2)))]
    if rng.random() < 0.3:
        rule["timeouts"] = {"request": rng.choice(("1s", "250ms", "2m"))}
    return rule


def _written(rng: Random) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [BLUE]
    for number in range(rng.choice((1, 1, 2, 3))):
        notes = {}
        if rng.random() < 0.3:
            notes = {"retry.linkerd.io/http": rng.choice(("5xx", "503,gateway-error")), "retry.linkerd.io/limit": "2"}
        parent: dict[str, Any] = {"group": rng.choice(("core", "")), "kind": "Service", "name": "cart"}
        if rng.random() < 0.7:
            parent["port"] = 80
        rules = [_written_rule(rng) for _ in range(rng.choice((1, 2)))]
        found.append(
            {
                "apiVersion": rng.choice((GATEWAY, GATEWAY, "policy.linkerd.io/v1beta3")),
                "kind": "HTTPRoute",
                "metadata": {"name": f"r{number}", "namespace": "a", "annotations": notes},
                "spec": {"parentRefs": [parent], "rules": rules},
            }
        )
    return found


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 200])
def test_what_is_read_is_what_callers_proxies_do(start: int) -> None:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    read_through = compared = 0
    for seed in range(start, start + 200):
        rng = Random(seed)
        documents = _written(rng)
        text = yaml.safe_dump_all(documents)
        objects, wrong = objects_of_source(SourceFile("live.yaml", text))
        assert not wrong
        reading = read(objects, bare(mesh), {})
        if reading.unknown:
            continue
        read_through += 1
        evaluator = Evaluator(reading.mesh)
        for request in [travel_request(rng) for _ in range(30)]:
            try:
                assert route_differences(reading.mesh, documents, [request]) == [], text
            except RejectedError:
                continue  # what the evaluator does not judge, such as weights that proxies ignore
            raw = on_the_wire(mesh, request, cluster_of(mesh, documents))
            assert raw is not None
            sent = Outbound(cluster_of(mesh, documents), Precedence.LENGTH).send("a", "cart", 80, raw)
            assert (sent.status == 404) is (evaluator.decide(request).status == 404), text
            compared += 1
    assert read_through > 50
    assert compared > 1000


ODD: list[Any] = [None, [], {}, "", 0, -1, True, 1.5, ["x"], [[]], {"a": 1}, [None], "*"]


@pytest.mark.slow
def test_nothing_makes_the_reader_raise() -> None:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    rng = Random(5)
    for _ in range(300):
        documents = yaml.safe_load(yaml.safe_dump(_written(rng)))
        place: Any = rng.choice(documents)[rng.choice(("spec", "spec", "metadata"))]
        while True:
            step = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[step], dict | list) or not place[step] or rng.random() < 0.3:
                break
            place = place[step]
        place[step] = rng.choice(ODD)
        objects, _ = objects_of_source(SourceFile("live.yaml", yaml.safe_dump_all(documents)))
        read(objects, bare(mesh), {})
