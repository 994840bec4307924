"""Errands: how a request is sent to learn whether it is allowed, and which sidecars that takes."""

import pytest

from meshc.engine.errands import Errand, Way, visits_of, way_to_judge
from meshc.engine.translate import EngineError
from meshc.request import Request
from meshc.semantics.decide import Evaluator
from meshc_harness.compare import analyze_text

PROGRAM = """
mesh m { }
namespace a
service caller in a
service other in a { port 80 http }
service back in a { port 80 http port 5432 tcp version v1 version v2 }
traffic back:80 {
  route /version -> back@v2
  route /elsewhere -> back:80 0%, other 100%
  route /never -> back:80 100%, other 0%
  route /path { rewrite path "/x" }
  route /same { rewrite path "/same" }
  route /host { rewrite host "x.example" }
  route /header { set request header "x-a" "1" }
  route /answer { set response header "x-a" "1" }
  route /redirect { redirect "/x" }
  route /respond { respond 404 }
  route /abort { fault abort 503 for 100% }
  route /rarely { fault abort 503 for 10% }
}
"""
CALLER = "spiffe://cluster.local/ns/a/sa/caller"


def to(path: str | None, *, identity: str | None = CALLER, port: int = 80, source: str = "127.0.0.1") -> Request:
    method = None if path is None else "GET"
    return Request(
        identity=identity, namespace="a", service="back", port=port, method=method, path=path, source_ip=source
    )


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    return Evaluator(mesh)


@pytest.mark.parametrize("path", ["/elsewhere", "/path", "/host", "/header", "/redirect", "/respond", "/abort"])
def test_what_the_callers_sidecar_changes_is_sent_through_it(evaluator: Evaluator, path: str) -> None:
    assert way_to_judge(evaluator, to(path)) is Way.ROUTED


@pytest.mark.parametrize("path", ["/", "/version", "/never", "/same", "/answer", "/rarely", "/bad%2f"])
def test_everything_else_is_sent_to_the_server(evaluator: Evaluator, path: str) -> None:
    assert way_to_judge(evaluator, to(path)) is Way.DIRECT


@pytest.mark.parametrize(
    "request_",
    [
        to("/path", identity=None),
        to("/path", identity="spiffe://cluster.local/ns/a/sa/nobody"),
        to(None, port=5432),
        to("/path", port=99),
    ],
)
def test_so_is_what_has_no_sidecar_or_no_route(evaluator: Evaluator, request_: Request) -> None:
    assert way_to_judge(evaluator, request_) is Way.DIRECT


def test_visits_are_those_of_routed_requests_from_unusual_addresses() -> None:
    errands = [
        Errand(request=to("/", source="127.0.0.3"), way=Way.ROUTED),
        Errand(request=to("/x", source="127.0.0.3"), way=Way.ROUTED),
        Errand(request=to("/", source="127.0.0.2"), way=Way.ROUTED),
        Errand(request=to("/"), way=Way.ROUTED),
        Errand(request=to("/", source="127.0.0.4"), way=Way.DIRECT),
        Errand(request=to("/", source="127.0.0.5", identity=None), way=Way.ROUTED),
    ]
    assert visits_of(errands) == {CALLER: ("127.0.0.3", "127.0.0.2")}


@pytest.mark.parametrize(
    ("address", "message"), [("2001:db8::1", "none can send from"), ("203.0.113.9", "cannot send")]
)
def test_an_address_that_no_sidecar_can_have_is_said(address: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        visits_of([Errand(request=to("/", source=address), way=Way.ROUTED)])
