"""Requests through their callers' real sidecars: what is observed of routing, version by version."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from meshc.engine.errands import Errand, Way
from meshc.engine.observation import Observation
from meshc.engine.session import observe
from meshc.engine.translate import EngineError
from meshc.request import DEFAULT_SOURCE_IP, Request
from meshc_harness.compare import analyze_text

pytestmark = pytest.mark.slow

PROGRAM = """
mesh m { default access allow }
namespace a
service caller in a
service other in a
service back in a {
  port 80 http target 8080
  port 81 http2 target 8080
  port 90 grpc target 9090
  port 5432 tcp
  version v1 version v2 version v3
  endpoint "10.0.0.1:80" { version v1 weight 3 }
  endpoint "10.0.0.2:80" { version v2 }
}
service cloud in a { port 80 http version blue version green }
service guarded in a { port 80 http port 5432 tcp }
access guarded { allow caller from 10.1.0.0/16 }
traffic back:80 {
  route /v1 -> back@v1
  route /v3 -> back@v3
  route /split -> back@v1 75%, back@v2 25%
  route /cloud -> cloud@green { rewrite path "/blue" rewrite host "sky.example" set request header "x-a" "1" add response header "x-b" "2" }
  route /who by other -> back@v2
  route /who -> back@v1
  route /old { redirect "/new" status 308 }
  route /made { respond 201 "made" }
  route /closed { respond 403 }
}
traffic back:90 {
  route rpc x.Y/Two -> back@v2
  route rpc x.Y/Three -> back@v3
  route rpc x.Y/Old { redirect "/x.Y/New" }
  route rpc x.Y/Tea { respond 418 }
}
traffic back:5432 { split back@v2 100%, back@v1 0% }
"""
CALLER = "spiffe://cluster.local/ns/a/sa/caller"
OTHER = "spiffe://cluster.local/ns/a/sa/other"


def to(
    service: str, port: int, path: str | None = None, *, caller: str = CALLER, source: str = DEFAULT_SOURCE_IP
) -> Request:
    method = None if path is None else "POST" if port == 90 else "GET"
    return Request(
        identity=caller, namespace="a", service=service, port=port, method=method, path=path, source_ip=source
    )


def observed(errands: Sequence[Errand]) -> tuple[Observation, ...]:
    analysis = analyze_text(PROGRAM)
    assert analysis.mesh is not None, analysis.diagnostics
    notes: list[str] = []
    found = observe(analysis.mesh, "envoy", errands, warn=notes.append)
    assert not notes
    return found


ROUTED: Mapping[str, Request] = {
    "v1": to("back", 80, "/v1"),
    "v3": to("back", 80, "/v3"),
    "cloud": to("back", 80, "/cloud?q=1"),
    "who": to("back", 80, "/who"),
    "who else": to("back", 80, "/who", caller=OTHER),
    "old": to("back", 80, "/old?q=1"),
    "made": to("back", 80, "/made"),
    "closed": to("back", 80, "/closed"),
    "call two": to("back", 90, "/x.Y/Two"),
    "call three": to("back", 90, "/x.Y/Three"),
    "call old": to("back", 90, "/x.Y/Old"),
    "call tea": to("back", 90, "/x.Y/Tea"),
    "tcp": to("back", 5432),
    "from an office": to("guarded", 80, "/", source="10.1.2.3"),
    "from another": to("guarded", 80, "/", source="10.1.2.4"),
    "from outside": to("guarded", 80, "/", source="10.2.2.3"),
    "from nowhere": to("guarded", 80, "/"),
    "tcp from an office": to("guarded", 5432, source="10.1.2.3"),
    "tcp from nowhere": to("guarded", 5432),
    **{f"split {number}": to("back", 80, "/split") for number in range(400)},
    **{f"default {number}": to("back", 80, "/elsewhere") for number in range(200)},
}
DIRECT: Mapping[str, Request] = {
    "direct": to("back", 80, "/v3"),
    "direct, other port": to("back", 81, "/"),
    "direct, without endpoints": to("cloud", 80, "/"),
}


@pytest.fixture(scope="module")
def answers() -> Mapping[str, Observation]:
    """What became of each request."""
    routed = [Errand(request=one, way=Way.ROUTED) for one in ROUTED.values()]
    direct = [Errand(request=one, way=Way.DIRECT) for one in DIRECT.values()]
    return dict(zip((*ROUTED, *DIRECT), observed((*routed, *direct)), strict=True))


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("v1", "a.back@v1"),
        ("cloud", "a.cloud@green"),
        ("who", "a.back@v1"),
        ("who else", "a.back@v2"),
        ("call two", "a.back@v2"),
        ("tcp", "a.back@v2"),
        ("direct", "a.back@v1"),
        ("direct, other port", "a.back@v1"),
        ("direct, without endpoints", "a.cloud@blue"),
    ],
)
def test_versions_are_told_apart(answers: Mapping[str, Observation], name: str, server: str) -> None:
    """Direct requests go to the first version, whatever the routes say."""
    assert (answers[name].served_by, answers[name].allowed) == (server, True)


def test_what_a_service_received_and_answered_is_seen(answers: Mapping[str, Observation]) -> None:
    received = answers["cloud"].received
    assert received is not None
    assert (received.method, received.path, received.host) == ("GET", "/blue?q=1", "sky.example")
    assert ("x-a", "1") in received.headers
    assert ("x-b", "2") in answers["cloud"].headers


def test_shares_are_kept(answers: Mapping[str, Observation]) -> None:
    """A split by chance, within six standard deviations; and endpoints that take turns by their weights, worker by worker."""
    split = Counter(answers[f"split {number}"].served_by for number in range(400))
    assert set(split) == {"a.back@v1", "a.back@v2"}
    assert 248 <= split["a.back@v1"] <= 352
    default = Counter(answers[f"default {number}"].served_by for number in range(200))
    assert set(default) == {"a.back@v1", "a.back@v2"}
    assert 140 <= default["a.back@v1"] <= 160


def test_a_version_without_endpoints_answers_503(answers: Mapping[str, Observation]) -> None:
    http, call = answers["v3"], answers["call three"]
    assert (http.status, http.served_by, http.allowed) == (503, None, None)
    assert (call.grpc_status, call.served_by) == (14, None)
    assert call.shows_status(503)


def test_what_the_callers_sidecar_answers(answers: Mapping[str, Observation]) -> None:
    assert (answers["old"].allowed, answers["old"].status) == (None, 308)
    redirect = answers["old"].redirect
    assert redirect is not None
    assert (redirect.location, redirect.leads_to("/new")) == ("http://back.a:80/new?q=1", True)
    made = answers["made"]
    assert (made.status, made.redirect, made.served_by) == (201, None, None)
    assert (answers["closed"].allowed, answers["closed"].status) == (False, 403)


def test_what_it_answers_to_calls(answers: Mapping[str, Observation]) -> None:
    redirect = answers["call old"].redirect
    assert redirect is not None
    assert redirect.leads_to("/x.Y/New")
    tea = answers["call tea"]
    assert (tea.allowed, tea.status, tea.grpc_status) == (None, None, 2)


def test_a_sidecar_sends_from_the_address_that_the_request_names(answers: Mapping[str, Observation]) -> None:
    allowed = {name for name, one in answers.items() if "from" in name and one.allowed}
    assert allowed == {"from an office", "from another", "tcp from an office"}
    assert all(answers[name].status == 403 for name in ("from outside", "from nowhere"))


def test_no_sidecar_sends_from_an_ipv6_address() -> None:
    request = to("guarded", 80, "/", source="2001:db8::1")
    with pytest.raises(EngineError, match="none can send from 2001:db8::1"):
        observed([Errand(request=request, way=Way.ROUTED)])


def test_a_stranger_has_no_sidecar() -> None:
    request = to("back", 80, "/", caller="spiffe://cluster.local/ns/a/sa/nobody", source="10.1.2.3")
    with pytest.raises(EngineError, match="has no sidecar"):
        observed([Errand(request=request, way=Way.ROUTED)])
