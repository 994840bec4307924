"""Linkerd's objects for callers as people write them, and the mesh that they are for."""

from meshc.reading import Reading, bare, objects_of_source
from meshc.request import Request
from meshc.source import SourceFile
from meshc_harness.compare import analyze_text
from meshc_linkerd.read import read

PROGRAM = """
namespace shop
namespace bank
service web in shop
service pay in bank { port 80 http port 90 tcp port 70 grpc }
service cart in shop { port 80 http target 8080 port 81 http target 8081 version v1 version v2 }
external stripe in bank { host "api.stripe.com" port 80 http }
"""
WEB, PAY = (f"spiffe://cluster.local/ns/{one}" for one in ("shop/sa/web", "bank/sa/pay"))
CALL = Request(identity=WEB, namespace="shop", service="cart", port=80, method="GET", path="/", source_ip="10.0.0.1")
GATEWAY = "gateway.networking.k8s.io/v1"
CART = "{kind: Service, group: core, name: cart, port: 80}"
TO_PAY = "backendRefs: [{name: pay, namespace: bank, port: 80}]"
TO_CART = "backendRefs: [{name: cart, port: 80}]"


def read_live(*texts: str) -> Reading:
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    objects, wrong = objects_of_source(SourceFile("live.yaml", "\n---\n".join(texts)))
    assert not wrong
    return read(objects, bare(mesh), {})


def a_route(rules: str, **parts: str) -> str:
    name, namespace = parts.get("name", "r"), parts.get("namespace", "shop")
    metadata = f"name: {name}, namespace: {namespace}" + (f", {parts['metadata']}" if "metadata" in parts else "")
    return (
        f"apiVersion: {parts.get('version', GATEWAY)}\nkind: {parts.get('kind', 'HTTPRoute')}\nmetadata: {{{metadata}}}\n"
        f"spec: {{parentRefs: [{parts.get('parent', CART)}], rules: {rules}}}"
    )


def annotated(notes: str) -> str:
    return f"annotations: {{{notes}}}"


def a_service(name: str = "cart", notes: str = "", spec: str = "{}") -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop, annotations: {{{notes}}}}}\nspec: {spec}"


V1 = a_service("blue", spec="{selector: {app: cart, version: v1}, ports: [{port: 1, targetPort: 8080}]}")

PREFIX = "[{{matches: [{{path: {{type: PathPrefix, value: {0}}}}}], {1}}}]"
ACCRUAL = "balancer.linkerd.io/failure-accrual"
SERVER = (
    "apiVersion: policy.linkerd.io/v1beta3\nkind: Server\nmetadata: {name: cart, namespace: shop}\n"
    "spec: {podSelector: {matchLabels: {app: cart}}, port: 8080, proxyProtocol: HTTP/1, accessPolicy: all-unauthenticated}"
)
PROFILE = "apiVersion: linkerd.io/v1alpha2\nkind: ServiceProfile\nmetadata: {{name: cart.shop.svc.cluster.local, namespace: shop}}\nspec: {0}"


def a_limit(spec: str, name: str = "l", target: str = "cart") -> str:
    return (
        f"apiVersion: policy.linkerd.io/v1alpha1\nkind: HTTPLocalRateLimitPolicy\nmetadata: {{name: {name}, namespace: shop}}\n"
        f"spec: {{targetRef: {{group: policy.linkerd.io, kind: Server, name: {target}}}, {spec}}}"
    )
