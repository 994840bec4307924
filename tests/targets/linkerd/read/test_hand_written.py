"""Linkerd as people write it by hand: objects in, decisions of the model out, and what is not known."""

from dataclasses import replace
from typing import Any

import pytest

from meshc.ir import Mesh
from meshc.reading import Reading, bare, objects_of_source
from meshc.request import Request
from meshc.semantics import Evaluator
from meshc.source import SourceFile
from meshc_harness.compare import analyze_text
from meshc_linkerd.read import read

PROGRAM = """
namespace shop
namespace bank
service web in shop
service mail in shop
service pay in bank
service cart in shop { port 80 http target 8080 labels app = "cart" }
"""
WEB, MAIL, PAY = (f"spiffe://cluster.local/ns/{one}" for one in ("shop/sa/web", "shop/sa/mail", "bank/sa/pay"))
IN_MESH = "serviceaccount.identity.linkerd.cluster.local"
CALL = Request(identity=None, namespace="shop", service="cart", port=80, method="GET", path="/", source_ip="10.0.0.1")


def _known() -> Mesh:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    return bare(mesh)


def _read(text: str, **options: str) -> Reading:
    objects, wrong = objects_of_source(SourceFile("live.yaml", text))
    assert not wrong
    return read(objects, _known(), options)


def _server(more: str = "") -> str:
    return (
        "apiVersion: policy.linkerd.io/v1beta3\nkind: Server\nmetadata: {name: cart, namespace: shop}\n"
        f"spec: {{podSelector: {{matchLabels: {{app: cart}}}}, port: 8080, proxyProtocol: HTTP/1{more}}}\n---\n"
    )


def _policy(refs: str, target: str = "group: policy.linkerd.io, kind: Server, name: cart", name: str = "p") -> str:
    return (
        f"apiVersion: policy.linkerd.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: shop}}\n"
        f"spec: {{targetRef: {{{target}}}, requiredAuthenticationRefs: {refs}}}\n---\n"
    )


def _authentication(spec: str) -> str:
    return (
        "apiVersion: policy.linkerd.io/v1alpha1\nkind: MeshTLSAuthentication\n"
        f"metadata: {{name: m, namespace: shop}}\nspec: {spec}\n---\n"
    )


def _networks(spec: str) -> str:
    return (
        "apiVersion: policy.linkerd.io/v1alpha1\nkind: NetworkAuthentication\n"
        f"metadata: {{name: n, namespace: shop}}\nspec: {spec}\n---\n"
    )


def _route(rules: str, name: str = "r", more: str = "") -> str:
    return (
        f"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: shop}}\n"
        f"spec: {{parentRefs: [{{group: policy.linkerd.io, kind: Server, name: cart}}], rules: {rules}{more}}}\n---\n"
    )


def _at_route(name: str = "r") -> str:
    return f"group: gateway.networking.k8s.io, kind: HTTPRoute, name: {name}"


IDENTITIES = "[{group: policy.linkerd.io, kind: MeshTLSAuthentication, name: m}]"
NETWORKS = "[{group: policy.linkerd.io, kind: NetworkAuthentication, name: n}]"
NAMESPACE = (
    "apiVersion: v1\nkind: Namespace\n"
    "metadata: {name: shop, annotations: {config.linkerd.io/default-inbound-policy: deny}}"
)
DEPLOYMENT = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart, namespace: shop}\n"
    "spec: {template: {metadata: {annotations: {config.linkerd.io/opaque-ports: '8080'}}}}"
)
BOTH = f"{IDENTITIES[:-1]}, {NETWORKS[1:]}"


def _is_allowed(reading: Reading, identity: str | None, **parts: Any) -> bool | None:
    assert reading.unknown == ()
    return Evaluator(reading.mesh).decide(replace(CALL, identity=identity, **parts)).allowed


@pytest.mark.parametrize(
    ("text", "identity", "parts", "expected"),
    [
        (_server(), WEB, {}, False),
        (_server(", accessPolicy: all-authenticated"), WEB, {}, True),
        (_server(", accessPolicy: all-authenticated"), None, {}, False),
        (_server(", accessPolicy: all-unauthenticated"), None, {}, True),
        (_server(", accessPolicy: audit"), None, {}, True),
        # An empty list is everybody, a reference that leads nowhere is nobody.
        (_server() + _policy("[]"), None, {}, True),
        (_server() + _policy(IDENTITIES), WEB, {}, False),
        (_server() + _policy("[{kind: ServiceAccount, name: web}]"), WEB, {}, True),
        (_server() + _policy("[{kind: ServiceAccount, name: web}]"), MAIL, {}, False),
        (_server() + _policy("[]", "kind: Namespace, name: shop"), None, {}, True),
        (_server() + _policy(IDENTITIES) + _authentication(f"{{identities: ['*.bank.{IN_MESH}']}}"), PAY, {}, True),
        (_server() + _policy(IDENTITIES) + _authentication(f"{{identities: ['*.bank.{IN_MESH}']}}"), WEB, {}, False),
        (_server() + _policy(IDENTITIES) + _authentication("{identities: ['*']}"), WEB, {}, True),
        (_server() + _policy(IDENTITIES) + _authentication("{identities: ['*']}"), None, {}, False),
        (
            _server() + _policy(IDENTITIES) + _authentication("{identityRefs: [{kind: Namespace, name: bank}]}"),
            PAY,
            {},
            True,
        ),
        # A route without rules gets one for everything when it is applied; one with none keeps none.
        (_server() + _route("null") + _policy("[]", _at_route()), None, {}, True),
        (_server() + _route("null").replace(", rules: null", "") + _policy("[]", _at_route()), None, {}, True),
        (_server() + _route("[]") + _policy("[]", _at_route()), None, {}, False),
        # A parent without a group is of the route's own.
        (
            (_server() + _route("null") + _policy("[]", _at_route()))
            .replace(
                "{group: policy.linkerd.io, kind: Server, name: cart}], rules", "{kind: Server, name: cart}], rules"
            )
            .replace("gateway.networking.k8s.io/v1\n", "policy.linkerd.io/v1beta3\n")
            .replace("group: gateway.networking.k8s.io, kind: HTTPRoute", "group: policy.linkerd.io, kind: HTTPRoute"),
            None,
            {},
            True,
        ),
        # All references of one policy must hold; several policies add up.
        (
            _server()
            + _policy(BOTH)
            + _authentication("{identities: ['*']}")
            + _networks("{networks: [{cidr: 10.9.0.0/16}]}"),
            WEB,
            {},
            False,
        ),
        (
            _server()
            + _policy(BOTH)
            + _authentication("{identities: ['*']}")
            + _networks("{networks: [{cidr: 10.0.0.0/8}]}"),
            WEB,
            {},
            True,
        ),
        (
            _server() + _policy(NETWORKS) + _networks("{networks: [{cidr: 10.0.0.0/8, except: [10.0.0.1/32]}]}"),
            None,
            {},
            False,
        ),
        (_server() + _policy(IDENTITIES) + _policy("[]", name="q"), None, {}, True),
        # With routes, what none of them matches is answered with 404, whoever the server lets in.
        (_server(", accessPolicy: all-unauthenticated") + _route("[{matches: [{method: POST}]}]"), None, {}, False),
        (
            _server(", accessPolicy: all-unauthenticated") + _route("[{matches: [{method: POST}]}]"),
            None,
            {"method": "POST"},
            True,
        ),
        # The policies of the one route that is preferred, and no other's.
        (
            _server()
            + _route("[{matches: [{path: {type: PathPrefix, value: /}}]}]")
            + _route("[{matches: [{path: {type: PathPrefix, value: /a}}]}]", "s")
            + _policy("[]", _at_route()),
            None,
            {"path": "/a/b"},
            False,
        ),
        (
            _server()
            + _route("[{matches: [{path: {type: PathPrefix, value: /}}]}]")
            + _route("[{matches: [{path: {type: PathPrefix, value: /a}}]}]", "s")
            + _policy("[]", _at_route()),
            None,
            {"path": "/ab"},
            True,
        ),
        # A policy for a route of the other group is for no route.
        (
            _server() + _route("[{}]") + _policy("[]", "group: policy.linkerd.io, kind: HTTPRoute, name: r"),
            None,
            {},
            False,
        ),
        (
            _server() + _route("[{}]", more=", hostnames: ['*.example.com']") + _policy("[]", _at_route()),
            None,
            {"host": "A.example.com."},
            True,
        ),
        (
            _server() + _route("[{}]", more=", hostnames: ['*.example.com']") + _policy("[]", _at_route()),
            None,
            {"host": "example.com"},
            False,
        ),
    ],
)
def test_who_may_call(text: str, identity: str | None, parts: dict[str, Any], *, expected: bool) -> None:
    assert _is_allowed(_read(text), identity, **parts) is expected


def test_a_cluster_lets_in_what_its_default_policy_says() -> None:
    reading = _read("", **{"default-inbound-policy": "all-authenticated"})
    assert _is_allowed(reading, WEB)
    assert not _is_allowed(reading, None)
    assert reading.assumptions == ()
    installed = _read("")
    assert _is_allowed(installed, None)
    assert "as Linkerd installs it" in installed.assumptions[0].text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_server() + _server().replace("name: cart,", "name: other,"), "several servers"),
        (_server(", accessPolicy: cluster-authenticated"), "depends on the cluster's networks"),
        (_server().replace("port: 8080", "port: [80]"), "the port is none that is known"),
        (_server().replace("port: 8080", "port: metrics"), "the port is none that is known"),
        (_server().replace("podSelector", "externalWorkloadSelector"), "`externalWorkloadSelector` is not understood"),
        (_server(", novelty: 1"), "`novelty` is not understood"),
        (_server() + _policy("[]").replace(", namespace: shop", ""), "without a namespace"),
        (_server() + _policy("[]", "kind: Namespace, name: bank"), "for another namespace"),
        (_server() + _policy("[]", "group: policy.linkerd.io, kind: Gateway, name: g"), "`Gateway` is not understood"),
        (_server() + _policy("[{group: x, kind: JwtAuthentication, name: j}]"), "`JwtAuthentication`"),
        (_server() + _policy("[]").replace("AuthorizationPolicy", "DenyPolicy"), "`DenyPolicy` are not understood"),
        (
            _server() + _route("[{}]") + _route("[{}]", "g").replace("HTTPRoute", "GRPCRoute"),
            "of routes of HTTP and of gRPC on one server",
        ),
        (_server() + _route("[{filters: [{type: RequestRedirect}]}]"), "filters"),
        (_server() + _route("[{matches: [{path: {type: RegularExpression, value: '/a*(ab)*'}}]}]"), "not anchored"),
        (
            _server()
            + _route("[{matches: [{path: {type: PathPrefix, value: /a}}]}]")
            + _route("[{matches: [{path: {type: Exact, value: /a}}]}]", "s")
            + _policy("[]", _at_route()),
            "depends on the release of Linkerd",
        ),
        (
            NAMESPACE,
            "`config.linkerd.io/default-inbound-policy` is not understood",
        ),
        (
            DEPLOYMENT,
            "`config.linkerd.io/opaque-ports` is not understood",
        ),
    ],
)
def test_what_is_not_understood_is_said(text: str, message: str) -> None:
    reading = _read(text)
    touching = [one for one in reading.unknown if one.ports is None or ("shop", "cart", 80) in one.ports]
    assert any(message in one.message for one in touching), reading.unknown


def test_a_server_elsewhere_leaves_a_port_alone() -> None:
    other = _server().replace("app: cart", "app: other").replace("port: 8080", "port: metrics")
    assert _is_allowed(
        _read(_server(", accessPolicy: all-unauthenticated") + other.replace("name: cart,", "name: o,")), None
    )


def test_the_name_of_a_port_is_taken_for_that_of_its_service() -> None:
    known = _known()
    cart = next(one for one in known.workloads if one.name == "cart")
    named = replace(cart, ports=tuple(replace(one, name="web") for one in cart.ports))
    text = _server(", accessPolicy: all-authenticated").replace("port: 8080", "port: web")
    objects, _ = objects_of_source(SourceFile("live.yaml", text))
    workloads = tuple(named if one is cart else one for one in known.workloads)
    reading = read(objects, replace(known, workloads=workloads), {})
    assert _is_allowed(reading, WEB)
    assert not _is_allowed(reading, None)
    assert any("name of the service's port" in one.text for one in reading.assumptions)


@pytest.mark.parametrize(
    ("path", "is_taken"),
    [
        ("{type: Exact, value: /a/b}", False),
        ("{type: Exact, value: /%61dmin}", True),
        ("{type: PathPrefix, value: /a}", True),
        ("{type: RegularExpression, value: '/a/.*'}", True),
        ("{type: RegularExpression, value: '^/a/[a-z]+$'}", False),
    ],
)
@pytest.mark.parametrize("at_route", [True, False])
def test_paths_that_applications_may_read_as_others_are_taken_for_none(
    path: str, *, is_taken: bool, at_route: bool
) -> None:
    policy = _policy("[]", _at_route()) if at_route else _policy("[]")
    reading = _read(_server() + _route(f"[{{matches: [{{path: {path}}}]}}]") + policy)
    assert reading.unknown == ()
    assert any("only paths in normal form" in one.text for one in reading.assumptions) is is_taken
