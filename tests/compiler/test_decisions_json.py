"""Requests and decisions as JSON, against their schemas and the mesh."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import meshc
from meshc.decisions_json import RequestError, RequestReader, read_request, request_to_json, write_decision
from meshc.request import Decision, Request
from meshc.semantics import Evaluator
from meshc_strategies import meshes, requests
from meshc_strategies.shop import FRONTEND, OPS, SHOP

SCHEMAS = Path(meshc.__file__).parent / "schemas"


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


REQUEST, DECISION = validator("request"), validator("decision")
CONTRACT = """{"from": "shop.frontend", "to": "bank.payments:8080", "method": "POST", "path": "/charge",
 "headers": {"x-region": "eu"}, "host": "payments.bank", "query": {}, "claims": {"scope": ["refund"]}, "source_ip": "10.1.2.3"}"""


def test_the_contracts_example() -> None:
    REQUEST.validate(json.loads(CONTRACT))
    assert read_request(CONTRACT, SHOP) == Request(
        identity=FRONTEND,
        namespace="bank",
        service="payments",
        port=8080,
        method="POST",
        path="/charge",
        headers=(("x-region", "eu"),),
        host="payments.bank",
        claims={"scope": ["refund"]},
        source_ip="10.1.2.3",
    )


def minimal(**more: object) -> str:
    return json.dumps({"from": None, "to": "bank.payments:8080", "method": "GET", "path": "/", **more})


ACCEPTED = [
    (minimal(), {"identity": None, "port": 8080}),
    (minimal(**{"from": "frontend"}), {"identity": FRONTEND}),
    (minimal(**{"from": {"identity": OPS}}), {"identity": OPS}),
    (minimal(to="bank.payments:admin"), {"port": 9090}),
    (minimal(to="checkout"), {"namespace": "shop", "port": 8080}),
    (minimal(to="stripe"), {"namespace": "bank", "port": 443}),
    (minimal(headers={"a": ["1", "2"], "b": "3"}), {"headers": (("a", "1"), ("a", "2"), ("b", "3"))}),
    (minimal(query={"q": "1"}), {"query": (("q", "1"),)}),
    (minimal(claims={}), {"claims": {}}),
    (minimal(claims=None, host=None, source_ip=None), {"claims": None, "host": None, "source_ip": "127.0.0.1"}),
    ('{"from": "checkout", "to": "ledger"}', {"method": None, "port": 5432}),
]


@pytest.mark.parametrize(("line", "expected"), ACCEPTED)
def test_accepted(line: str, expected: dict[str, object]) -> None:
    REQUEST.validate(json.loads(line))
    request = read_request(line, SHOP)
    assert {name: getattr(request, name) for name in expected} == expected


REFUSED = [
    ("", "not JSON: expecting value at column 1", ""),
    ("{", "not JSON: ", ""),
    ("[" * 100_000, "not JSON that can be read", ""),
    ("9" * 5000, "not JSON that can be read", ""),
    ("[]", "a request is a JSON object", "write"),
    ('{"from": null, "from": null}', "`from` stands twice in one object", "list"),
    (minimal(claims={"a": float("nan")}), "`NaN` is no JSON value", ""),
    (minimal(path="/\ud800"), "a string holds half of a surrogate pair", ""),
    ('{"to": "checkout"}', "`from` is missing", "null for a caller"),
    ('{"from": null}', "`to` is missing", ""),
    (minimal(metod="GET"), "a request has no field `metod`", "did you mean `method`?"),
    (minimal(zzz=1), "a request has no field `zzz`", "the fields are from, to"),
    (minimal(**{"from": 5}), "`from` is the name of a service, an identity, or null", ""),
    (minimal(**{"from": {"identity": "x"}}), "`x` is not a SPIFFE id", "spiffe://"),
    (minimal(**{"from": {"identity": "spiffe://"}}), "`spiffe://` is not a SPIFFE id", ""),
    (minimal(**{"from": {"identity": OPS, "x": 1}}), "`from` is the name of", ""),
    (minimal(**{"from": OPS}), "an identity stands where a service's name is expected", '{"identity"'),
    (minimal(**{"from": "frontent"}), "no service is called `frontent`", "did you mean `frontend`?"),
    (minimal(**{"from": "shop.frontent"}), "no service is called `shop.frontent`", "did you mean `shop.frontend`?"),
    (minimal(**{"from": "checkout:8080"}), "names a port, and callers have none", "`checkout`"),
    (minimal(**{"from": "stripe"}), "`stripe` lies outside the mesh and calls nobody in it", ""),
    (minimal(to="payments"), "`payments` fits several services", "`bank.payments`, `shop.payments`"),
    (minimal(to="bank.payments"), "`bank.payments` has several ports", "`8080`, `9090` (`admin`)"),
    (minimal(to="bank.payments:80"), "`bank.payments` has no port `80`", "it has `8080`"),
    (minimal(to="frontend"), "`shop.frontend` has no ports", ""),
    (minimal(to=7), "`to` is the name of a service", ""),
    (minimal(to="ledger"), "`method` makes no sense on `bank.ledger:5432`, a tcp port", "leave it out"),
    ('{"from": null, "to": "checkout", "method": "GET"}', "`path` is missing", ""),
    ('{"from": null, "to": "checkout", "path": "/"}', "`method` is missing", ""),
    (minimal(method="GRPC"), "`GRPC` is no HTTP method", "POST"),
    (minimal(method=["GET"]), "`method` is a string, not a list", ""),
    (minimal(headers=[]), "`headers` is an object of strings, not a list", ""),
    (minimal(headers={"a": 1}), "`a` in `headers` is a string or a list of strings, not a number", ""),
    (minimal(headers={"a": [None]}), "`a` in `headers` is a string or a list of strings, not null", ""),
    (minimal(claims="x"), "`claims` is an object, not a string", ""),
    (minimal(host={}), "`host` is a string, not an object", ""),
    (minimal(host=True), "`host` is a string, not a boolean", ""),
    (minimal(source_ip="10.1"), "`10.1` is no IP address", "10.1.2.3"),
    (minimal(**{"x" * 100: 1}), "…`", ""),
]


@pytest.mark.parametrize(("line", "message", "advice"), REFUSED)
def test_refused(line: str, message: str, advice: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_request(line, SHOP)
    assert message in caught.value.message
    assert advice in caught.value.advice
    assert "\n" not in caught.value.message


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
)


@given(st.one_of(st.text(), values.map(json.dumps)))
def test_any_text_is_a_request_or_an_error(text: str) -> None:
    with pytest.raises(RequestError):
        read_request(text, SHOP)


@given(st.dictionaries(st.sampled_from(["from", "to", "method", "path", "headers", "claims", "source_ip"]), values))
def test_any_fields_are_a_request_or_an_error(fields: dict[str, object]) -> None:
    line = json.dumps({"from": None, "to": "checkout", "method": "GET", "path": "/", **fields})
    try:
        request = read_request(line, SHOP)
    except RequestError:
        return
    Evaluator(SHOP).decide(request)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(meshes(), st.lists(requests(), min_size=3, max_size=6))
def test_written_requests_are_read_back_and_decisions_fit_the_schema(mesh, some) -> None:
    """read . write == id, headers grouped by name"""
    reader, evaluator = RequestReader(mesh), Evaluator(mesh)
    for one in some:
        line = json.dumps(request_to_json(one, mesh))
        if one.source_ip == "junk" or one.identity == "nobody":
            continue
        REQUEST.validate(json.loads(line))
        back = reader.read(line)
        ordered = replace(one, headers=tuple(sorted(one.headers)), query=tuple(sorted(one.query)))
        assert replace(back, headers=tuple(sorted(back.headers)), query=tuple(sorted(back.query))) == ordered
        DECISION.validate(json.loads(write_decision(evaluator.decide(one))))


def test_a_decision() -> None:
    shown = write_decision(Decision(allowed=None, status=308, redirect="/charge", reason="redirect"))
    assert json.loads(shown) == {
        "access": None,
        "status": 308,
        "reason": "redirect",
        "rule": None,
        "route": None,
        "destinations": [],
        "timeout_ms": None,
        "retries": 0,
        "mirror": [],
        "fault": None,
        "redirect": "/charge",
        "shadow": [],
    }
