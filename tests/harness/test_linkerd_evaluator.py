"""The evaluator of Linkerd: the facts of its documentation, one by one."""

from typing import Any

import pytest
import yaml

from meshc_harness.linkerd import Cluster, Inbound, Outbound, Pod, Precedence, RawRequest, RejectedError

SUFFIX = "serviceaccount.identity.linkerd.cluster.local"
PODS = [
    Pod(namespace="shop", service="cart", labels={"app": "cart"}, ports={80: 8080, 90: 9090}, probes=(("/live", 8080),))
]
WEB = f"web.shop.{SUFFIX}"

BASE = """
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: cart, namespace: shop}
spec: {podSelector: {matchLabels: {app: cart}}, port: 8080, proxyProtocol: HTTP/1, accessPolicy: deny}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
metadata: {name: web, namespace: shop}
spec: {identityRefs: [{kind: ServiceAccount, name: web}]}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: NetworkAuthentication
metadata: {name: office, namespace: shop}
spec: {networks: [{cidr: 10.0.0.0/8, except: [10.66.0.0/16]}]}
"""
POLICY = """
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: {name: %s, namespace: shop}
spec: {targetRef: {group: %s, kind: %s, name: %s}, requiredAuthenticationRefs: [%s]}
"""
MTA = "{group: policy.linkerd.io, kind: MeshTLSAuthentication, name: web}"
NA = "{group: policy.linkerd.io, kind: NetworkAuthentication, name: office}"


def route(name: str, *matches: str, kind: str = "HTTPRoute", **spec: Any) -> str:
    parent = {"group": "policy.linkerd.io", "kind": "Server", "name": "cart"}
    rules = [{"matches": [yaml.safe_load(match)]} for match in matches]
    one = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"parentRefs": [parent], "rules": rules, **spec},
    }
    return yaml.safe_dump(one)


def allow(name: str, kind: str = "HTTPRoute", *refs: str) -> str:
    group = "policy.linkerd.io" if kind == "Server" else "gateway.networking.k8s.io"
    return POLICY % (f"{name}-allow", group, kind, name, ", ".join(refs or (MTA,)))


def cluster(*texts: str) -> Cluster:
    documents = [one for text in (BASE, *texts) for one in yaml.safe_load_all(text) if one]
    return Cluster.of(documents, PODS, SUFFIX)


def request(target: str = "/", method: str = "GET", identity: str | None = WEB, **fields: Any) -> RawRequest:
    return RawRequest(
        method=method,
        target=target,
        host=fields.get("host", "cart.shop"),
        headers=fields.get("headers", ()),
        identities=(identity,) if identity else (),
        source_ip=fields.get("source_ip", "10.1.1.1"),
    )


def status(found: Cluster, one: RawRequest, order: Precedence = Precedence.LENGTH) -> int | None:
    answer = Inbound(found, order).decide("shop", "cart", 80, one)
    return 200 if answer.allowed else answer.status


EXACT = '{path: {type: Exact, value: "%s"}}'
PREFIX = '{path: {type: PathPrefix, value: "%s"}}'
REGEX = '{path: {type: RegularExpression, value: "%s"}}'


def test_without_routes_the_server_decides_and_probes_pass() -> None:
    assert status(cluster(), request()) == 403
    assert status(cluster(), request("/live", identity=None)) == 200
    assert status(cluster(allow("cart", "Server")), request()) == 200
    assert status(cluster(allow("cart", "Server")), request(identity=None)) == 403


def test_with_a_route_probes_are_on_their_own_and_the_rest_is_404() -> None:
    found = cluster(route("a", EXACT % "/a"), allow("a"))
    assert status(found, request("/live", identity=None)) == 404
    assert status(found, request("/a")) == 200
    assert status(found, request("/a", identity=None)) == 403
    assert status(found, request("/a/")) == 404


def test_a_policy_on_the_server_opens_every_route() -> None:
    found = cluster(route("a", EXACT % "/a"), allow("cart", "Server"))
    assert status(found, request("/a")) == 200


def test_loopback_always_passes() -> None:
    assert status(cluster(), request(identity=None, source_ip="127.0.0.1")) == 200


def test_identities_and_networks_must_both_hold() -> None:
    found = cluster(route("a", PREFIX % "/"), allow("a", "HTTPRoute", MTA, NA))
    assert status(found, request()) == 200
    assert status(found, request(source_ip="10.66.1.1")) == 403
    assert status(found, request(source_ip="11.1.1.1")) == 403
    assert status(found, request(identity=f"other.shop.{SUFFIX}")) == 403


@pytest.mark.parametrize(
    ("identities", "identity", "allowed"),
    [
        ("'*'", WEB, True),
        ("'*'", "spiffe://ops.example/a", False),
        ("'*'", None, False),
        (f"'*.shop.{SUFFIX}'", WEB, True),
        (f"'*.bank.{SUFFIX}'", WEB, False),
        ("'spiffe://ops.example/a'", "spiffe://ops.example/a", True),
        ("'spiffe://ops.example/a'", "spiffe://ops.example/ab", False),
    ],
)
def test_forms_of_identities(identities: str, identity: str | None, allowed: bool) -> None:  # noqa: FBT001
    text = f"""
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
metadata: {{name: many, namespace: shop}}
spec: {{identities: [{identities}]}}
"""
    policy = allow("a", "HTTPRoute", "{group: policy.linkerd.io, kind: MeshTLSAuthentication, name: many}")
    found = cluster(text, route("a", PREFIX % "/"), policy)
    assert (status(found, request(identity=identity)) == 200) is allowed


@pytest.mark.parametrize(
    ("match", "target", "fits"),
    [
        (EXACT % "/a", "/a?x=1", True),
        (EXACT % "/a", "/%61", False),
        (PREFIX % "/a", "/a", True),
        (PREFIX % "/a", "/a/b", True),
        (PREFIX % "/a", "/ab", False),
        (PREFIX % "/a/", "/a", True),
        (PREFIX % "/", "//x", True),
        (REGEX % "/a|/ab", "/ab", False),
        (REGEX % "^(?:/a|/ab)$", "/ab", True),
        (REGEX % "/a", "/a/b", False),
        ("{queryParams: [{name: q, value: '1 2'}]}", "/?q=0&q=1+2", True),
        ("{queryParams: [{name: q, value: '1'}]}", "/?q=%31", True),
        ("{queryParams: [{name: q, value: '1'}]}", "/", False),
        ("{method: POST}", "/", False),
    ],
)
def test_matching(match: str, target: str, fits: bool) -> None:  # noqa: FBT001
    assert (status(cluster(route("a", match), allow("a")), request(target)) == 200) is fits


def test_headers_hold_for_any_line() -> None:
    found = cluster(route("a", "{headers: [{name: X-A, value: 'yes'}]}"), allow("a"))
    assert status(found, request(headers=(("x-a", "no"), ("x-a", "yes")))) == 200
    assert status(found, request(headers=(("x-a", "no,yes"),))) == 404
    assert status(found, request()) == 404


@pytest.mark.parametrize(
    ("host", "fits"),
    [("cart.shop", True), ("CART.shop.", True), ("cart.shop:80", True), ("a.example", True), ("example", False)],
)
def test_hosts(host: str, fits: bool) -> None:  # noqa: FBT001
    found = cluster(route("a", PREFIX % "/", hostnames=["cart.shop", "*.example"]), allow("a"))
    assert (status(found, request(host=host)) == 200) is fits


def test_precedence_is_by_length_whatever_the_kind() -> None:
    """A regular expression counts as the whole path, so a longer prefix takes nothing away from it."""
    found = cluster(route("a", REGEX % "/a/.*"), allow("a"), route("b", PREFIX % "/a/b"))
    assert status(found, request("/a/b/c")) == 200


def test_the_two_orders_differ() -> None:
    longer = '{path: {type: RegularExpression, value: "/a.*"}, method: GET}'
    found = cluster(route("a", longer), allow("a"), route("b", EXACT % "/ab"))
    assert status(found, request("/ab"), Precedence.LENGTH) == 200
    assert status(found, request("/ab"), Precedence.EXACT_FIRST) == 403
    method = '{path: {type: PathPrefix, value: "/"}, method: GET}'
    header = '{path: {type: PathPrefix, value: "/"}, headers: [{name: x, value: "1"}]}'
    found = cluster(route("a", method), allow("a"), route("b", header))
    both = request("/", headers=(("x", "1"),))
    assert status(found, both, Precedence.LENGTH) == 403
    assert status(found, both, Precedence.EXACT_FIRST) == 200


def test_ties_are_refused_where_they_matter() -> None:
    found = cluster(route("a", EXACT % "/a"), allow("a"), route("b", PREFIX % "/a"))
    assert status(found, request("/a/b")) == 403
    with pytest.raises(RejectedError, match="tie"):
        status(found, request("/a"))
    assert status(found, request("/a"), Precedence.EXACT_FIRST) == 200


def test_grpc_routes() -> None:
    server = BASE.replace("HTTP/1", "gRPC")
    match = "{method: {service: shop.Cart, method: Get}}"
    documents = [
        *yaml.safe_load_all(server),
        yaml.safe_load(route("a", match, kind="GRPCRoute")),
        yaml.safe_load(allow("a", "GRPCRoute")),
    ]
    found = Cluster.of(documents, PODS, SUFFIX)
    assert status(found, request("/shop.Cart/Get", "POST")) == 200
    assert status(found, request("/shop.Cart/Get/more", "POST")) == 200
    assert status(found, request("/shop.Cart/Get", "GET")) == 404
    assert status(found, request("/shop.Cart/Put", "POST")) == 404


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ((POLICY % ("a", "policy.linkerd.io", "Server", "cart", ""),), "allows everyone"),
        ((allow("cart", "Server", MTA, MTA),), "several identities"),
        ((allow("gone"),), "no target"),
        ((allow("cart", "Server", MTA.replace("web", "gone")),), "no \\("),
        ((BASE.partition("---")[0].replace("name: cart", "name: other"),), "age decides"),
        ((route("a", "{headers: [{name: a, value: b}]}", kind="GRPCRoute"),), "headers without method"),
        ((route("a", EXACT % "/a//b"),), "/a//b"),
        ((route("a", REGEX % "(?=a)"),), "\\(\\?=a\\)"),
        ((route("a", "{headers: [{name: a, value: b}, {name: A, value: c}]}"),), "headers"),
        ((route("a", "{method: PURGE}"),), "method"),
        ((route("a", EXACT % "/a", kind="GRPCRoute"),), "method"),
    ],
)
def test_what_a_cluster_would_refuse_or_ignore(texts: tuple[str, ...], reason: str) -> None:
    with pytest.raises(RejectedError, match=reason):
        status(cluster(*texts), request())


def outbound(name: str, rules: list[Any], kind: str = "HTTPRoute", **metadata: Any) -> str:
    parent = {"group": "core", "kind": "Service", "name": "cart", "port": 80}
    one = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", **metadata},
        "spec": {"parentRefs": [parent], "rules": rules},
    }
    return yaml.safe_dump(one)


def test_outbound() -> None:
    v1, v2 = {"name": "cart-v1", "port": 80, "weight": 3}, {"name": "cart-v2", "port": 80, "weight": 1}
    rules = [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": "/v2"}}],
            "backendRefs": [{"name": "cart-v2", "port": 80}],
        },
        {"backendRefs": [v1, v2], "timeouts": {"request": "5s"}},
    ]
    notes = {"retry.linkerd.io/http": "5xx", "retry.linkerd.io/limit": "2"}
    sender = Outbound(cluster(outbound("cart", rules, annotations=notes)), Precedence.LENGTH)
    assert sender.send("shop", "cart", 80, request("/v2/x")).backends == {("shop", "cart-v2", 80): 1.0}
    sent = sender.send("shop", "cart", 80, request("/"))
    assert sent.backends == {("shop", "cart-v1", 80): 0.75, ("shop", "cart-v2", 80): 0.25}
    assert (sent.timeout, sent.retries) == ("5s", 2)
    assert sender.send("shop", "cart", 90, request("/")).backends == {("shop", "cart", 90): 1.0}


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"backendRefs": [{"name": "a", "port": 80, "weight": 0}]}, "ignored"),
        ({"backendRefs": [{"name": "a"}]}, "without port"),
        ({"filters": [{"type": "URLRewrite", "urlRewrite": {}}]}, "whole route is ignored"),
        ({"timeouts": {"backendRequest": "1s"}}, "not read"),
        ({"timeouts": {"request": "1h30m"}}, "duration"),
    ],
)
def test_outbound_rules_that_are_ignored(rule: Any, reason: str) -> None:
    with pytest.raises(RejectedError, match=reason):
        Outbound(cluster(outbound("cart", [rule])), Precedence.LENGTH).send("shop", "cart", 80, request())
