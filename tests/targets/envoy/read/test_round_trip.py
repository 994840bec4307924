"""What is emitted reads back as what the target is to run: golden cases, examples, and random programs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
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
from meshc.yaml_printer import print_documents
from meshc_envoy import TARGET
from meshc_envoy.read import expressed, read
from meshc_harness.cluster_programs import cluster_program
from meshc_harness.compare import TODAY, analyze_text
from meshc_harness.edits import random_pieces
from meshc_harness.expressible import expressed as cut_down
from meshc_harness.routes import routed_program


def differences(mesh: Mesh, reading: Reading) -> Difference:
    """What was read otherwise than the target is to run it."""
    return Comparer().compare(Side(mesh=expressed(mesh, {})), Side(mesh=reading.mesh))


def round_trip(mesh: Mesh, options: Mapping[str, str] | None = None) -> tuple[Reading, Difference]:
    """Emit, read, compare."""
    emission = TARGET.emit(mesh, options or {})
    assert emission.documents
    reading = read(objects_of_documents(emission.documents, "out"), bare(mesh), options or {})
    return reading, differences(mesh, reading)


def expressible(case: str) -> Mesh | None:
    """The mesh of a case, if Envoy has it."""
    mesh = analyze_text(program(case)).mesh
    assert mesh is not None
    wrong = any(one.severity is Severity.ERROR for one in TARGET.emit(mesh, {}).diagnostics)
    return None if wrong else mesh


@pytest.mark.parametrize("case", [case for case in cases() if (GOLDEN / case / "envoy").is_dir()])
def test_golden_case(case: str) -> None:
    mesh = expressible(case)
    assert mesh is not None
    reading, difference = round_trip(mesh)
    assert not reading.unknown
    assert not difference.subjects


@pytest.mark.parametrize("case", ["federation", "mtls-permissive", "external-traffic", "tcp"])
@pytest.mark.parametrize("options", [{"certificates": "sds"}, {"tls-directory": "/tls"}, {"unsupported": "warn"}])
def test_options(case: str, options: Mapping[str, str]) -> None:
    mesh = expressible(case)
    assert mesh is not None
    reading, difference = round_trip(mesh, options)
    assert not reading.unknown
    assert not difference.subjects


def _near(wish: str, zones: str) -> str:
    caller = " ".join(
        f'endpoint "10.0.1.{place}:80" {{ zone "{zone}" }}' for place, zone in enumerate(zones.split(), 1)
    )
    places = ("west/a", "west/b", "east/a", "east/b", "north/a", "south/a")
    served = " ".join(f'endpoint "10.0.0.{place}:80" {{ zone "{zone}" }}' for place, zone in enumerate(places, 1))
    return f"""
    namespace shop
    service web in shop {{ port 80 http {caller} }}
    service cart in shop {{ port 80 http {served} }}
    access cart {{ allow web }}
    traffic cart {{ {wish} }}
    """


@pytest.mark.parametrize("zones", ["west/a", "west/a east/b", "south/a south/b", "west/b east/a north/a elsewhere/x"])
@pytest.mark.parametrize(
    "wish",
    [
        "locality prefer",
        'locality failover "west" -> "north"',
        'locality prefer locality failover "west" -> "north" locality failover "east" -> "south" locality failover "south" -> "west"',
        'locality failover "west" -> "east/b"',
    ],
)
def test_locality(wish: str, zones: str) -> None:
    analysis = analyze_text(_near(wish, zones))
    assert analysis.mesh is not None, analysis.diagnostics
    reading, difference = round_trip(analysis.mesh)
    assert not reading.unknown
    assert not difference.subjects


@pytest.mark.parametrize("case", ["allow-and-deny", "jwt", "routes", "rate-limits", "external-traffic"])
def test_printed_files_say_the_same(case: str) -> None:
    """What goes through YAML is read like what was just emitted, and its places are in the file."""
    mesh = expressible(case)
    assert mesh is not None
    texts = {one.path: print_documents(one.resources) for one in TARGET.emit(mesh, {}).documents}
    objects = [one for path, text in texts.items() for one in objects_of_source(SourceFile(path, text))[0]]
    reading = read(objects, bare(mesh), {})
    assert not reading.unknown
    assert not differences(mesh, reading).subjects
    ports = [port for one in (*reading.mesh.workloads, *reading.mesh.externals) for port in one.ports]
    spans = [rule.span for port in ports for stage in port.access for rule in stage.rules]
    assert spans
    assert all(texts[span.path][span.start : span.end].strip() for span in spans)


def _traffic(rng: Random) -> str:
    return routed_program(rng).text


def _edited(rng: Random) -> str:
    return random_pieces(rng).text


def _access(rng: Random) -> str:
    return cluster_program(rng)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "seeds"),
    [(_access, range(330)), (_edited, range(160)), (_traffic, range(90))],
    ids=["access", "edited", "traffic"],
)
def test_random_programs(make: Callable[[Random], str], seeds: range) -> None:
    compared = 0
    for seed in seeds:
        found = cut_down(make(Random(seed)), "envoy")
        if found is None or not found.emission.documents:
            continue
        reading = read(objects_of_documents(found.emission.documents, "out"), bare(found.mesh), {})
        difference = differences(found.mesh, reading)
        assert not reading.unknown, (seed, found.text, reading.unknown)
        assert not difference.subjects, (seed, found.text, difference)
        compared += 1
    assert compared >= len(seeds) * 0.9


@pytest.mark.slow
@pytest.mark.parametrize("example", ["bookinfo", "online-boutique"])
def test_example(example: str) -> None:
    loaded = load(Path(__file__).parents[4] / "policies" / "examples" / example)
    analysis = analyze(
        loaded.modules, loaded.inventory, loaded.comments, environment=None, today=TODAY, earlier=loaded.diagnostics
    )
    assert analysis.mesh is not None
    reading, difference = round_trip(analysis.mesh)
    assert not reading.unknown
    assert not difference.subjects


def _stripped(mesh: Mesh) -> Mesh:
    """The mesh of which nobody has declared anything."""
    return replace(bare(mesh), workloads=(), externals=())


@pytest.mark.slow
@pytest.mark.parametrize("example", ["bookinfo", "online-boutique"])
def test_example_without_manifests(example: str) -> None:
    """The files tell identities, protocols and ports by themselves."""
    loaded = load(Path(__file__).parents[4] / "policies" / "examples" / example)
    analysis = analyze(
        loaded.modules, loaded.inventory, loaded.comments, environment=None, today=TODAY, earlier=loaded.diagnostics
    )
    assert analysis.mesh is not None
    documents = TARGET.emit(analysis.mesh, {}).documents
    reading = read(objects_of_documents(documents, "out"), _stripped(analysis.mesh), {})
    assert not reading.unknown
    declared = {(one.namespace, one.name): one for one in analysis.mesh.workloads}
    assert {(one.namespace, one.name) for one in reading.mesh.workloads} == declared.keys()
    for one in reading.mesh.workloads:
        known = declared[one.namespace, one.name]
        assert one.identity == known.identity
        assert [port.number for port in one.ports] == sorted(port.number for port in known.ports)
        for port in one.ports:
            own = next(each for each in known.ports if each.number == port.number)
            assert port.protocol.is_http is own.protocol.is_http
            assert port.mtls is own.mtls
