"""Readings become programs that mean the same: random ones, those of golden cases, and what the language has no words for."""

from dataclasses import replace
from random import Random
from typing import Final

import pytest

from golden_cases import cases, program
from meshc.importing import Imported, import_program, merge_readings
from meshc.importing.declarations import with_issuer_names
from meshc.ir import Mesh
from meshc.reading import Reading, bare, objects_of_source
from meshc.source import SourceFile
from meshc.target import Document
from meshc.targets import find_target
from meshc.yaml_printer import print_documents
from meshc_harness.cluster_programs import cluster_program
from meshc_harness.compare import analyze_text
from meshc_harness.expressible import expressed

PROGRAMS: Final = 60


def _mesh(text: str) -> Mesh:
    mesh = analyze_text(text).mesh
    assert mesh is not None
    return mesh


def _unnamed(mesh: Mesh) -> Mesh:
    """Issuers have no names in a mesh."""
    return replace(mesh, workloads=tuple(map(with_issuer_names, mesh.workloads)))


def _imported(mesh: Mesh) -> Imported:
    return import_program(Reading(mesh=_unnamed(mesh)), "imported")


def _check(mesh: Mesh, shown: str) -> None:
    found = _imported(mesh)
    text = "\n".join(found.files.values())
    assert not found.diagnostics, f"{shown}\n{text}\n{[one.message for one in found.diagnostics]}"
    assert not found.omitted, f"{shown}\n{found.omitted}"
    assert found.difference.is_empty, f"{shown}\n{text}\n{found.difference.subjects}"


def test_golden_cases_say_the_same_after_import() -> None:
    for case in cases():
        mesh = _mesh(program(case))
        _check(mesh, case)


@pytest.mark.slow
def test_random_programs_say_the_same_after_import() -> None:
    for seed in range(PROGRAMS):
        text, _ = cluster_program(Random(seed))
        _check(_mesh(text), text)


@pytest.mark.slow
def test_what_istio_runs_is_what_is_imported() -> None:
    """Emit, read, print: a program of its own, and the same access."""
    istio, compared = find_target("istio"), 0
    assert istio.read is not None
    for seed in range(PROGRAMS, PROGRAMS + 30):
        text, _ = cluster_program(Random(seed))
        left = expressed(text, "istio")
        if left is None:
            continue
        objects = [
            one
            for document in left.emission.documents
            for one in objects_of_source(SourceFile(document.path, _yaml(document)))[0]
        ]
        found = import_program(istio.read(objects, bare(left.mesh), {}), "imported")
        assert not found.diagnostics, [one.message for one in found.diagnostics]
        assert found.difference.is_empty, found.difference.subjects
        compared += 1
    assert compared > 20


def _yaml(document: Document) -> str:
    return print_documents(document.resources)


LEFT_OUT: Final = {("envoy", "locality"): "`locality failover west/a` is given two different values in one scope"}
"""What Envoy's priorities say, and the language only once for each place."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["envoy", "istio"])
def test_what_a_mesh_runs_of_golden_cases_is_what_is_imported(name: str) -> None:
    """Emit, read, print: all aspects of the same mesh, or what is left out as stated."""
    target, compared = find_target(name), 0
    assert target.read is not None
    for case in cases():
        mesh = _mesh(program(case))
        emission = target.emit(mesh, {})
        if not emission.documents:
            continue
        sources = [SourceFile(one.path, _yaml(one)) for one in emission.documents]
        objects = [one for source in sources for one in objects_of_source(source)[0]]
        known = bare(mesh)
        found = import_program(merge_readings(known, [target.read(objects, known, {})]), "imported")
        assert not found.diagnostics, (case, [one.message for one in found.diagnostics])
        assert found.difference.is_empty, (case, found.difference.subjects)
        stated = [LEFT_OUT[name, case]] if (name, case) in LEFT_OUT else []
        assert [one.reason for one in found.omitted] == stated, case
        compared += 1
    assert compared > 45


KNOWN: Final = """
namespace shop
service web in shop
service mail in shop
service cart in shop { port 80 http target 8080 }
"""
CONFIG: Final = "meshConfig: {pathNormalization: {normalization: MERGE_SLASHES}}\n---\n"


def _from_istio(*specs: str) -> Imported:
    istio = find_target("istio")
    assert istio.read is not None
    text = CONFIG + "".join(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        f"metadata: {{name: p{number}, namespace: shop}}\nspec: {spec}\n---\n"
        for number, spec in enumerate(specs)
    )
    objects, _ = objects_of_source(SourceFile("live.yaml", text))
    known = bare(_mesh(KNOWN))
    return import_program(merge_readings(known, [istio.read(objects, known, {})]), "imported")


def test_a_policy_becomes_what_a_person_would_have_written() -> None:
    found = _from_istio(
        "{selector: {matchLabels: {app: cart}}, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}],"
        " to: [{operation: {methods: [GET], paths: [/items, /items/*]}}, {operation: {methods: [POST], paths: [/order]}}],"
        " when: [{key: 'request.headers[x-team]', values: [a, b]}]}]}",
        "{selector: {matchLabels: {app: cart}}, action: DENY, rules: [{from: [{source: {notNamespaces: [shop]}}]}]}",
    )
    text = found.files["shop.mesh"]
    assert "allow web to GET /items/**, POST /order" in text
    assert 'when header "x-team" in ("a", "b")' in text
    assert "deny anyone except namespace shop" in text
    assert "# from live.yaml:" in text
    assert "mtls permissive" in found.files["mesh.mesh"]
    assert not found.omitted
    assert found.difference.is_empty


def test_the_sources_of_one_rule_stand_together() -> None:
    found = _from_istio(
        "{selector: {matchLabels: {app: cart}}, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}},"
        " {source: {namespaces: [bank]}}], to: [{operation: {methods: [GET]}}]}]}",
    )
    assert 'allow web, identity "spiffe://cluster.local/ns/bank/sa/*" to GET' in found.files["shop.mesh"]
    assert found.difference.is_empty


def test_ports_and_issuers_are_called_as_people_would_call_them() -> None:
    jwt = 'issuer "%s" jwks url "https://idp.example/keys"'
    mesh = _mesh(
        "namespace shop\nservice cart in shop { port 80 http as http port 81 grpc as admin port 82 tcp as tcp }\n"
        f"authenticate cart {{ jwt a {{ {jwt % 'https://accounts.google.com/x'} }} jwt b {{ {jwt % 'me'} }} "
        f"jwt c {{ {jwt % 'https://accounts.google.com'} }} }}\n"
    )
    found = _imported(mesh)
    text = found.files["shop.mesh"]
    assert "port 80 http\n  port 81 grpc as admin\n  port 82 tcp\n" in text
    assert all(f"jwt {name} {{" in text for name in ("accounts-google-com", "accounts-google-com-2", "issuer-3"))
    assert found.difference.is_empty


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("{rules: [{to: [{operation: {notPaths: [/admin]}}]}]}", "for all methods or paths but some"),
        ("{rules: [{from: [{source: {principals: ['*web']}}]}]}", "callers by the pattern"),
    ],
)
def test_what_cannot_be_said_is_closed_and_told(spec: str, reason: str) -> None:
    found = _from_istio(spec)
    assert any(reason in one.reason for one in found.omitted)
    assert "access cart" not in found.files["shop.mesh"]
    assert found.difference.is_empty


def test_two_lists_of_allowed_callers_become_what_both_let_through() -> None:
    """As where network policies and policies of a mesh stand side by side."""
    mesh = _mesh(
        "namespace shop\nservice web in shop\nservice mail in shop\nservice cart in shop { port 80 http }\n"
        "access cart { allow web, mail }\n"
    )
    other = _mesh(
        "namespace shop\nservice web in shop\nservice mail in shop\nservice cart in shop { port 80 http }\n"
        "access cart { allow web to GET allow authenticated to /health allow anyone from 10.0.0.0/8 to POST }\n"
    )
    found = import_program(merge_readings(bare(mesh), [Reading(mesh=mesh), Reading(mesh=other)]), "imported")
    assert not found.omitted
    assert found.difference.is_empty
    text = found.files["shop.mesh"]
    assert "  allow web to GET\n" in text
    assert "  allow mail, web to /health\n" in text
    assert "  allow mail, web from 10.0.0.0/8 to POST\n" in text


def test_the_same_callers_become_a_group() -> None:
    mesh = _mesh(
        "namespace shop\nservice web in shop\nservice mail in shop\n"
        "service a in shop { port 80 http }\nservice b in shop { port 80 http }\n"
        "access a { allow web, mail to GET }\naccess b { allow web, mail to POST }\n"
    )
    found = _imported(mesh)
    assert "group callers-of-a-and-b = mail, web\n" in found.files["mesh.mesh"]
    assert found.files["shop.mesh"].count("group callers-of-a-and-b") == 2
    assert found.difference.is_empty
