"""A new project: it means what it says, has nothing to complain about, and every file of it can be read."""

import re
from datetime import date

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from meshc import ast
from meshc.config import Config, config_schema, read_config
from meshc.format import format_source
from meshc.frontend import Analysis, analyze
from meshc.lower.requests import AccessExpected
from meshc.parse import parse
from meshc.resolve import Module
from meshc.scaffold import scaffold
from meshc.semantics.decide import decide
from meshc.source import SourceFile

FILES = dict(scaffold("Online Shop"))
POLICY = "policies/online-shop.mesh"


def analyzed(source: SourceFile) -> Analysis:
    parsed = parse(source)
    return analyze(
        {source.path: Module(file=parsed.file, imports={})},
        (),
        {source.path: [(comment.text, comment.span) for comment in parsed.comments]},
        environment=None,
        today=date(2026, 1, 1),
        earlier=parsed.diagnostics,
    )


def test_the_files() -> None:
    assert [path for path, _ in scaffold("Online Shop")] == [
        "meshc.yaml",
        POLICY,
        "policies/README.md",
        ".github/workflows/meshc.yml",
        ".pre-commit-config.yaml",
    ]
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in FILES.values())


def test_the_policy_has_no_findings_and_its_tests_hold() -> None:
    analysis = analyzed(SourceFile(POLICY, FILES[POLICY]))
    assert analysis.diagnostics == ()
    assert analysis.mesh is not None
    cases = [case for suite in analysis.tests for case in suite.cases]
    assert len(cases) == 4
    for case in cases:
        assert isinstance(case.expected, AccessExpected)
        assert (decide(analysis.mesh, case.request).allowed is True) == case.expected.allowed


def test_the_policy_is_in_the_one_layout() -> None:
    assert format_source(SourceFile(POLICY, FILES[POLICY])).text == FILES[POLICY]


def test_the_configuration() -> None:
    text = FILES["meshc.yaml"]
    assert read_config(SourceFile("meshc.yaml", text)) == (Config(targets=("envoy",)), ())
    assert text.splitlines()[0] == f"# yaml-language-server: $schema={config_schema()['$id']}"


def test_the_workflow_checks_tests_and_compares() -> None:
    workflow = yaml.safe_load(FILES[".github/workflows/meshc.yml"])
    assert workflow["permissions"] == {"contents": "read"}
    commands = [step["run"] for step in workflow["jobs"]["policies"]["steps"] if "run" in step]
    assert re.fullmatch(r'python -m pip install "meshc\[envoy\]==\d+\.\d+\.\d+\S*"', commands[0])
    assert commands[1:] == ["meshc fmt --check", "meshc check --format github", "meshc test", "meshc compile --check"]


def test_the_hooks() -> None:
    [repository] = yaml.safe_load(FILES[".pre-commit-config.yaml"])["repos"]
    assert repository["repo"] == "local"
    assert [hook["entry"] for hook in repository["hooks"]] == ["meshc fmt --check", "meshc check"]
    layout, check = (re.compile(hook["files"]) for hook in repository["hooks"])
    assert layout.search(POLICY)
    assert not layout.search("meshc.yaml")
    assert check.search(POLICY)
    assert check.search("meshc.yaml")


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("shop", "shop"),
        ("My_Shop (2)", "my-shop-2"),
        ("2026", "shop-2026"),
        ("", "shop"),
        ("世界", "shop"),
        ("mesh", "mesh-policies"),
        ("Group", "group-policies"),
        ("-a-", "a"),
        ("x" * 39 + "-yz", "x" * 39),
        ("../..", "shop"),
    ],
)
def test_the_name_comes_from_the_directory(directory: str, name: str) -> None:
    assert f"policies/{name}.mesh" in dict(scaffold(directory))


WORDS = st.sampled_from(("service", "test", "allow", "route", "in", "access", "import", "9", "identity", "default"))


@settings(max_examples=30)
@given(st.text(max_size=50) | WORDS)
def test_any_directory_gives_a_program_without_syntax_errors(directory: str) -> None:
    path, text = scaffold(directory)[1]
    parsed = parse(SourceFile(path, text))
    assert parsed.diagnostics == ()
    assert isinstance(parsed.file.declarations[0], ast.MeshDecl)
