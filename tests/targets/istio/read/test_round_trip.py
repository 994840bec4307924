"""What is emitted reads back as what the target is to run: golden cases, examples, and random programs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import pytest

from golden_cases import GOLDEN, cases, program
from meshc.diagnostics import Severity
from meshc.difference.compare import Comparer
from meshc.difference.model import Difference, Side
from meshc.frontend import analyze
from meshc.ir import Mesh
from meshc.load import load
from meshc.reading import Reading, bare, objects_of_documents, objects_of_source
from meshc.source import SourceFile
from meshc.verification import narrowed
from meshc.yaml_printer import print_documents
from meshc_harness.cluster_programs import cluster_program
from meshc_harness.compare import TODAY, analyze_text
from meshc_harness.expressible import expressed as cut_down
from meshc_harness.routes import routed_program
from meshc_istio import TARGET
from meshc_istio.expressed import expressed
from meshc_istio.read import ASSUMES, read


def differences(mesh: Mesh, reading: Reading, options: Mapping[str, str]) -> Difference:
    """What was read otherwise than the target is to run it."""
    sides = (expressed(mesh, options), reading.mesh)
    old, new = (Side(mesh=narrowed(one, TARGET.reads)) for one in sides)
    return Comparer().compare(old, new)


def round_trip(mesh: Mesh, options: Mapping[str, str] | None = None) -> tuple[Reading, Difference]:
    """Emit, read, compare."""
    emission = TARGET.emit(mesh, options or {})
    assert emission.documents
    reading = read(objects_of_documents(emission.documents, "out"), bare(mesh), options or {})
    assert {one.text for one in reading.assumptions} <= set(ASSUMES)
    return reading, differences(mesh, reading, options or {})


def mesh_of(case: str) -> Mesh:
    mesh = analyze_text(program(case)).mesh
    assert mesh is not None
    assert not any(one.severity is Severity.ERROR for one in TARGET.emit(mesh, {}).diagnostics)
    return mesh


@pytest.mark.parametrize("case", [case for case in cases() if (GOLDEN / case / "istio").is_dir()])
def test_golden_case(case: str) -> None:
    reading, difference = round_trip(mesh_of(case))
    assert not reading.unknown
    assert not difference.subjects


def _access(rng: Random) -> str:
    return cluster_program(rng)[0]


def _traffic(rng: Random) -> str:
    return routed_program(rng).text


def _outside(rng: Random) -> str:
    """Externals with rules and routes, settings of connections, limits and reports."""

    def some(*parts: str) -> str:
        return " ".join(each for each in parts if rng.random() < 0.5)

    one = rng.choice
    balancers = ("round-robin", "random", "least-request", 'maglev by cookie "c"', "ring-hash by source ip")
    rules = some("deny web to /v1/secret/**", "allow mail to GET", "allow namespace bank", "allow web to POST /v1/{id}")
    external = some(
        "timeout 3s", "retry 1 on connect-failure", "route /v1/slow/** { timeout 30s }", "connect-timeout 2s"
    )
    cart = some(
        f"load-balance {one(balancers)}",
        "circuit-breaker { connections 5 requests 7 }",
        f"outlier-detection {{ consecutive-5xx {rng.randint(1, 9)} interval 5s }} {some('locality prefer')}",
        f"retry 2 on 5xx {{ backoff 10ms..{rng.randint(20, 99)}ms {some('budget 10%')} }}",
        "mirror 5% to pay:80",
        "fault delay 200ms for 1%",
        "route /out/** -> books:443",
    )
    return f"""
    namespace shop
    namespace bank
    service web in shop
    service mail in shop
    service pay in bank {{ port 80 http }}
    service cart in shop {{ port 80 http port {rng.randint(5000, 5999)} tcp }}
    external books in shop {{ host "books.example"{one(["", ', "b.example"', ', "*.books.example"'])} port 443 {one(["https", "https", "http"])} }}
    external wire in bank {{ host "wire.example" port 9000 {one(["tcp", "tls"])} }}
    access cart {{ allow web }}
    access pay {{ allow web, cart, mail }}
    access books {{ {rules or "allow anyone"} {some("allow cart to GET /out/**")} }}
    access wire {{ allow {one(["web", "web, pay", "namespace shop", "anyone"])} }}
    traffic books {{ {external} }}
    traffic cart:80 {{ {cart} }}
    {some("rate-limit cart:80 { 10/s burst 20 }", 'telemetry mesh { trace 5% to otlp "otel.ops:4317" }', "telemetry cart { access-log json metrics }")}
    """


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "seeds"),
    [(_access, range(340)), (_traffic, range(140)), (_outside, range(130))],
    ids=["access", "traffic", "outside"],
)
def test_random_programs(make: Callable[[Random], str], seeds: range) -> None:
    compared = 0
    for seed in seeds:
        found = cut_down(make(Random(seed)), "istio")
        if found is None or not found.emission.documents:
            continue
        reading = read(objects_of_documents(found.emission.documents, "out"), bare(found.mesh), {})
        difference = differences(found.mesh, reading, {})
        assert not reading.unknown, (seed, found.text, reading.unknown)
        assert not difference.subjects, (seed, found.text, difference)
        compared += 1
    assert compared >= len(seeds) * 0.75


@pytest.mark.parametrize(
    "case", ["allow-and-deny", "jwt-url", "routes", "plain-limits", "external-https", "access-log"]
)
def test_printed_files_say_the_same(case: str) -> None:
    """What goes through YAML is read like what was just emitted, and its places are in the file."""
    mesh = mesh_of(case)
    texts = {one.path: print_documents(one.resources) for one in TARGET.emit(mesh, {}).documents}
    objects = [one for path, text in texts.items() for one in objects_of_source(SourceFile(path, text))[0]]
    reading = read(objects, bare(mesh), {})
    assert not reading.unknown
    assert not differences(mesh, reading, {}).subjects
    routes = [route for one in reading.mesh.workloads for port in one.ports for route in port.routes]
    spans = [route.span for route in routes if route.span.path in texts]
    assert all(texts[span.path][span.start : span.end].strip() for span in spans)


@pytest.mark.slow
@pytest.mark.parametrize("example", ["bookinfo", "online-boutique"])
def test_example(example: str) -> None:
    loaded = load(Path(__file__).parents[4] / "policies" / "examples" / example)
    analysis = analyze(
        loaded.modules, loaded.inventory, loaded.comments, environment=None, today=TODAY, earlier=loaded.diagnostics
    )
    assert analysis.mesh is not None
    reading, difference = round_trip(analysis.mesh, {"unsupported": "warn"})
    assert not reading.unknown
    assert not difference.subjects
