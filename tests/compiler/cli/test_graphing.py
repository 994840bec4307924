"""`meshc graph` as a user runs it."""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from meshc_harness.running import Ran

Meshc = Callable[..., Ran]


def test_mermaid_is_what_comes_out(project: Path, meshc: Meshc) -> None:
    ran = meshc("graph")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("flowchart LR\n")
    assert '-->|"GET /items/{id}"|' in ran.out
    assert meshc("graph", "policies", "--format", "mermaid").out == ran.out


def test_every_format(project: Path, meshc: Meshc) -> None:
    assert meshc("graph", "--format", "dot").out.startswith("digraph ")
    ET.fromstring(meshc("graph", "--format", "svg").out)
    assert meshc("graph", "--format", "html").out.startswith("<!doctype html>")
    assert json.loads(meshc("graph", "--format", "json").out)["version"] == 1
    assert meshc("graph", "--format", "png").status == 2


def test_an_environment(project: Path, meshc: Meshc) -> None:
    text = "environment staging { access cart { allow web to POST /items } }\n"
    (project / "policies" / "env.mesh").write_text(text, encoding="utf-8")
    base = json.loads(meshc("graph", "--format", "json").out)
    staging = json.loads(meshc("graph", "--format", "json", "--env", "staging").out)
    assert (base["environment"], staging["environment"]) == (None, "staging")
    assert [edge["label"] for edge in base["edges"]] == ["GET /items/{id}"]
    assert [edge["label"] for edge in staging["edges"]] == ["POST /items and 1 more"]
    assert "did you mean `staging`" in meshc("graph", "--env", "stagin").err


def test_only_what_was_named(project: Path, meshc: Meshc) -> None:
    more = "namespace bank service pay in bank { port 80 http } service job in bank access pay { allow job }\n"
    (project / "policies" / "more.mesh").write_text(more, encoding="utf-8")
    assert meshc("graph").out.count("-->") == 2
    assert meshc("graph", "--namespace", "bank").out.count("-->") == 1
    assert meshc("graph", "--service", "cart,pay").out.count("-->") == 2
    ran = meshc("graph", "--service", "crat")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == "meshc: there is no service or external `crat`; did you mean `cart`?\n"


def test_a_program_with_mistakes(project: Path, meshc: Meshc) -> None:
    (project / "policies" / "bad.mesh").write_text("access crat { allow web }\n", encoding="utf-8")
    ran = meshc("graph")
    assert (ran.status, ran.out) == (1, "")
    assert "error[unknown-service]" in ran.err
    assert meshc("graph", "nowhere").status == 2


def test_what_is_too_large(project: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshc.graph.render.svg.MAX_NODES", 1)
    monkeypatch.setattr("meshc.graph.render.mermaid.MAX_EDGES", 0)
    drawn = meshc("graph", "--format", "svg")
    assert (drawn.status, drawn.out) == (2, "")
    assert "2 nodes and 1 edges cannot be read" in drawn.err
    assert "--service NAME" in drawn.err
    page = meshc("graph", "--format", "html")
    assert page.status == 0
    assert "the page has no picture" in page.err
    assert "There is no picture" in page.out
    diagram = meshc("graph")
    assert diagram.status == 0
    assert "Mermaid draws 0 edges" in diagram.err
    assert meshc("graph", "-q").err == ""
