"""`meshc import` from the outside, and the verdict on every file of the corpus, stated beforehand."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from corpus import corpus_file
from meshc_harness.running import Ran

Run = Callable[..., Ran]

MANIFESTS = """apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{port: 80, targetPort: 8080, name: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec: {template: {metadata: {labels: {app: cart}}, spec: {serviceAccountName: cart, containers: [{name: a}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {metadata: {labels: {app: web}}, spec: {serviceAccountName: web, containers: [{name: a}]}}}
"""
NETWORK = """---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart, namespace: shop}
spec: {podSelector: {matchLabels: {app: cart}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}
"""
VIRTUAL = """---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec: {hosts: [cart], http: [{route: [{destination: {host: cart}}], timeout: 2s, retries: {attempts: 0}}]}
"""
INGRESS = """---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: front, namespace: shop}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/all.yaml").write_text(MANIFESTS + NETWORK, encoding="utf-8")
    return tmp_path


def test_a_project_that_compiles(here: Path, meshc: Run) -> None:
    ran = meshc("import", "in", "-o", "out")
    assert ran.status == 0
    assert ran.out == (
        "equal, assuming that a pod selector names one service account"
        " and every caller that a pod selector names is in the mesh\n"
    )
    text = Path("out/policies/shop.mesh").read_text(encoding="utf-8")
    assert "# from in/all.yaml:19 NetworkPolicy shop/cart\naccess cart {\n  allow web\n}\n" in text
    assert meshc("check", "out").status == 0
    assert meshc("fmt", "out/policies", "--check").status == 0


def test_standard_input(here: Path, meshc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((MANIFESTS + NETWORK).encode())))
    assert meshc("import", "-", "-o", "out").status == 0
    assert "# from <stdin>:" in Path("out/policies/shop.mesh").read_text(encoding="utf-8")


def test_routes_come_with_the_object_that_they_are_from(here: Path, meshc: Run) -> None:
    Path("in/all.yaml").write_text(MANIFESTS + NETWORK + VIRTUAL, encoding="utf-8")
    assert meshc("import", "in", "-o", "out").status == 0
    text = Path("out/policies/shop.mesh").read_text(encoding="utf-8")
    assert " VirtualService shop/cart\ntraffic cart {\n" in text
    assert "  timeout 2s\n" in text
    assert meshc("import", "in", "-o", "other", "--from", "networkpolicy").status == 0
    assert "traffic" not in Path("other/policies/shop.mesh").read_text(encoding="utf-8")


def test_what_is_not_imported_is_listed_and_leaves_nothing_open(here: Path, meshc: Run) -> None:
    Path("in/all.yaml").write_text(MANIFESTS + INGRESS, encoding="utf-8")
    ran = meshc("import", "in", "-o", "out")
    assert ran.status == 1
    assert "in/all.yaml:17: not imported, the mesh: Ingress `front` is not imported yet" in ran.err
    assert "allow" not in Path("out/policies/shop.mesh").read_text(encoding="utf-8")


def test_what_is_no_sidecar_of_a_service_leaves_nothing_open(here: Path, meshc: Run) -> None:
    Path("in/all.yaml").write_text(MANIFESTS + "---\nstatic_resources: {}\n", encoding="utf-8")
    ran = meshc("import", "in", "-o", "out")
    assert ran.status == 1
    assert "allow" not in Path("out/policies/shop.mesh").read_text(encoding="utf-8")


def test_sidecars_of_envoy_are_a_program_by_themselves(here: Path, meshc: Run) -> None:
    """Services are found by their sidecars, and their trust domain in what these verify."""
    Path("program.mesh").write_text(
        'mesh m { trust-domain "shop.example" }\nnamespace shop\nservice web in shop\n'
        "service cart in shop { port 80 http version v1 version v2 }\n"
        "access cart { allow web to GET /items/** }\n"
        "traffic cart { timeout 2s split cart@v1 90%, cart@v2 10% }\n",
        encoding="utf-8",
    )
    assert meshc("compile", "program.mesh", "--target", "envoy", "--out", "deploy").status == 0
    ran = meshc("import", "deploy/envoy", "-o", "out", "--from", "envoy")
    assert (ran.status, ran.err.count("not imported")) == (0, 0), ran.err
    assert "the pods of a version carry its name as the label `version`" in ran.out
    text = Path("out/policies/shop.mesh").read_text(encoding="utf-8")
    assert "allow web to GET /items/**" in text
    assert "  timeout 2s\n  split cart@v1 90%, cart@v2 10%\n" in text


def test_a_directory_that_is_not_empty_is_left_alone(here: Path, meshc: Run) -> None:
    Path("out").mkdir()
    Path("out/mine").touch()
    ran = meshc("import", "in", "-o", "out")
    assert (ran.status, "is not empty" in ran.err) == (2, True)
    assert not Path("out/policies").exists()
    assert meshc("import", "in", "-o", "out", "--force").status == 0
    assert meshc("import", "in", "-o", "out", "--force").status == 0


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        (NETWORK, ("in", "-o", "out"), "no Service among the files"),
        (MANIFESTS + "---\na: [\n", ("in", "-o", "out"), "cannot be read as a whole"),
        (MANIFESTS, ("nowhere", "-o", "out"), "`nowhere` does not exist"),
        (MANIFESTS, ("in",), "nowhere to write"),
        (MANIFESTS, ("in", "-o", "in/all.yaml"), "is no directory"),
    ],
)
def test_what_cannot_be_imported(here: Path, meshc: Run, text: str, arguments: tuple[str, ...], words: str) -> None:
    Path("in/all.yaml").write_text(text, encoding="utf-8")
    ran = meshc("import", *arguments)
    assert ran.status == 2
    assert words in ran.err


# ---- the corpus -----------------------------------------------------------------------------------------------------

BY_SELECTORS: Final = "equal, assuming that a pod selector names one service account"
NORMALIZED: Final = (
    "equal, assuming that Istio normalizes paths with MERGE_SLASHES and servers' sidecars do not retry by themselves"
    " and nothing answers with statuses of gRPC on a port that is not `grpc`\n"
)
OUTWARD: Final = (
    "equal, assuming that Istio normalizes paths with MERGE_SLASHES and servers' sidecars do not retry by themselves"
    " and no path that leaves the mesh holds `%00`, `%2F` or `%5C`"
)
OF_GATEWAYS: Final = "routes of gateways cannot be said"

NETWORK_POLICIES: Final = (
    *("adservice", "cartservice", "checkoutservice", "currencyservice", "deny-all", "emailservice", "frontend"),
    *("loadgenerator", "paymentservice", "productcatalogservice", "recommendationservice", "redis", "shippingservice"),
)
VIRTUAL_SERVICES: Final = (
    *("all-v1", "details-v2", "ratings-db", "ratings-mysql", "ratings-mysql-vm", "ratings-test-abort"),
    *("ratings-test-delay", "reviews-50-v3", "reviews-80-20", "reviews-90-10", "reviews-jason-v2-v3"),
    *("reviews-test-v2", "reviews-v2-v3", "reviews-v3"),
)
VERDICTS: Final = {
    **{f"online-boutique/network-policies/network-policy-{name}.yaml": BY_SELECTORS for name in NETWORK_POLICIES},
    **{f"bookinfo/networking/virtual-service-{name}.yaml": NORMALIZED for name in VIRTUAL_SERVICES},
    "bookinfo/networking/destination-rule-all.yaml": NORMALIZED,
    "bookinfo/networking/destination-rule-all-mtls.yaml": NORMALIZED,
    "bookinfo/networking/destination-rule-reviews.yaml": NORMALIZED,
    "bookinfo/networking/fault-injection-details-v1.yaml": NORMALIZED,
    "bookinfo/networking/egress-rule-google-apis.yaml": OUTWARD,
    "bookinfo/networking/bookinfo-gateway.yaml": OF_GATEWAYS,
    "bookinfo/networking/certmanager-gateway.yaml": OF_GATEWAYS,
    "bookinfo/policy/productpage_envoy_ratelimit.yaml": "what the EnvoyFilter `filter-ratelimit` makes of proxies",
    "bookinfo/platform/kube/bookinfo.yaml": "equal\n",
    "online-boutique/kubernetes-manifests.yaml": "equal\n",
}
MANIFESTS_OF: Final = {
    "online-boutique": "online-boutique/kubernetes-manifests.yaml",
    "bookinfo": "bookinfo/platform/kube/bookinfo.yaml",
}


def _with_what_it_needs(file: str) -> list[str]:
    """A file with the manifests, and a VirtualService with the versions that it sends to."""
    needed = [MANIFESTS_OF[file.partition("/")[0]], file]
    if "/virtual-service-" in file:
        needed.append("bookinfo/networking/destination-rule-all.yaml")
    return [str(corpus_file(one)) for one in dict.fromkeys(needed)]


@pytest.mark.parametrize(("file", "verdict"), VERDICTS.items())
def test_the_verdict_on_a_file_of_the_corpus(here: Path, meshc: Run, file: str, verdict: str) -> None:
    ran = meshc("import", *_with_what_it_needs(file), "-o", "out")
    if verdict.startswith("equal"):
        assert (ran.status, ran.out.startswith(verdict)) == (0, True), ran.err
    else:
        assert (ran.status, verdict in ran.err) == (1, True), ran.err
    assert meshc("check", "-q", "out").status == 0


def test_every_file_of_the_corpus_has_a_verdict() -> None:
    root = corpus_file("bookinfo").parent
    assert {one.relative_to(root).as_posix() for one in root.rglob("*.yaml")} == set(VERDICTS)


REVIEWS: Final = """traffic reviews uses mesh-defaults {
  split reviews@v3
  route /** when header "end-user" == "jason" -> reviews@v2
}
"""


def test_bookinfo_is_what_a_person_would_have_written(here: Path, meshc: Run) -> None:
    file = "bookinfo/networking/virtual-service-reviews-jason-v2-v3.yaml"
    assert meshc("import", *_with_what_it_needs(file), "-o", "out").status == 0
    text = Path("out/policies/default.mesh").read_text(encoding="utf-8")
    assert f" VirtualService reviews\n{REVIEWS}" in text
    assert "traffic details uses mesh-defaults {}\n" in text
    whole = Path("out/policies/mesh.mesh").read_text(encoding="utf-8")
    assert whole.startswith("mesh imported {\n  default access allow\n  mtls permissive\n}\n")


def test_from_istio_to_linkerd(here: Path, meshc: Run) -> None:
    """The way over: what cannot move is listed by the compiler, and the rest compiles once that is settled."""
    file = "bookinfo/networking/virtual-service-reviews-jason-v2-v3.yaml"
    assert meshc("import", *_with_what_it_needs(file), "--from", "istio", "-o", "out").status == 0
    ran = meshc("compile", "out", "--target", "linkerd", "--out", "deploy")
    assert ran.status == 1
    assert "linkerd cannot express `retry on connect-failure`" in ran.err
    profile = Path("out/policies/mesh.mesh")
    text = profile.read_text(encoding="utf-8")
    profile.write_text(text.replace("connect-failure, refused-stream", "5xx"), encoding="utf-8")
    ran = meshc("compile", "out", "--target", "linkerd", "--out", "deploy")
    assert ran.status == 0, ran.err
    assert Path("deploy/linkerd/default/reviews.yaml").exists()


def test_all_network_policies_of_an_application_together(here: Path, meshc: Run) -> None:
    assert meshc("import", str(corpus_file("online-boutique")), "-o", "out").status == 0
    text = Path("out/policies/default.mesh").read_text(encoding="utf-8")
    assert "access redis-cart {\n  allow cartservice\n}" in text
    assert "access emailservice {\n  allow checkoutservice\n}" in text
    assert "allow group callers-of-cartservice-and-others" in text


@pytest.mark.parametrize("kind", ["projectcalico.org/v3 NetworkPolicy", "cilium.io/v2 CiliumNetworkPolicy"])
def test_policies_that_nobody_reads_close_what_they_may_close(here: Path, meshc: Run, kind: str) -> None:
    version, name = kind.split()
    text = f"apiVersion: {version}\nkind: {name}\nmetadata: {{name: n, namespace: shop}}\nspec: {{}}\n---\n"
    text += "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n"
    text += "spec: {selector: {app: cart}, ports: [{port: 80, name: http}]}\n"
    (here / "live.yaml").write_text(text, encoding="utf-8")
    ran = meshc("import", "live.yaml", "-o", "out")
    assert ran.status == 1
    assert f"{name} `n` is not imported yet" in ran.err
    assert "shop.cart:80: closed, since not all that decides is known" in ran.err


SERVICES_OF_THE_SHOP = """
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{port: 80, name: http, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart-v2, namespace: shop}
spec: {selector: {app: cart-v2}, ports: [{port: 80, name: http, targetPort: 8080}]}
---
"""
ROUTES_OF_THE_CART = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: canary, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: cart, port: 80}]
  rules:
  - matches: [{headers: [{name: x-canary, value: "1"}]}]
    backendRefs: [{name: cart-v2, port: 80}]
  - backendRefs: [{name: cart, port: 80, weight: 9}, {name: cart-v2, port: 80, weight: 1}]
    timeouts: {request: 5s}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: admin, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: cart-v2}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /admin}}]
    backendRefs: [{name: cart-v2, port: 80}]
"""
ROUTES_OF_A_GATEWAY = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: front, namespace: shop}
spec:
  parentRefs: [{name: ingress}]
  rules: [{backendRefs: [{name: cart, port: 80}]}]
"""


@pytest.mark.parametrize("kind", ["gateway", "linkerd"])
def test_routes_of_the_gateway_api_for_meshes(here: Path, meshc: Run, kind: str) -> None:
    (here / "live.yaml").write_text(SERVICES_OF_THE_SHOP + ROUTES_OF_THE_CART, encoding="utf-8")
    ran = meshc("import", "live.yaml", "--from", kind, "-o", "out")
    assert ran.status == 0, ran.err
    assert ran.out.startswith("equal, assuming that ")
    text = Path("out/policies/shop.mesh").read_text(encoding="utf-8")
    assert 'route /** when header "x-canary" == "1" -> cart-v2' in text
    assert "route /** -> cart 90%, cart-v2 10% {\n    timeout 5s" in text
    # What no route takes is answered 404 there.
    assert "respond 404\n  route /admin/** -> cart-v2" in text
    ran = meshc("diff", "out", "live.yaml")
    assert ran.status == 0, ran.out + ran.err


def test_routes_of_gateways_are_not_imported(here: Path, meshc: Run) -> None:
    (here / "live.yaml").write_text(SERVICES_OF_THE_SHOP + ROUTES_OF_THE_CART + ROUTES_OF_A_GATEWAY, encoding="utf-8")
    ran = meshc("import", "live.yaml", "--from", "gateway", "-o", "out")
    assert ran.status == 1
    assert "no port that is known: a gateway's routes cannot be said: it is no service of the mesh" in ran.err
    assert "-> cart-v2" in Path("out/policies/shop.mesh").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"configs": "x"}', "live.json:1: not understood: `configs` should be a list"),
        ('{"configs":\n [{"bootstrap": 3}]}', "live.json:2: not understood: `bootstrap` should be a message"),
        (
            "static_resources:\n  listeners: [[1]]\n",
            "live.json:2: not understood: `listeners` should be a list of messages",
        ),
    ],
)
def test_what_is_no_configuration_of_envoy_after_all(project: Path, meshc: Run, text: str, said: str) -> None:
    """The place is named before it is said that nothing is left to import."""
    (project / "live.json").write_text(text, encoding="utf-8")
    ran = meshc("import", "--from", "envoy", "live.json", "-o", "out")
    assert ran.status == 2
    assert said in ran.err
    assert "no Service among the files" in ran.err
    assert not (project / "out").exists()
