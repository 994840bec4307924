"""Environments: what replaces what, and what adds up."""

from datetime import date

from meshc import ir
from meshc.diagnostics import Severity
from meshc.frontend import Analysis, analyze, environments
from meshc.parse import parse
from meshc.resolve import Module
from meshc.source import SourceFile

PROGRAM = """mesh shop { default access deny }
namespace shop
service web in shop
service cart in shop {
  port 8080 http
  version v1
  endpoint "10.0.0.1:15010"
  endpoint "10.0.0.2:15010"
}
let nets = 10.0.0.0/8
let wait = 1s
access cart { allow web from $nets }
traffic cart {
  timeout $wait
  idle-timeout 9s
  route GET /a { respond 200 "base" }
  route GET /b { respond 200 "base" }
}
rate-limit cart { 10/s 5/s per source }
"""


def analyzed(more: str, environment: str | None = "e", base: str = PROGRAM) -> Analysis:
    file = parse(SourceFile("p.mesh", base + more)).file
    modules = {"p.mesh": Module(file=file, imports={})}
    return analyze(modules, (), {}, environment=environment, today=date(2026, 1, 1))


def port(more: str, environment: str | None = "e") -> ir.PortPolicy:
    analysis = analyzed(more, environment)
    assert analysis.mesh is not None, analysis.diagnostics
    return next(one for one in analysis.mesh.workloads if one.name == "cart").ports[0]


def test_the_base_is_untouched() -> None:
    assert port("environment e { traffic cart { timeout 7s } }", None) == port("", None)
    assert environments(
        {"p": Module(file=parse(SourceFile("p", "environment b {} environment a {}")).file, imports={})}
    ) == (
        "a",
        "b",
    )


def test_settings_and_lets_replace() -> None:
    assert port("environment e { traffic cart { timeout 7s } }").routes[-1].settings.timeout_ms == 7000
    changed = port("environment e { let wait = 3s }").routes[-1].settings
    assert (changed.timeout_ms, changed.idle_timeout_ms) == (3000, 9000)
    (stage,) = port("environment e { let nets = 11.0.0.0/8 }").access
    assert "11.0.0.0" in repr(stage.rules)
    assert "10.0.0.0" not in repr(stage.rules)


def test_routes_with_the_same_match_replace_and_others_are_added() -> None:
    routes = port(
        'environment e { traffic cart { route GET /a { respond 503 "e" } route GET /c { respond 200 } } }'
    ).routes
    bodies = {repr(route.path): route.action.body for route in routes if isinstance(route.action, ir.Respond)}
    assert sorted(bodies.values()) == ["", "base", "e"]


def test_rules_are_added() -> None:
    (stage,) = port("environment e { access cart { allow web to GET /health } }").access
    assert len(stage.rules) == 2


def test_endpoints_are_replaced_as_a_whole() -> None:
    analysis = analyzed('environment e { service cart in shop { endpoint "10.9.9.9:1" } }')
    assert analysis.mesh is not None
    cart = next(one for one in analysis.mesh.workloads if one.name == "cart")
    assert [one.host for one in cart.endpoints] == ["10.9.9.9"]
    assert [one.name for one in cart.versions] == ["v1"]


def test_a_limit_of_the_same_kind_replaces() -> None:
    limits = port("environment e { rate-limit cart { 99/s  7/s to GET /a } }").limits
    assert sorted((one.tokens, one.per) for one in limits) == [(5, "source"), (7, None), (99, None)]


def test_the_mesh_can_be_changed() -> None:
    analysis = analyzed("environment e { mesh shop { mtls permissive default access allow } }")
    assert analysis.mesh is not None
    assert analysis.mesh.workloads[0].ports[0].mtls is ir.MtlsMode.PERMISSIVE


def test_two_values_in_one_environment_are_an_error() -> None:
    found = analyzed("environment e { traffic cart { timeout 7s } traffic cart { timeout 8s } }").diagnostics
    assert [one.name for one in found if one.severity is Severity.ERROR] == ["duplicate-setting"]


def test_the_nearer_scope_wins_over_the_environment_of_a_wider_one() -> None:
    base = PROGRAM + "traffic cart:8080 { timeout 2s }\n"
    analysis = analyzed("environment e { traffic cart { timeout 7s } }", base=base)
    assert analysis.mesh is not None
    cart = next(one for one in analysis.mesh.workloads if one.name == "cart")
    assert cart.ports[0].routes[-1].settings.timeout_ms == 2000


def test_the_order_of_declarations_has_no_effect() -> None:
    lines = [
        "namespace shop",
        "service web in shop",
        "service job in shop",
        "service cart in shop { port 8080 http }",
        "group g = web, job",
        "access cart { allow group g to GET }",
        "access cart { deny job }",
        "access mesh { deny anyone to /internal/** }",
        "traffic cart { timeout 1s }",
        "authenticate namespace shop { mtls permissive }",
    ]
    straight = analyzed("", None, "\n".join(lines)).mesh
    assert straight is not None
    assert straight == analyzed("", None, "\n".join(reversed(lines))).mesh
