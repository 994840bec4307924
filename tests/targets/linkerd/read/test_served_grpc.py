"""Routes of gRPC on servers: read, they let in whom the evaluator of Linkerd lets in."""

from itertools import product
from random import Random
from typing import Any, Final

import pytest
import yaml

from meshc.ir import Mesh
from meshc.reading import Reading, bare, objects_of_source
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc.source import SourceFile
from meshc_harness.compare import analyze_text
from meshc_harness.linkerd import Cluster, Inbound, Pod, Precedence, RawRequest, RejectedError
from meshc_linkerd import TARGET
from meshc_linkerd.read import read

PROGRAM: Final = """
mesh shop {}
namespace shop
service web in shop
service mail in shop
service cart in shop { port 80 grpc target 8080 labels app = "cart" }
"""
SUFFIX: Final = "serviceaccount.identity.linkerd.cluster.local"
PODS: Final = (Pod(namespace="shop", service="cart", labels={"app": "cart"}, ports={80: 8080}, probes=()),)
GATEWAY: Final = "gateway.networking.k8s.io"
POLICY: Final = "policy.linkerd.io"
PATHS: Final = ("/shop.Cart/Get", "/shop.Cart/Get/more", "/shop.Cart/Put", "/shop.Bank/Get", "/other/Get/", "/other")
MATCHES: Final[tuple[Any, ...]] = (
    {"method": {"service": "shop.Cart"}},
    {"method": {"service": "shop.Cart", "method": "Get"}},
    {"method": {"service": "shop.Cart", "method": "Put"}},
    {"method": {"service": "shop.Bank"}},
    {"method": {"service": "shop.Cart", "method": "Get"}, "headers": [{"name": "x-a", "value": "1"}]},
    {"method": {"service": "shop.Cart"}, "headers": [{"name": "x-a", "value": "1"}]},
)


def _object(kind: str, name: str, spec: Any, group: str = POLICY) -> Any:
    version = {"Server": "v1beta3", "GRPCRoute": "v1", "HTTPRoute": "v1"}.get(kind, "v1alpha1")
    return {
        "apiVersion": f"{group}/{version}",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": spec,
    }


def _server(protocol: str = "gRPC") -> Any:
    selector = {"matchLabels": {"app": "cart"}}
    return _object(
        "Server",
        "cart",
        {"podSelector": selector, "port": 8080, "proxyProtocol": protocol, "accessPolicy": "deny"},
    )


def _route(name: str, matches: list[Any], kind: str = "GRPCRoute") -> Any:
    parent = {"group": POLICY, "kind": "Server", "name": "cart"}
    return _object(kind, name, {"parentRefs": [parent], "rules": [{"matches": matches}]}, GATEWAY)


def _policy(target: str, who: str, kind: str = "GRPCRoute", group: str = GATEWAY) -> Any:
    return _object(
        "AuthorizationPolicy",
        f"{target}-{who}-{kind.lower()}",
        {
            "targetRef": {"group": group, "kind": kind, "name": target},
            "requiredAuthenticationRefs": [{"kind": "ServiceAccount", "name": who}],
        },
    )


def _read(objects: list[Any]) -> Reading:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    found, wrong = objects_of_source(SourceFile("live.yaml", yaml.safe_dump_all(objects)))
    assert not wrong
    return read(found, bare(mesh), {})


def _is_allowed(mesh: Mesh, who: str, method: str, path: str, header: str) -> bool | None:
    request = Request(
        identity=f"spiffe://cluster.local/ns/shop/sa/{who}",
        namespace="shop",
        service="cart",
        port=80,
        method=method,
        path=path,
        headers=(("x-a", header),) if header else (),
        source_ip="10.0.0.1",
    )
    return Evaluator(mesh).decide(request).allowed


def _expected(inbound: Inbound, who: str, method: str, path: str, header: str) -> bool:
    raw = RawRequest(
        identities=(f"{who}.shop.{SUFFIX}",),
        source_ip="10.0.0.1",
        method=method,
        target=path,
        host="cart",
        headers=(("x-a", header),) if header else (),
    )
    return inbound.decide("shop", "cart", 80, raw).allowed


def _drawn(rng: Random) -> list[Any]:
    objects = [_server()]
    for number in range(rng.randint(0, 3)):
        objects.append(_route(f"r{number}", rng.sample(MATCHES, rng.randint(1, 3))))
        objects += [_policy(f"r{number}", who) for who in ("web", "mail") if rng.random() < 0.5]
    if rng.random() < 0.2:
        objects.append(_policy("cart", "mail", "Server", POLICY))
    return objects


def test_random_routes_let_in_whom_linkerd_lets_in() -> None:
    rng = Random(7)
    compared = understood = 0
    for _ in range(150):
        objects = _drawn(rng)
        reading = _read(objects)
        if reading.unknown:
            # Two routes of one rank: their age decides.
            assert all("preferred depends" in one.message for one in reading.unknown), reading.unknown
            continue
        understood += 1
        cluster = Cluster.of(objects, PODS, SUFFIX)
        routed = any(one["kind"] == "GRPCRoute" for one in objects)
        for who, method, path, header in product(("web", "mail"), ("POST", "GET"), PATHS, ("", "1")):
            if method != "POST" and not routed:
                continue  # assumed: who calls sends calls
            for order in Precedence:
                try:
                    expected = _expected(Inbound(cluster, order), who, method, path, header)
                except RejectedError:
                    continue  # a tie, which decides nothing by what is read
                compared += 1
                assert _is_allowed(reading.mesh, who, method, path, header) == expected, (objects, who, method, path)
    assert understood > 60
    assert compared > 4_000


def test_routes_of_another_protocol_say_nothing() -> None:
    """Source: linkerd2, `RouteReasonConflicted` and the family of a server's protocol."""
    inert = [_server("HTTP/2"), _route("r", [{}]), _policy("r", "web")]
    reading = _read(inert)
    assert reading.unknown == ()
    assert _is_allowed(reading.mesh, "web", "POST", "/shop.Cart/Get", "") is False
    other = [_server(), _route("r", [{}], "HTTPRoute"), _policy("r", "web", "HTTPRoute")]
    assert _is_allowed(_read(other).mesh, "web", "POST", "/shop.Cart/Get", "") is False


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([_server(), _route("r", [{}]), _route("s", [{}], "HTTPRoute")], "of routes of HTTP and of gRPC on one server"),
        ([_server(), _route("r", [{"method": {"type": "RegularExpression", "service": "a.*"}}])], "an expression"),
        ([_server(), _route("r", [{"headers": [{"name": "x", "value": "1"}]}])], "with 500"),
        ([_server(), _route("r", [{"method": {"method": "Get"}}])], "without the name of its service"),
    ],
)
def test_what_is_not_understood_is_said(objects: list[Any], message: str) -> None:
    (unknown,) = _read(objects).unknown
    assert message in unknown.message
    assert unknown.ports == (("shop", "cart", 80),)


def test_that_calls_are_sent_is_assumed_and_never_by_verify() -> None:
    reading = _read([_server(), _policy("cart", "web", "Server", POLICY)])
    assert reading.unknown == ()
    texts = {one.text for one in reading.assumptions}
    assert "who calls a port that Linkerd reads as gRPC sends calls: POST to `/service/method`" in texts - {
        *TARGET.assumes({})
    }
