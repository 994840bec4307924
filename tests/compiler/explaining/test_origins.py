"""Where compiled rules are from, as sets of requests."""

from dataclasses import replace

from meshc.explaining.origins import origins_of
from meshc.ir import Mesh
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc.semantics.explain import explain
from meshc_harness.compare import analyze_text

PROGRAM = """namespace shop
service web in shop
service mail in shop
service cart in shop { port 8080 http }
access cart {
  allow web to GET /items/**
  allow web, mail to GET /items/list
  shadow deny mail to GET /items/**
  deny mail to POST /items/**
}
traffic cart { timeout 2s route GET /items/list { timeout 3s } }
"""
COMPILED = """
service mail in shop
service web in shop
namespace shop
service cart in shop { port 8080 http }
access cart {


  deny mail to POST /items/{id}
  shadow deny mail to GET /items/a
  allow web to GET /items/list
  allow mail to GET /items/list
  allow web to GET /items/**
  allow mail to PUT /items/**
}
traffic cart { timeout 2s


 route GET /items/list { timeout 3s } }
"""


def _mesh(text: str) -> Mesh:
    mesh = analyze_text(text).mesh
    assert mesh is not None
    return mesh


def _lines(request: Request) -> dict[int, tuple[int, ...]]:
    read, program = _mesh(COMPILED), _mesh(PROGRAM)
    found, own = (explain(Evaluator(one), request) for one in (read, program))
    return {
        place.line: tuple(one.line for one in spans) for place, spans in origins_of(read, program, found, own).items()
    }


CALL = Request(
    identity="spiffe://cluster.local/ns/shop/sa/web",
    namespace="shop",
    service="cart",
    port=8080,
    method="GET",
    path="/items/list",
    source_ip="10.0.0.1",
)


def test_a_rule_is_from_those_that_contain_it() -> None:
    lines = _lines(CALL)
    assert {line: lines.get(line) for line in range(9, 15)} == {
        9: (9,),  # it takes less than the rule that it is from
        10: (8,),  # a shadow rule is from a shadow rule
        11: (6, 7),
        12: (7,),
        13: (6,),
        14: None,  # nothing of the program says so
    }


def test_routes_and_settings_are_told_by_what_they_say() -> None:
    lines = _lines(CALL)
    assert lines[19] == (11,)
    assert 16 in _lines(replace(CALL, path="/items/other"))


def test_a_port_that_only_one_of_the_two_has() -> None:
    read, program = _mesh(COMPILED.replace("8080", "9090")), _mesh(PROGRAM)
    request = replace(CALL, port=9090)
    found, own = (explain(Evaluator(one), request) for one in (read, program))
    assert not origins_of(read, program, found, own)
