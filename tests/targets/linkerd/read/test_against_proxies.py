"""Random configuration as people might write it: the reading decides as the evaluator of Linkerd's documentation does."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
import yaml

from meshc.ir import Mesh
from meshc.reading import bare, objects_of_source
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc.source import SourceFile
from meshc_harness.compare import analyze_text
from meshc_harness.linkerd import Cluster, Inbound, Precedence, RejectedError
from meshc_harness.linkerd.comparison import cluster_of, on_the_wire
from meshc_linkerd.read import read

PROGRAM = """
namespace shop
namespace bank
service web in shop
service mail in shop
service pay in bank
service cart in shop { port 80 http target 8080 labels app = "cart" }
"""
IN_MESH = "serviceaccount.identity.linkerd.cluster.local"
POLICY = "policy.linkerd.io"
SERVER = {"group": POLICY, "kind": "Server", "name": "cart"}
PATHS = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/abab", "/b", "/B", "/c/d", "/a/bc"]
PREFIXES = ["/", "/a", "/a/", "/a/b", "/b", "/c"]
EXPRESSIONS = ["^(?:/a|/ab)$", "/a*(ab)*", "/a.*", "^/a.*$", "^/[ab]$", "/a+", "/(a|ab)", "^/(a|ab)$", "/a/[^/]+", ".*"]
HEADERS = [
    {"name": "X-A", "value": "1"},
    {"name": "x-a", "type": "RegularExpression", "value": "^.*$"},
    {"name": "x-b", "type": "Exact", "value": "2"},
]
REFS = [
    {"kind": "ServiceAccount", "name": "web"},
    {"kind": "ServiceAccount", "name": "pay", "namespace": "bank"},
    {"kind": "Namespace", "name": "bank"},
]
NAMES = ["*", f"*.shop.{IN_MESH}", f"web.shop.{IN_MESH}", f"pay.bank.{IN_MESH}"]
NETWORKS = [
    [{"cidr": "10.0.0.0/8"}],
    [{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}],
    [{"cidr": "0.0.0.0/0"}, {"cidr": "::/0"}],
]
CALLERS = [None, *(f"spiffe://cluster.local/ns/{one}" for one in ("shop/sa/web", "shop/sa/mail", "bank/sa/pay"))]

Objects = list[dict[str, Any]]


def _object(version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def _match(random: Random) -> dict[str, Any]:
    kind, values = random.choice(
        [("", PATHS), ("Exact", PATHS), ("PathPrefix", PREFIXES), ("RegularExpression", EXPRESSIONS)]
    )
    found: dict[str, Any] = {"path": {"type": kind, "value": random.choice(values)}} if kind else {}
    if random.random() < 0.3:
        found["method"] = random.choice(["GET", "POST"])
    if random.random() < 0.25:
        found["headers"] = [random.choice(HEADERS)]
    if random.random() < 0.15:
        found["queryParams"] = [{"name": "q", "value": random.choice(["1", "2"])}]
    return found


def _route(random: Random, number: int) -> dict[str, Any]:
    rules = []
    for _ in range(random.randint(1, 2)):
        matches = [_match(random) for _ in range(random.randint(0, 2))]
        rules.append({"matches": matches} if matches else {})
    spec: dict[str, Any] = {"parentRefs": [SERVER], "rules": rules}
    if random.random() < 0.25:
        spec["hostnames"] = random.sample(["cart.shop", "*.shop", "Other.example"], random.randint(1, 2))
    version = random.choice(["gateway.networking.k8s.io/v1", f"{POLICY}/v1beta3"])
    return _object(version, "HTTPRoute", f"r{number}", spec)


def _policy(random: Random, number: int, target: dict[str, str]) -> Objects:
    found: Objects = []
    refs: list[dict[str, str]] = []
    chance = random.random()
    if chance < 0.75:
        spec: dict[str, Any] = {"identities": random.sample(NAMES, random.randint(1, 2))}
        if random.random() < 0.4:
            spec = {"identityRefs": [random.choice(REFS)]}
        found.append(_object(f"{POLICY}/v1alpha1", "MeshTLSAuthentication", f"m{number}", spec))
        refs.append({"group": POLICY, "kind": "MeshTLSAuthentication", "name": f"m{number}"})
    if chance > 0.6:
        spec = {"networks": random.choice(NETWORKS)}
        found.append(_object(f"{POLICY}/v1alpha1", "NetworkAuthentication", f"n{number}", spec))
        refs.append({"group": POLICY, "kind": "NetworkAuthentication", "name": f"n{number}"})
    spec = {"targetRef": target, "requiredAuthenticationRefs": refs}
    return [*found, _object(f"{POLICY}/v1alpha1", "AuthorizationPolicy", f"p{number}", spec)]


def _configuration(random: Random) -> Objects:
    own = random.choice([{}, {}, {}, {"accessPolicy": "all-authenticated"}, {"accessPolicy": "all-unauthenticated"}])
    spec = {"podSelector": {"matchLabels": {"app": "cart"}}, "port": 8080, "proxyProtocol": "HTTP/1", **own}
    routes = [_route(random, number) for number in range(random.randint(0, 3))]
    targets: list[dict[str, str]] = [SERVER, {"group": "core", "kind": "Namespace", "name": "shop"}]
    for one in routes:
        target = {"group": one["apiVersion"].partition("/")[0], "kind": "HTTPRoute", "name": one["metadata"]["name"]}
        targets += [target] * 3
    policies = [
        one
        for number in range(random.randint(0, 4))
        for one in _policy(random, number, random.choice(targets[:1] if random.random() < 0.1 else targets))
    ]
    found = [_object(f"{POLICY}/v1beta3", "Server", "cart", spec), *routes, *policies]
    random.shuffle(found)
    return found


def _request(random: Random) -> Request:
    return Request(
        identity=random.choice(CALLERS),
        namespace="shop",
        service="cart",
        port=80,
        method=random.choice(["GET", "POST", "PUT"]),
        path=random.choice(PATHS) + random.choice(["", "", "?q=1", "?q=2"]),
        headers=random.choice([(), (), (("x-a", "1"),), (("x-a", "9"),), (("x-a", "1"), ("x-b", "2"))]),
        host=random.choice([None, "cart.shop", "other.example", "x.shop"]),
        source_ip=random.choice(["10.0.0.1", "10.1.0.1", "192.0.2.1"]),
    )


def _differences(mesh: Mesh, cluster: Cluster, reading: Mesh, requests: Sequence[Request]) -> list[str]:
    evaluator, found = Evaluator(reading), []
    for request in requests:
        raw = on_the_wire(mesh, request, cluster)
        assert raw is not None
        allowed = evaluator.decide(request).allowed
        for order in Precedence:
            try:
                answer = Inbound(cluster, order).decide("shop", "cart", 80, raw).allowed
            except RejectedError:
                continue  # objects of equal rank, which the evaluator does not judge although they may say the same
            if answer is not bool(allowed):
                found.append(f"{request}: read as {allowed}, by {order.value} {answer}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 100, 200])
def test_what_is_read_is_what_proxies_do(start: int) -> None:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    read_through = 0
    for seed in range(start, start + 100):
        random = Random(seed)
        configuration = _configuration(random)
        text = yaml.safe_dump_all(configuration)
        objects, wrong = objects_of_source(SourceFile("live.yaml", text))
        assert not wrong
        reading = read(objects, bare(mesh), {})
        if reading.unknown or any(not one["spec"].get("requiredAuthenticationRefs", [1]) for one in configuration):
            continue
        read_through += 1
        requests = [_request(random) for _ in range(40)]
        assert _differences(mesh, cluster_of(mesh, configuration), reading.mesh, requests) == [], text
    assert read_through > 40


ODD: list[Any] = [None, [], {}, "", 0, -1, True, 1.5, ["x"], [[]], {"a": 1}, [None], "*"]


@pytest.mark.slow
def test_nothing_makes_the_reader_raise() -> None:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    random = Random(3)
    for _ in range(600):
        configuration = yaml.safe_load(yaml.safe_dump(_configuration(random)))
        place: Any = random.choice(configuration)["spec"]
        while True:
            step = random.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[step], dict | list) or not place[step] or random.random() < 0.3:
                break
            place = place[step]
        place[step] = random.choice(ODD)
        objects, _ = objects_of_source(SourceFile("live.yaml", yaml.safe_dump_all(configuration)))
        read(objects, bare(mesh), {})
