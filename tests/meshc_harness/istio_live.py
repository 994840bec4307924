"""Live configuration of Istio for tests: a small mesh, its MeshConfig, and one external that is set up as it should be."""

from meshc.ir import Mesh, PortPolicy
from meshc.reading import Reading, bare, objects_of_source
from meshc.request import Request
from meshc.source import SourceFile
from meshc_harness.compare import analyze_text
from meshc_istio.read import read

PROGRAM = """
namespace shop
namespace bank
service web in shop { port 80 http }
service mail in shop
service pay in bank { port 80 http }
service cart in shop { port 80 http target 8080 port 5432 tcp version v1 version v2 }
external books in shop { host "books.example" port 443 https }
"""
CONFIG = """meshConfig:
  pathNormalization: {normalization: MERGE_SLASHES}
  defaultInboundHttpRetryPolicy: {}
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
---
"""
ENTRY = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: books, namespace: shop}
spec: {hosts: [books.example], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]}
---
"""
TLS = "{host: books.example, trafficPolicy: {tls: {mode: SIMPLE, sni: books.example, caCertificates: system, subjectAltNames: [books.example]}}}"
CART = "cart.shop.svc.cluster.local"
SUBSETS = "{host: cart, subsets: [{name: one, labels: {version: v1}}, {name: two, labels: {version: v2}}]}"
WEB, MAIL, PAY = (f"spiffe://cluster.local/ns/{one}" for one in ("shop/sa/web", "shop/sa/mail", "bank/sa/pay"))
CALL = Request(identity=WEB, namespace="shop", service="cart", port=80, method="GET", path="/a", source_ip="10.0.0.1")


def known() -> Mesh:
    """The mesh without policy."""
    mesh = analyze_text(PROGRAM).mesh
    assert mesh is not None
    return bare(mesh)


def read_live(text: str, *, config: str = CONFIG, has_books: bool = True) -> Reading:
    """What objects say, beside MeshConfig and the entry of the external."""
    books = ENTRY + object_text("DestinationRule", TLS, name="books") if has_books else ""
    objects, wrong = objects_of_source(SourceFile("live.yaml", config + books + text))
    assert not wrong
    return read(objects, known(), {})


def object_text(kind: str, spec: str, *, name: str = "x", namespace: str = "shop", created: str = "") -> str:
    """An object of `networking.istio.io`; `spec` is flow YAML."""
    stamp = f", creationTimestamp: {created}" if created else ""
    return (
        f"apiVersion: networking.istio.io/v1\nkind: {kind}\n"
        f"metadata: {{name: {name}, namespace: {namespace}{stamp}}}\nspec: {spec}\n---\n"
    )


def port_of(reading: Reading, service: str = "cart", number: int = 80) -> PortPolicy:
    """A port of a service or external."""
    owners = (*reading.mesh.workloads, *reading.mesh.externals)
    return next(port for one in owners if one.name == service for port in one.ports if port.number == number)
