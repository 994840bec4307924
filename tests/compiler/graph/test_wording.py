"""Labels, conditions and marks in words."""

import pytest

from meshc.graph.wording import condition_text, label, marks, shortened
from meshc_harness.graphs import graph_of, undecided

PROGRAM = """
namespace shop
service web in shop
service cart in shop {{ port 8080 {protocol} }}
authenticate cart {{ jwt corp {{ issuer "https://idp" jwks file "keys.json" }} }}
access cart {{ {rules} }}
"""


def said(rules: str, protocol: str = "http", limit: int | None = None) -> tuple[str, str]:
    """Label and condition of the first edge."""
    graph = graph_of(PROGRAM.format(rules=rules, protocol=protocol))
    return label(graph, graph.edges[0], limit), condition_text(graph, graph.edges[0])


@pytest.mark.parametrize(
    ("rules", "short", "whole"),
    [
        ("allow web", "always", "always"),
        ("allow web to GET|HEAD /a", "GET|HEAD /a", "to GET|HEAD /a"),
        ("allow web to GET|HEAD /a, /b, POST", "GET|HEAD /a and 2 more", "to GET|HEAD /a, /b, POST"),
        (
            'allow web from 10.0.0.0/8 to /a when header "x" is absent',
            '/a from 10.0.0.0/8 when header "x" is absent',
            'from 10.0.0.0/8 to /a when header "x" is absent',
        ),
        ("allow web from 10.0.0.0/8", "from 10.0.0.0/8", "from 10.0.0.0/8"),
        (
            'allow web to GET /a allow web when claim "s" has "x"',
            "GET /a and 1 more",
            'to GET /a or when claim "s" has "x"',
        ),
        ("allow web deny web to /a", "always, if not /a", "always; if not to /a"),
        (
            "allow web deny web to /a deny anyone from 10.0.0.0/8",
            "always, if not /a and 1 more",
            "always; if not to /a; if not from 10.0.0.0/8",
        ),
        (
            'allow anyone deny web deny identity "spiffe://cluster.local/x"',
            "always, except shop.web and 1 more",
            "always; except shop.web, spiffe://cluster.local/x",
        ),
        (
            'allow web when header "a" == "1" or not query "b" == "2"',
            'when header "a" == "1" or query "b" != "2"',
            'when header "a" == "1" or query "b" != "2"',
        ),
    ],
)
def test_labels_and_conditions(rules: str, short: str, whole: str) -> None:
    assert said(rules) == (short, whole)


def test_rpc_is_said_where_grpc_is_spoken() -> None:
    rules = "allow web to rpc shop.Cart/Get, rpc shop.Cart/*, POST /other"
    assert said(rules, "grpc")[1] == "to rpc shop.Cart/Get, rpc shop.Cart/*, POST /other"
    assert said(rules, "http2")[1] == "to rpc shop.Cart/Get, rpc shop.Cart/*, POST /other"
    assert said("allow web to rpc Cart/Get", "grpc")[1] == "to rpc Cart/Get"
    assert said("allow web to POST /Cart/Get")[1] == "to POST /Cart/Get"


def test_labels_are_cut_and_counts_are_not() -> None:
    assert said("allow web to rpc shop.v1.Cart/Get, rpc a.B/C", "grpc", 12) == (
        "Cart/Get and 1 more",
        "to rpc shop.v1.Cart/Get, rpc a.B/C",
    )
    assert said("allow web to /a-long/path/indeed", limit=10)[0] == "/a-long/p…"


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("abc", None, "abc"),
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("rpc a.b.C/D", 3, "C/D"),
        ("rpc a.b.C/D when x", 10, "C/D when x"),
        ("rpc a.b.C/Dee", 4, "C/D…"),
        ("", 1, ""),
    ],
)
def test_shortened(text: str, limit: int | None, expected: str) -> None:
    assert shortened(text, limit) == expected


def test_a_port_is_named_where_there_are_several() -> None:
    program = """
    namespace shop
    service web in shop
    service cart in shop { port 80 http port 90 tcp }
    access cart:80 { allow web to GET }
    access cart:90 { allow web }
    """
    graph = graph_of(program)
    assert [label(graph, edge) for edge in graph.edges] == [":80 GET", ":90 always"]
    assert label(undecided(graph), undecided(graph).edges[0]) == ":80 not decided"
    assert condition_text(undecided(graph), undecided(graph).edges[0]) == "not decided: too many"


@pytest.mark.parametrize(
    ("service", "more", "expected"),
    [
        ("port 80 http", "", ()),
        ("port 80 http", "mtls permissive", ("mTLS permissive",)),
        ("port 80 http", "mtls off", ("mTLS off",)),
        ("port 80 http", 'jwt a { issuer "https://idp" jwks file "k" }', ("token read",)),
        (
            "port 80 http",
            'mtls off jwt a { issuer "https://idp" jwks file "k" required }',
            ("mTLS off", "token required"),
        ),
    ],
)
def test_marks(service: str, more: str, expected: tuple[str, ...]) -> None:
    graph = graph_of(f"namespace shop service web in shop {{ {service} }} authenticate web {{ {more} }}")
    assert marks(graph.nodes["service:shop.web"].ports[0]) == expected


def test_tls_that_is_passed_through_is_no_plaintext() -> None:
    graph = graph_of("namespace shop { mtls permissive } service web in shop { port 443 tls }")
    assert marks(graph.nodes["service:shop.web"].ports[0]) == ()
