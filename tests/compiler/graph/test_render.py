"""What is printed: true to the graph, stable, and harmless whatever users wrote."""

import json
import re
import subprocess
import sys
import unicodedata
from html import unescape
from html.parser import HTMLParser
from importlib.resources import files
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from meshc.decisions_json import RequestReader
from meshc.diagnostics.render.cells import visible
from meshc.graph.focus import focus_on
from meshc.graph.model import Graph, NodeKind
from meshc.graph.render import render_dot, render_html, render_json, render_mermaid, render_svg
from meshc.graph.render.svg import MAX_EDGES, MAX_NODES, TooLargeError
from meshc.graph.wording import label
from meshc.ir import Protocol
from meshc_harness.graphs import BANK, HOSTILE, graph_of, hostile, many, undecided

SCHEMAS = [json.loads(one.read_text(encoding="utf-8")) for one in files("meshc").joinpath("schemas").iterdir()]
REGISTRY: Registry[object] = Registry().with_resources((one["$id"], Resource.from_contents(one)) for one in SCHEMAS)
SCHEMA = REGISTRY.contents("https://meshc.dev/schemas/graph.v1.json")
SVG = "{http://www.w3.org/2000/svg}"
GRAPH = graph_of(BANK)
EMPTY = graph_of("namespace shop")
ALL = [EMPTY, GRAPH, undecided(GRAPH), *map(hostile, HOSTILE)]
every_graph = pytest.mark.parametrize("graph", ALL, ids=lambda graph: repr(graph.mesh.name)[:20])

RENDERERS = {
    "mermaid": render_mermaid,
    "dot": render_dot,
    "svg": render_svg,
    "html": render_html,
    "json": render_json,
}


def is_harmless(text: str) -> bool:
    return all(char == "\n" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text)


@every_graph
@pytest.mark.parametrize("form", RENDERERS)
def test_no_control_character_gets_through(graph: Graph, form: str) -> None:
    text = RENDERERS[form](graph)
    assert is_harmless(text)
    text.encode()


SEEDED = """
from meshc_harness.graphs import *
from meshc.graph.render import *
for render in (render_mermaid, render_dot, render_svg, render_html, render_json):
    print(render(graph_of(BANK)), render(many(20)))
"""


@pytest.mark.slow
def test_the_same_bytes_whatever_the_hash_seed() -> None:
    runs = {
        subprocess.run(
            [sys.executable, "-c", SEEDED],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(runs) == 1


# ---- Mermaid --------------------------------------------------------------------------------------------------------

TEXT = r'"((?:[A-Za-z0-9 ,./{}()|=?<>-]|#\d+;)*)"'
LINE = re.compile(
    r"flowchart LR"
    rf"|  subgraph c\d+\[{TEXT}\]"
    r"|    direction LR"
    r"|  end"
    rf"| +(n\d+)(?:\[{TEXT}\]|\[\[{TEXT}\]\]|\(\[{TEXT}\]\))"
    rf"|  (n\d+) (?:-->|==>|-\.->)\|{TEXT}\| (n\d+)"
)


def decoded(text: str) -> list[str]:
    """The lines of a label, as Mermaid shows them."""
    return [re.sub(r"#(\d+);", lambda code: chr(int(code[1])), line) for line in text.split("<br/>")]


@every_graph
def test_every_line_of_mermaid_is_one_of_few_kinds(graph: Graph) -> None:
    matches = [LINE.fullmatch(line) for line in render_mermaid(graph).splitlines()]
    assert all(matches)
    found = [match for match in matches if match is not None]
    nodes = [(match[2], decoded(match[3] or match[4] or match[5])[0]) for match in found if match[2]]
    assert sorted(nodes) == sorted((ident(graph, node.id), visible(node.label)) for node in graph.drawn)
    edges = [(match[6], decoded(match[7]), match[8]) for match in found if match[6]]
    assert edges == [
        (ident(graph, edge.source), [visible(label(graph, edge, 60))], ident(graph, edge.target))
        for edge in graph.edges
    ]


def ident(graph: Graph, node: str) -> str:
    return f"n{[one.id for one in graph.drawn].index(node) + 1}"


def test_mermaid() -> None:
    graph = graph_of(
        """
        namespace shop
        namespace web
        service gate in web
        service cart in shop { port 8080 http port 9090 grpc as admin }
        external pay in shop { host "pay.example" port 443 https }
        access cart:8080 { allow gate to GET /items/{id}, GET /items, POST /items deny anyone to POST /items }
        access cart:admin { allow authenticated }
        access pay { allow cart }
        authenticate cart { port 9090 mtls permissive }
        """
    )
    assert render_mermaid(graph) == (
        "flowchart LR\n"
        '  n4(["any identity"])\n'
        '  subgraph c2["shop"]\n'
        "    direction LR\n"
        '    n1["cart<br/>8080 http<br/>9090 grpc as admin, mTLS permissive"]\n'
        '    n2[["pay<br/>pay.example<br/>443 https"]]\n'
        "  end\n"
        '  subgraph c3["web"]\n'
        "    direction LR\n"
        '    n3["gate"]\n'
        "  end\n"
        '  n1 -->|"always"| n2\n'
        '  n3 -->|"#58;8080 GET /items/{id} and 2 more, if not POST /items"| n1\n'
        '  n4 ==>|"#58;9090 always"| n1\n'
    )


# ---- DOT ------------------------------------------------------------------------------------------------------------

STRING = r'"((?:[^"\\]|\\.)*)"'
DOT_LINE = re.compile(
    rf"digraph {STRING} \{{| *\}}|  (?:graph|node|edge) \[.*\];|  subgraph cluster_\d+ \{{|    label={STRING};"
    rf"| +(n\d+) \[label={STRING}, tooltip={STRING}(?:, style=\"(?:dashed|rounded)\")?\];"
    rf"|  (n\d+) -> (n\d+) \[label={STRING}, tooltip={STRING}(?:, [a-z]+=(?:\"[a-z]+\"|\d))*\];"
)


@every_graph
def test_every_line_of_dot_is_one_of_few_kinds(graph: Graph) -> None:
    matches = [DOT_LINE.fullmatch(line) for line in render_dot(graph).splitlines()]
    assert all(matches)
    edges = [(match[6], match[7], shown_by_graphviz(match[8])) for match in matches if match and match[6]]
    assert edges == [
        (ident(graph, edge.source), ident(graph, edge.target), visible(label(graph, edge, 60))) for edge in graph.edges
    ]


def shown_by_graphviz(text: str) -> str:
    """What stands in a picture: a backslash makes the next character itself, and entities are read."""
    return unescape(re.sub(r"\\(.)", r"\1", text))


# ---- SVG ------------------------------------------------------------------------------------------------------------


@every_graph
def test_svg_is_xml_that_tells_everything(graph: Graph) -> None:
    root = ET.fromstring(render_svg(graph))
    assert root.tag == f"{SVG}svg"
    assert {one.tag.removeprefix(SVG) for one in root.iter()} <= {
        "svg",
        "title",
        "desc",
        "style",
        "rect",
        "g",
        "path",
        "text",
    }
    names = {name for one in root.iter() for name in one.attrib}
    assert not {name for name in names if name.startswith("on") or "href" in name}
    groups = [one for one in root.iter(f"{SVG}g") if one.get("class", "").split()[:1] in (["node"], ["edge"])]
    titles = [one.findtext(f"{SVG}title") for one in groups]
    assert all(titles)
    kinds = [one.get("class", "").split()[0] for one in groups]
    assert kinds.count("node") == len(graph.drawn)
    assert kinds.count("edge") == sum(edge.source != edge.target for edge in graph.edges)
    described = root.get("aria-labelledby", "").split()
    assert [one.get("id") for one in root if one.get("id")] == described


def test_svg_says_what_it_is_about() -> None:
    root = ET.fromstring(render_svg(GRAPH))
    assert root.findtext(f"{SVG}title") == "Who may call whom: bank"
    assert "6 services, 7 externals and other callers, 14 edges" in (root.findtext(f"{SVG}desc") or "")
    titles = [one.text for one in root.iter(f"{SVG}title")]
    assert "shop.checkout → bank.payments:8080: to POST /charge, GET /charge/{id}; if not from 10.66.0.0/16" in titles
    styles = {one.get("class") for one in root.iter(f"{SVG}g")}
    assert {"edge plain", "edge plaintext", "edge outside", "node external", "node anyone"} <= styles
    assert "edge undecided" in {one.get("class") for one in ET.fromstring(render_svg(undecided(GRAPH))).iter()}


def test_a_call_to_oneself_stands_in_the_box() -> None:
    graph = graph_of("namespace shop service web in shop { port 80 http } access web { allow web to GET /a }")
    root = ET.fromstring(render_svg(graph))
    assert [one.text for one in root.iter(f"{SVG}text")] == ["shop", "web", "80 http", "↻ GET /a"]


@pytest.mark.slow
def test_what_is_too_large_for_a_picture() -> None:
    graph = many(MAX_NODES)
    assert len(graph.edges) > MAX_EDGES
    with pytest.raises(TooLargeError, match=f"{len(graph.edges)} edges cannot be read"):
        render_svg(graph)
    page = render_html(graph)
    assert "There is no picture: a picture of 150 nodes" in page
    assert page.count("<tr ") == len(graph.edges)
    ET.fromstring(render_svg(focus_on(graph, services=("s1",))))
    ET.fromstring(render_svg(many(120)))


# ---- HTML -----------------------------------------------------------------------------------------------------------


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.attributes += attrs
        self.text += " " if tag in {"br", "td"} else ""

    def handle_data(self, data: str) -> None:
        self.text += data


def tags(page: str) -> _Tags:
    found = _Tags()
    found.feed(page)
    found.close()
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_users_becomes_markup(text: str) -> None:
    usual, found = tags(render_html(hostile("x"))), tags(render_html(hostile(text)))
    assert found.tags == usual.tags
    assert {name for name, _ in found.attributes} == {name for name, _ in usual.attributes}


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = render_html(GRAPH)
    found = tags(page)
    assert not [one for one in found.attributes if one[0] in {"src", "href", "srcset", "action", "style"}]
    assert "default-src 'none'" in page
    assert "url(" not in page
    assert re.findall(r"https?://[^\s\"']+", page) == ["http://www.w3.org/2000/svg"]


def test_the_page_has_a_row_for_every_edge_and_what_else_there_is_to_know() -> None:
    text = " ".join(tags(render_html(GRAPH)).text.split())
    for part in (
        "Who may call whom: bank",
        "to POST /charge, GET /charge/{id} policy.mesh:17 if not from 10.66.0.0/16 policy.mesh:19",
        "any identity among them bank.ledger, bank.payments, old.legacy, shop.checkout, shop.job, shop.web but not shop.job see also spiffe://ops.example/ns/x/sa/y",
        "if not to GET because they only write",
        "mTLS permissive",
        "token read",
        "external",
        "GET /charge/{id} -> bank.payments:8080@v2",
        "10% also to bank.payments:8080@v2",
        "shop.checkout POST bank.payments:8080 /charge",
    ):
        assert part in text, part
    assert "Nobody may call" not in text
    closed = graph_of("namespace shop service web in shop { port 80 http }")
    assert "Nobody may call shop.web:80" in " ".join(tags(render_html(closed)).text.split())
    assert "not decided: too many" in tags(render_html(undecided(GRAPH))).text


# ---- JSON -----------------------------------------------------------------------------------------------------------


@every_graph
def test_json_fits_its_schema_and_leads_nowhere_else(graph: Graph) -> None:
    found = json.loads(render_json(graph))
    Draft202012Validator(SCHEMA, registry=REGISTRY).validate(found)
    nodes = {node["id"] for node in found["nodes"]}
    assert len(nodes) == len(found["nodes"])
    for edge in found["edges"]:
        assert {edge["from"], edge["to"], *edge["apart"], *edge["refused"]} <= nodes


def test_json_is_complete() -> None:
    found = json.loads(render_json(GRAPH))
    nodes = {node["id"]: node for node in found["nodes"]}
    payments = nodes["service:bank.payments"]
    assert payments["identity"] == "spiffe://bank.example/ns/bank/sa/payments"
    assert payments["ports"][0]["jwt"] == ["corp"]
    assert payments["ports"][0]["routes"][0]["destinations"] == [
        {"to": "bank.payments:8080", "version": "v2", "weight": 100.0}
    ]
    assert payments["ports"][0]["routes"][1]["mirrors"] == [
        {"to": "bank.payments:8080", "version": "v2", "percent": 10.0}
    ]
    assert nodes["namespace:shop"]["members"] == ["service:shop.checkout", "service:shop.job", "service:shop.web"]
    assert nodes["prefix:spiffe://ops.example/ns/ops/sa/*"]["prefix"] == "spiffe://ops.example/ns/ops/sa/"
    [edge] = [
        one for one in found["edges"] if (one["from"], one["to"]) == ("service:shop.checkout", "service:bank.payments")
    ]
    assert edge["allow"][0][0]["operations"] == ["POST /charge", "GET /charge/{id}"]
    assert edge["deny"][0]["addresses"] == "10.66.0.0/16"
    assert edge["deny"][0]["place"] == {"path": "policy.mesh", "line": 19, "column": 3}
    assert edge["label"] == ":8080 POST /charge and 1 more, if not from 10.66.0.0/16"
    assert edge["condition"] == "to POST /charge, GET /charge/{id}; if not from 10.66.0.0/16"


def test_examples_in_json_can_be_asked_again() -> None:
    reader = RequestReader(GRAPH.mesh)
    for edge, found in zip(GRAPH.edges, json.loads(render_json(GRAPH))["edges"], strict=True):
        assert edge.example is not None
        request = reader.convert(found["example"]["request"])
        assert request == edge.example.request


def test_the_schema_knows_every_kind() -> None:
    schema = next(one for one in SCHEMAS if one["$id"].endswith("/graph.v1.json"))
    protocols = schema["$defs"]["port"]["properties"]["protocol"]["enum"]
    assert set(schema["$defs"]["node"]["properties"]["kind"]["enum"]) == {one.value for one in NodeKind}
    assert set(protocols) == {one.value for one in Protocol}
