"""Narrow allows under denies that overlap them: no spelling of a request gets through Linkerd that the model refuses.

Two descriptions of Linkerd, by different hands, are asked, each about every order of precedence that proxies have had. One also
knows hosts that are compared letter by letter, the other every way in which ages and names may break a tie.
"""

from collections import Counter
from random import Random
from typing import Final

import pytest

from linkerd_lab import Call, Objects, objects
from meshc.ir import Mesh
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc.semantics.paths import is_comparable
from meshc_harness.expressible import expressed
from meshc_harness.linkerd.comparison import access_differences, is_stricter, normal_host
from meshc_harness.narrow_programs import TRUST_DOMAIN, Narrow, every_spelling, narrow_program, narrow_request
from meshc_linkerd.inbound import inbound_objects
from meshc_linkerd.options import EmitOptions

DECLARED: Final = frozenset(
    f"spiffe://{TRUST_DOMAIN}/ns/{one}" for one in ("a/sa/web", "a/sa/front", "b/sa/back", "b/sa/data")
)


CUT_OUT: Final = {
    "a name out of a template": "allow anyone to GET /a/{id} deny anyone to /a/admin",
    "a tree out of a tree": "allow anyone to /a/** deny anyone to /a/admin/**",
    "a tree out of everything": "allow anyone deny anyone to /a/admin/**",
    "an escape out of a tree": "allow anyone to /a/** deny anyone to /a/%20/**",
    "a slash out of a tree": "allow anyone to /a/** deny anyone to /a/, /a/{id}/",
    "the root out of everything": "allow anyone deny anyone to /",
    "a method out of a tree": "allow anyone to /a/** deny anyone to POST /a/{id}/edit, DELETE|PUT",
    "a header out of everything": 'allow anyone deny anyone when header "x-team" == "red"',
    "a header out of a tree": 'allow anyone to /a/** deny anyone to /{any}/admin when header "x-team" in ("red", "blue")',
    "a host out of everything": 'allow anyone deny anyone when host == "web.a"',
    "a domain out of a tree": 'allow anyone to /a/** deny anyone to /a/admin when host ends with ".a"',
    "a caller out of a tree": "allow anyone to /a/** deny front to /a/admin, /a/7/**",
    "a block out of a tree": "allow anyone to /a/** deny anyone from 10.1.0.0/16 to /{any}/admin/**",
    "all of it at once": 'allow front to GET|POST /a/{id}/** when header "x-stage" == "live" deny anyone to /a/admin/** '
    'deny anyone from 10.1.2.0/24 to POST deny authenticated to /{any}/{id}/edit when header "x-team" == "red"',
}
"""What denies cut out of allows; where Linkerd cannot say one, `expressed` takes it out."""
HEADERS: Final = (
    (),
    (("x-stage", "live"),),
    (("X-Team", "red"),),
    (("x-team", "\tred "), ("x-stage", "live")),
    (("x-team", "blue"), ("x-team", "red")),
)
HOSTS: Final = (None, "web.a", "WEB.a", "web.a.", "web.a:80", "other")


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in CUT_OUT])
@pytest.mark.parametrize("default", ["deny", "allow"])
def test_every_spelling_of_what_is_cut_out(name: str, default: str) -> None:
    rng = Random(name)
    text = f"mesh m {{ default access {default} }} namespace a service web in a {{ port 80 http target 1080 }}\n"
    left = expressed(f"{text}service front in a\naccess web {{ {CUT_OUT[name]} }}\n", "linkerd")
    assert left is not None
    front = f"spiffe://{TRUST_DOMAIN}/ns/a/sa/front"
    paths = [path for path in every_spelling() if is_comparable(path)]
    drawn = [
        Request(
            identity=rng.choice((front, front, f"spiffe://{TRUST_DOMAIN}/ns/a/sa/web")),
            namespace="a",
            service="web",
            port=80,
            method=rng.choice(("GET", "POST", "DELETE", "get")),
            path=path,
            headers=rng.choice(HEADERS),
            host=rng.choice(HOSTS),
            source_ip=rng.choice(("10.1.2.3", "10.200.0.1", "2001:db8::1")),
        )
        for path in paths
    ]
    found = access_differences(left.mesh, left.emission, drawn)
    assert not found, "\n".join(found)
    server, model = objects(inbound_objects(left.mesh, EmitOptions())), Evaluator(left.mesh)
    for request in drawn:
        let_in = server.answers("a", "web", _call(left.mesh, request))
        assert len(let_in) == 1, request
        assert model.decide(request).allowed or let_in == {False}, request
    assert any(model.decide(request).allowed for request in drawn)


def _requests(rng: Random, narrow: Narrow, count: int) -> list[Request]:
    drawn = (narrow_request(rng, narrow) for _ in range(count))
    return [one for one in drawn if one.path is None or is_comparable(one.path)]


@pytest.mark.slow
def test_nothing_slips_through_by_the_evaluator() -> None:
    seen: Counter[str] = Counter()
    for seed in range(70):
        rng = Random(f"narrow {seed}")
        narrow = narrow_program(rng)
        left = expressed(narrow.text, "linkerd")
        if left is None:
            continue
        requests = _requests(rng, narrow, 60)
        found = access_differences(left.mesh, left.emission, requests)
        assert not found, left.text + "\n".join(found)
        model = Evaluator(left.mesh)
        seen.update("allowed" if model.decide(one).allowed else "denied" for one in requests)
    assert seen["allowed"] > 200
    assert seen["denied"] > 2_000


@pytest.mark.slow
def test_nothing_slips_through_by_the_laboratory() -> None:
    seen: Counter[str] = Counter()
    for seed in range(70):
        rng = Random(f"slip {seed}")
        narrow = narrow_program(rng)
        left = expressed(narrow.text, "linkerd")
        if left is None:
            continue
        found = inbound_objects(left.mesh, EmitOptions())
        listed = any("does not declare" in one.message for one in found.diagnostics)
        for request in _requests(rng, narrow, 60):
            problem = _compared(left.mesh, objects(found), request, listed=listed, seen=seen)
            assert not problem, f"{left.text}\n{request}\n{problem}"
    assert seen["both allow"] > 150
    assert seen["both deny"] > 2_000


def _compared(mesh: Mesh, linkerd: Objects, request: Request, *, listed: bool, seen: Counter[str]) -> str:
    wanted = Evaluator(mesh).decide(request).allowed
    answers = linkerd.answers("a", "web", _call(mesh, request))
    if len(answers) > 1:
        return "versions of Linkerd, or names of objects, disagree"
    allowed = answers.pop()
    seen[f"{'both ' if allowed == wanted else 'linkerd '}{'allow' if allowed else 'deny'}"] += 1
    if allowed and not wanted:
        return "" if _is_asked(mesh, request) else "linkerd lets it through"
    if wanted and not allowed:
        is_new = listed and request.identity not in DECLARED
        # HTTP/2 keeps blanks around a value, which the language takes off, and expressions see no value beyond ASCII.
        is_odd = any(value != value.strip() or not value.isascii() for _, value in request.headers)
        return "" if is_new or is_odd or is_stricter(request) else "linkerd refuses it"
    return ""


def _call(mesh: Mesh, request: Request) -> Call:
    return Call(
        port=next(
            port.target
            for one in mesh.workloads
            if one.name == "web"
            for port in one.ports
            if port.number == request.port
        ),
        identity=request.identity,
        source=request.source_ip,
        method=request.method or "GET",
        path=request.path or "/",
        host=normal_host(request.host or "web.a"),
        headers=request.headers,
    )


def _is_asked(mesh: Mesh, request: Request) -> bool:
    """Whether the platform's own health check asks just this, which the support table says is open."""
    path = (request.path or "").partition("?")[0]
    asked = {(probe.method, probe.path, probe.port - 1000) for one in mesh.workloads for probe in one.probes}
    is_health = (request.method, path) == ("POST", "/grpc.health.v1.Health/Check")
    return (request.method, path, request.port) in asked or (is_health and any(one[0] == "GRPC" for one in asked))
