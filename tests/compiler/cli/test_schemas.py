"""Machine formats: what commands print fits the schemas in the package, and every schema is itself one."""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from meshc_harness.running import Ran

Meshc = Callable[..., Ran]
SCHEMAS = {
    one.name.removesuffix(".schema.json"): json.loads(one.read_text(encoding="utf-8"))
    for one in files("meshc").joinpath("schemas").iterdir()
}


def validate(kind: str, text: str) -> None:
    registry: Registry[object] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
    )
    Draft202012Validator(SCHEMAS[kind], registry=registry).validate(json.loads(text))


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_every_schema_is_one(kind: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[kind])
    assert SCHEMAS[kind]["$id"].startswith(f"https://meshc.dev/schemas/{kind}.v")


def test_reports_of_tests(project: Path, meshc: Meshc) -> None:
    validate("test-report", meshc("test", "--format", "json").out)
    text = 'environment e { test "wrong" { deny web GET cart /items/1 } }\n'
    (project / "policies" / "t.mesh").write_text(text, encoding="utf-8")
    ran = meshc("test", "--format", "json")
    assert ran.status == 1
    validate("test-report", ran.out)
    validate("test-report", meshc("test", "--coverage", "--suggest", "--format", "json").out)


def test_targets(meshc: Meshc) -> None:
    validate("targets", meshc("targets", "--format", "json").out)


def test_diagnostics(project: Path, meshc: Meshc) -> None:
    validate("diagnostics", meshc("check", "--format", "json").out)
    (project / "policies" / "bad.mesh").write_text("access crat { allow web }\nmesh", encoding="utf-8")
    validate("diagnostics", meshc("check", "--format", "json").out)


@pytest.mark.parametrize(
    "request_line",
    [
        "web GET cart /items/1",
        "web POST cart /items/1",
        "anyone GET cart /items/1",
        "web GET cart /items/%2F",
        "web GET cart /old",
        "web TCP db",
        "web GET payments /x",
    ],
)
def test_explanations(project: Path, meshc: Meshc, request_line: str) -> None:
    text = """service db in shop { port 5432 tcp }
access db { allow web }
service payments in shop { port 80 http version v1 version v2 }
access payments { deny web to GET /x because "no" shadow deny anyone to GET /y }
traffic payments { mirror 10% to payments@v2 route GET /x -> payments@v1 }
traffic cart { route GET /old { redirect "/items/1" } }
"""
    (project / "policies" / "more.mesh").write_text(text, encoding="utf-8")
    (project / "meshc.yaml").write_text("policies: policies/\n", encoding="utf-8")
    ran = meshc("explain", "--format", "json", request_line)
    assert ran.status == 0, ran.err
    validate("explanation", ran.out)


def test_the_manifest(project: Path, meshc: Meshc) -> None:
    assert meshc("compile").status == 0
    validate("manifest", (project / "deploy" / "manifest.json").read_text(encoding="utf-8"))


def test_explanations_by_way_of_a_target(project: Path, meshc: Meshc) -> None:
    text = meshc("explain", "--via", "istio", "--format", "json", "web GET cart /items/1").out
    validate("explanation", text)
    shown = json.loads(text)
    assert shown["via"] == "istio"
    rules = [rule["rule"] for one in shown["destinations"] for stage in one["stages"] for rule in stage["rules"]]
    assert [shown["origins"][one] for one in rules] == [["policies/shop.mesh:4"]]
    assert "origins" not in json.loads(meshc("explain", "--format", "json", "web GET cart /items/1").out)
