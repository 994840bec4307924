"""Random rules of one port against the language's own evaluator: Linkerd lets nothing more through, and refuses little more."""

import random
from collections import Counter
from typing import Final

import pytest
import re2

from linkerd_lab import Call, compile_mesh, objects
from linkerd_programs import random_program
from meshc.diagnostics import Severity
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc_linkerd.inbound import inbound_objects
from meshc_linkerd.options import EmitOptions
from meshc_linkerd.segments import SEGMENT

IDENTITIES: Final = (
    *(f"spiffe://cluster.local/ns/{one}" for one in ("a/sa/front", "b/sa/back", "b/sa/data", "a/sa/web")),
    *("spiffe://cluster.local/ns/b/sa/new", "spiffe://cluster.local/ns/c/sa/new", None),
)
ADDRESSES: Final = ("10.1.2.3", "10.1.9.9", "10.9.9.9", "192.168.0.7", "172.16.0.1", "2001:db8::7", "2001:db9::7")
PATHS: Final = (
    *(
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a/b/",
        "/a/b/c",
        "/a/7",
        "/a/x/c",
        "/a/12/c",
        "/b",
        "/b/b",
        "/ab",
        "/%20x",
        "/%20x/y",
    ),
    *("/a/%20", "/a/%c3%a9/c", "/v1/x", "/v3/x", "/healthz", "/A", "/a/...", "/a/.b", "/a/..b", "/a/b?q=1", "/a?q=2"),
    *("/a/b?q=1&q=2", "/a?q=%31", "/z?x=1&q=1"),
)
STRANGE: Final = (
    *("//a", "/a//b", "/./a", "/a/./b", "/x/../a", "/a/..", "/a/../b", "/%61", "/a/%62", "/a%2Fb", "/a/%00", "/a\\b"),
    *(
        "/a/b;v",
        "/a;x",
        "/a/..;/b",
        "/a/%2e%2e/b",
        "/{a}",
        "/a/b%",
        "/a/%2",
        "/a/%5c",
        "/a/b/.",
        "/a/b/..",
        "/%41",
        "/a/%2F",
    ),
    *("/a/%zz", '/a/"', "/a|b", "/%7B", "/.a", "/..a/b", "/a/b//", "/healthz/", "//healthz", "/%68ealthz"),
)
HEADERS: Final = (
    *((), (("x-a", "1"),), (("x-a", "2"),), (("x-a", "1"), ("x-a", "3")), (("x-a", "1"), ("x-b", "y"))),
    *((("x-b", "y"),), (("x-b", "é"),), (("x-c", "abc"),), (("x-c", "b"), ("x-a", "1")), (("x-d", "ab"),)),
    *((("x-a", "2"), ("x-b", "y"), ("x-c", "ab"), ("x-d", "d")), (("x-b", ""),)),
)
HOSTS: Final = ("web", "web.a", "WEB.a:80", "x.a", "other", "web.a.")
METHODS: Final = ("GET", "POST", "DELETE", "PUT")
NORMAL: Final = re2.compile(f"^/(?:{SEGMENT}/)*{SEGMENT}?$")


def _call(chance: random.Random) -> Call:
    return Call(
        port=8080,
        identity=chance.choice(IDENTITIES),
        source=chance.choice(ADDRESSES),
        method=chance.choice(METHODS),
        path=chance.choice(PATHS if chance.random() < 0.75 else STRANGE),
        host=chance.choice(HOSTS),
        headers=chance.choice(HEADERS),
    )


def _request(call: Call) -> Request:
    return Request(
        identity=call.identity,
        namespace="a",
        service="web",
        port=80,
        method=call.method,
        path=call.path,
        headers=tuple(call.headers),
        host=call.host,
        source_ip=call.source,
    )


def _check(seed: int, calls: int, seen: Counter[str]) -> None:
    chance = random.Random(seed)
    text = random_program(chance)
    mesh = compile_mesh(text)
    options = EmitOptions()
    found = inbound_objects(mesh, options)
    if any(one.severity is Severity.ERROR for one in found.diagnostics):
        seen["refused"] += 1
        return
    seen["compiled"] += 1
    notes = " ".join(one.message for one in found.diagnostics)
    linkerd, model = objects(found), Evaluator(mesh)
    probes = {probe.path for workload in mesh.workloads for probe in workload.probes}
    for _ in range(calls):
        call = _call(chance)
        answers = linkerd.answers("a", "web", call)
        assert len(answers) == 1, f"seed {seed}: versions disagree on {call}\n{text}"
        allowed, wanted = answers.pop(), model.decide(_request(call)).allowed
        path = call.path.partition("?")[0]
        seen["allowed" if allowed else "denied"] += 1
        if allowed and not wanted:
            assert call.method == "GET", f"seed {seed}: linkerd lets {call} through\n{text}"
            assert path in probes, f"seed {seed}: linkerd lets {call} through\n{text}"
        elif wanted and not allowed:
            is_strange = NORMAL.search(path) is None and "as they are sent" in notes
            is_stray = path in {"/a/b%", "/a/%2", "/a/%zz"}
            is_escaped = "%" in path and ("as they are sent" in notes)
            is_new = call.identity is not None and call.identity.endswith("/new") and "does not declare" in notes
            has_query = "?" in call.path and "query" in text
            is_foreign = any(not value.isascii() for _, value in call.headers)
            seen["stricter"] += 1
            assert is_strange or is_stray or is_new or has_query or is_foreign or is_escaped, (
                f"seed {seed}: linkerd refuses {call}\n{text}"
            )


def test_random_ports() -> None:
    seen: Counter[str] = Counter()
    for seed in range(10):
        _check(seed, 40, seen)
    assert seen["compiled"] > seen["refused"]


@pytest.mark.slow
def test_many_random_ports() -> None:
    seen: Counter[str] = Counter()
    for seed in range(1000, 1400):
        _check(seed, 150, seen)
    assert seen["compiled"] > seen["refused"] > 0
    assert seen["allowed"] > 3_000
    assert seen["stricter"] < seen["allowed"]
