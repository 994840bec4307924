"""An edge is there exactly if `decide` lets some request through: small programs by eye, random meshes by law."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from meshc import ir
from meshc.graph.build import build
from meshc.graph.model import Edge, Graph, NodeKind, Reach
from meshc.request import Request
from meshc.semantics.conditions import condition_check
from meshc.semantics.decide import Evaluator
from meshc.semantics.normalize import Malformed
from meshc.semantics.principals import principals_check
from meshc.semantics.regions.ports import sides_of
from meshc.source import Span
from meshc_harness.cells import direct
from meshc_harness.graphs import BANK, arrows, graph_of, mesh_of, shown
from meshc_strategies import meshes, near_misses, requests

SHOP = """
namespace shop
namespace bank
service web in shop
service job in shop
service cart in bank { port 8080 http }
"""


def to_cart(rules: str, more: str = "") -> dict[str, str]:
    """Who reaches the cart, by the rest of the edge's name, when it has these rules."""
    found = arrows(graph_of(f"{SHOP}{more}\naccess cart {{ {rules} }}"))
    return {name.removesuffix(" -> service:bank.cart:8080"): text for name, text in found.items()}


# ---- by eye ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("allow web", {"service:shop.web": "*"}),
        ("allow web deny web", {}),
        ("allow web deny anyone", {}),
        ("allow web to GET /a deny anyone to GET", {}),
        ("allow web to GET /a, POST /a deny anyone to GET", {"service:shop.web": "GET /a,POST /a; !GET"}),
        ("allow web to GET /a deny anyone to GET /b", {"service:shop.web": "GET /a"}),
        ("allow web to GET /a deny job to GET", {"service:shop.web": "GET /a"}),
        ("allow web, job", {"service:shop.job": "*", "service:shop.web": "*"}),
        ("allow web allow web to GET /a", {"service:shop.web": "*"}),
        ("allow web to GET|POST /a allow web to GET /a allow web to POST /a", {"service:shop.web": "GET|POST /a"}),
        ("allow anyone", {"authenticated": "*"}),
        ("allow anyone except web", {"authenticated": "*"}),
        ("allow namespace shop except web", {"namespace:shop": "*"}),
        ("allow namespace shop deny web to GET", {"namespace:shop": "*", "service:shop.web": "*; !GET"}),
        ("shadow deny web allow web", {"service:shop.web": "*"}),
        ("shadow allow web", {}),
        ("deny web", {}),
        (
            'allow identity "spiffe://cluster.local/ns/x/*" deny identity "spiffe://cluster.local/ns/x/sa/bad"',
            {"prefix:spiffe://cluster.local/ns/x/*": "*"},
        ),
        ('allow identity "spiffe://cluster.local/x"', {"identity:spiffe://cluster.local/x": "*"}),
        ("allow web from 10.0.0.0/8", {"service:shop.web": "10.0.0.0/8"}),
        ("allow web from 10.0.0.0/8 deny anyone from 10.0.0.0/7", {}),
        ('allow web when header "a" == "1" and not header "a" is present', {}),
    ],
)
def test_edges_to_a_closed_port(rules: str, expected: dict[str, str]) -> None:
    assert to_cart(rules) == expected


def test_the_default_may_let_everybody_in() -> None:
    open_mesh = "mesh shop { default access allow }"
    assert to_cart("deny web to GET", open_mesh) == {"authenticated": "-", "service:shop.web": "-; !GET"}
    assert to_cart("deny web", open_mesh) == {"authenticated": "-"}
    assert arrows(graph_of(SHOP)) == {}
    assert arrows(graph_of(f"{open_mesh}\n{SHOP}")) == {"authenticated -> service:bank.cart:8080": "-"}


@pytest.mark.parametrize(
    ("mode", "rules", "expected"),
    [
        ("permissive", "allow anyone", {"anyone": "*"}),
        ("permissive", "allow authenticated", {"authenticated": "*"}),
        ("permissive", "allow anyone deny authenticated", {"unverified": "*"}),
        ("permissive", "allow anyone to GET deny authenticated to GET /a", {"authenticated": "GET; !GET /a", "unverified": "GET"}),
        ("permissive", "allow anyone deny web", {"anyone": "*"}),
        ("off", "allow anyone", {"anyone": "*"}),
        ("off", "allow web", {}),
        ("off", "allow anyone deny web", {"anyone": "*"}),
    ],
)  # fmt: skip
def test_who_is_known_where_mtls_is_not_strict(mode: str, rules: str, expected: dict[str, str]) -> None:
    assert to_cart(rules, f"authenticate cart {{ mtls {mode} }}") == expected


def test_whom_a_set_does_not_speak_for() -> None:
    """On a permissive port a denied service gets in without its identity, so `anyone` is right and `refused` says the rest."""
    graph = graph_of(f"{SHOP} access cart {{ allow namespace shop deny job deny web to GET }}")
    edge = next(one for one in graph.edges if one.source == "namespace:shop")
    assert (edge.apart, edge.refused) == (("service:shop.web",), ("service:shop.job",))
    assert graph.nodes["namespace:shop"].members == ("service:shop.job", "service:shop.web")
    key = ("bank", "cart", 8080)
    assert graph.edge_for("spiffe://cluster.local/ns/shop/sa/job", key) is None
    assert graph.edge_for("spiffe://cluster.local/ns/shop/sa/other", key) is edge
    web = graph.edge_for("spiffe://cluster.local/ns/shop/sa/web", key)
    assert web is not None
    assert web.source == "service:shop.web"


def test_services_that_share_an_identity_may_do_the_same() -> None:
    more = "service twin in shop { service-account web }"
    assert to_cart("allow web, twin", more) == {"service:shop.twin": "*", "service:shop.web": "*"}


def test_tokens_that_a_port_does_not_read_open_nothing() -> None:
    more = 'authenticate cart { jwt corp { issuer "https://idp" jwks file "k.json" required } }'
    assert to_cart('allow web when claim "scope" has "a"', more) == {"service:shop.web": 'claim "scope" has "a"'}
    graph = graph_of(f'{SHOP} {more} access cart {{ allow web when claim "scope" has "a" }}')
    example = graph.edges[0].example
    assert example is not None
    assert example.request.claims is not None


def test_all_kinds_of_ports_and_callers() -> None:
    assert arrows(graph_of(BANK)) == {
        "service:bank.payments -> service:bank.ledger:5432": "*",
        "service:bank.payments -> external:bank.stripe:80": "*",
        "service:bank.payments -> external:bank.stripe:443": "*",
        "service:shop.checkout -> service:bank.payments:8080": "POST /charge,GET /charge/{id}; !10.66.0.0/16",
        "service:shop.checkout -> service:old.legacy:80": "*; !GET /a",
        "service:shop.web -> service:bank.payments:8080": (
            'GET /reports/** claim "scope" has "reports" and header "x-mode" != "raw"; !10.66.0.0/16'
        ),
        "service:shop.web -> service:shop.checkout:8080": "*",
        "identity:spiffe://ops.example/ns/x/sa/y -> service:shop.web:80": "*; !GET",
        "namespace:shop -> service:shop.checkout:8080": "GET",
        "prefix:spiffe://ops.example/ns/ops/sa/* -> service:bank.payments:9090": "rpc bank.Admin/*,rpc bank.Books/Close",
        "authenticated -> service:old.legacy:80": "GET; !GET /a",
        "authenticated -> service:shop.web:80": "*",
        "unverified -> service:old.legacy:80": "GET",
        "anyone -> service:old.legacy:443": "10.0.0.0/8",
    }


def test_nodes() -> None:
    graph = graph_of(BANK)
    declared = [name for name, node in graph.nodes.items() if node.is_declared]
    assert declared == sorted(declared, key=lambda name: name.partition(":")[2])
    assert graph.subjects == set(declared)
    assert {node.kind for node in graph.nodes.values()} == set(NodeKind)
    assert {node.id for node in graph.drawn} == set(graph.nodes)
    payments = graph.nodes["service:bank.payments"]
    assert [(port.number, port.name, port.providers) for port in payments.ports] == [
        (8080, None, ("corp",)),
        (9090, "admin", ()),
    ]
    assert [travel.text for travel in payments.ports[0].travels] == [
        "GET /charge/{id} -> bank.payments:8080@v2",
        "/** -> bank.payments:8080",
    ]
    assert [one.percent for one in payments.ports[0].travels[1].mirrors] == [10]


# ---- where the regions give up --------------------------------------------------------------------------------------

WORDS = "amber birch cedar delta ember fjord grove haven inlet jetty knoll lagoon meadow nectar".split()


def any_word(words: list[str]) -> str:
    """That a header has one of some words. All words occur together in too many ways; half of them do not."""
    return " or ".join(f'header "x-area" matches re".*{word}.*"' for word in words)


@pytest.mark.slow
def test_callers_are_asked_about_alone_where_all_together_are_too_much() -> None:
    rules = f"allow web when {any_word(WORDS[:7])} allow job when {any_word(WORDS[7:])}"
    graph = graph_of(f"{SHOP} access cart {{ {rules} }}")
    assert [(edge.source, edge.reach) for edge in graph.edges] == [
        ("service:shop.job", Reach.ALLOWED),
        ("service:shop.web", Reach.ALLOWED),
    ]
    assert all(edge.example is not None for edge in graph.edges)


@pytest.mark.slow
def test_what_is_too_much_is_not_decided() -> None:
    rules = f"allow web when {any_word(WORDS)} allow job deny job deny web to GET /a"
    graph = graph_of(f"{SHOP} access cart {{ {rules} }}")
    [edge] = graph.edges
    assert (edge.source, edge.reach, edge.example) == ("service:shop.web", Reach.UNDECIDED, None)
    assert edge.reason
    assert shown(edge) == f"{any_word(WORDS)}; !GET /a"


# ---- laws -----------------------------------------------------------------------------------------------------------

checks = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # whole meshes take minutes to shrink
)


def numbered(mesh: ir.Mesh) -> ir.Mesh:
    """The mesh with a place of its own for every rule."""
    lines = iter(range(1, 100_000))

    def port(one: ir.PortPolicy) -> ir.PortPolicy:
        return replace(one, access=tuple(map(stage, one.access)))

    def stage(one: ir.Stage) -> ir.Stage:
        return replace(one, rules=tuple(replace(rule, span=_place(next(lines))) for rule in one.rules))

    return replace(
        mesh,
        workloads=tuple(replace(one, ports=tuple(map(port, one.ports))) for one in mesh.workloads),
        externals=tuple(replace(one, ports=tuple(map(port, one.ports))) for one in mesh.externals),
    )


def _place(line: int) -> Span:
    return Span("random.mesh", line, line + 1, line, 1)


def says(graph: Graph, edge: Edge | None, mesh: ir.Mesh, request: Request, evaluator: Evaluator) -> bool:
    """Whether an edge says that a request passes: by its own clauses, and by nothing else that the rules say."""
    key = (request.namespace, request.service, request.port)
    port = evaluator.port(key)
    assert port is not None
    seen = evaluator.observe(port, request)
    if edge is None or isinstance(seen, Malformed):
        return False
    facts = evaluator.judge(key, seen, request.claims).facts
    if facts is None:
        return False
    stages = [stage for _, stage in sides_of(mesh)[key].stages]
    matched = {
        rule.span
        for stage in stages
        for rule in stage.rules
        if principals_check(rule.principals)(facts.identity) and condition_check(rule.condition)(facts)
    }
    return all(any(clause.place in matched for clause in group) for group in edge.allows) and not any(
        clause.place in matched for clause in edge.denies
    )


@pytest.mark.slow
@checks
@given(meshes(), st.lists(requests(), min_size=5, max_size=15))
def test_an_edge_says_of_every_request_whether_it_is_let_through(random: ir.Mesh, some: list[Request]) -> None:
    mesh = direct(numbered(random))
    graph, evaluator = build(mesh), Evaluator(mesh)
    for request in (miss for one in some for miss in near_misses(one)):
        if request.source_ip == "junk" or not (request.identity or "spiffe://").startswith("spiffe://"):
            continue  # no request comes from there
        edge = graph.edge_for(request.identity, (request.namespace, request.service, request.port))
        decision = evaluator.decide(request)
        if edge is not None and edge.reach is Reach.UNDECIDED:
            continue
        assert not decision.allowed or edge is not None, request
        if decision.allowed or decision.rule is not None:
            assert says(graph, edge, mesh, request, evaluator) is bool(decision.allowed), (request, decision, edge)


@pytest.mark.slow
@checks
@given(meshes())
def test_every_edge_has_a_request_that_is_let_through(random: ir.Mesh) -> None:
    mesh = direct(random)
    graph, evaluator = build(mesh), Evaluator(mesh)
    identities = [one.identity for one in mesh.workloads]
    for edge in graph.edges:
        if edge.reach is Reach.UNDECIDED:
            continue
        assert edge.example is not None
        request = edge.example.request
        assert evaluator.decide(request).allowed
        assert graph.speaks_for(edge, request.identity)
        for identity in identities:
            if graph.speaks_for(edge, identity):
                assert evaluator.decide(replace(request, identity=identity)).allowed


@pytest.mark.slow
@checks
@given(meshes())
def test_a_deny_for_everybody_leaves_no_edge(random: ir.Mesh) -> None:
    rule = ir.Rule(identifier="all", principals=ir.Principals((ir.AnyPeer(),)), condition=ir.ALWAYS, span=_place(1))
    deny = ir.Stage(effect=ir.Effect.DENY, rules=(rule,), span=_place(1))
    workloads = tuple(
        replace(one, ports=tuple(replace(port, access=(*port.access, deny)) for port in one.ports))
        for one in random.workloads
    )
    mesh = replace(random, workloads=workloads, externals=())
    assert build(mesh).edges == ()


def test_the_graph_of_an_empty_mesh() -> None:
    graph = build(mesh_of("namespace shop"))
    assert (dict(graph.nodes), graph.edges) == ({}, ())
