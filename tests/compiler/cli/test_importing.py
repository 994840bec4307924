"""`meshc import` from the outside, and the verdict on every file of the corpus, stated beforehand."""

import io
import shutil
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
spec: {hosts: [cart], http: [{route: [{destination: {host: cart}}]}]}
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
    assert "# from in/all.yaml:19\naccess cart {\n  allow web\n}\n" in text
    assert meshc("check", "out").status == 0
    assert meshc("fmt", "out/policies", "--check").status == 0


def test_standard_input(here: Path, meshc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((MANIFESTS + NETWORK).encode())))
    assert meshc("import", "-", "-o", "out").status == 0
    assert "# from <stdin>:" in Path("out/policies/shop.mesh").read_text(encoding="utf-8")


def test_what_is_not_imported_is_listed_and_fails(here: Path, meshc: Run) -> None:
    Path("in/all.yaml").write_text(MANIFESTS + NETWORK + VIRTUAL, encoding="utf-8")
    ran = meshc("import", "in", "-o", "out")
    assert ran.status == 1
    assert "in/all.yaml:22: not imported, the mesh: VirtualService `cart` is not imported yet" in ran.err
    assert meshc("import", "in", "-o", "other", "--from", "networkpolicy").status == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "---\napiVersion: policy.linkerd.io/v1beta3\nkind: Server\nmetadata: {name: s, namespace: shop}\n",
            "Server `s`",
        ),
        ("---\nstatic_resources: {}\n", "configuration of Envoy"),
    ],
)
def test_what_may_refuse_requests_and_is_not_read_leaves_nothing_open(
    here: Path, meshc: Run, text: str, shown: str
) -> None:
    Path("in/all.yaml").write_text(MANIFESTS + text, encoding="utf-8")
    ran = meshc("import", "in", "-o", "out")
    assert ran.status == 1
    assert f"{shown} is not imported yet" in ran.err
    assert "allow" not in Path("out/policies/shop.mesh").read_text(encoding="utf-8")


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
NOT_YET: Final = "is not imported yet"

NETWORK_POLICIES: Final = (
    *("adservice", "cartservice", "checkoutservice", "currencyservice", "deny-all", "emailservice", "frontend"),
    *("loadgenerator", "paymentservice", "productcatalogservice", "recommendationservice", "redis", "shippingservice"),
)
VERDICTS: Final = {
    **{f"online-boutique/network-policies/network-policy-{name}.yaml": BY_SELECTORS for name in NETWORK_POLICIES},
    "bookinfo/policy/productpage_envoy_ratelimit.yaml": f"EnvoyFilter `filter-ratelimit` {NOT_YET}",
    "bookinfo/networking/bookinfo-gateway.yaml": f"Gateway `bookinfo-gateway` {NOT_YET}",
    "bookinfo/networking/virtual-service-reviews-80-20.yaml": f"VirtualService `reviews` {NOT_YET}",
    "bookinfo/networking/destination-rule-all-mtls.yaml": f"DestinationRule `productpage` {NOT_YET}",
}


@pytest.mark.parametrize(("file", "verdict"), VERDICTS.items())
def test_the_verdict_on_a_file_of_the_corpus(here: Path, meshc: Run, file: str, verdict: str) -> None:
    shutil.rmtree("in")
    application = file.partition("/")[0]
    manifests = {"online-boutique": "kubernetes-manifests.yaml", "bookinfo": "platform/kube/bookinfo.yaml"}[application]
    ran = meshc("import", str(corpus_file(f"{application}/{manifests}")), str(corpus_file(file)), "-o", "out")
    assert verdict in (ran.err if NOT_YET in verdict else ran.out)
    assert ran.status == (1 if NOT_YET in verdict else 0)


def test_all_network_policies_of_an_application_together(here: Path, meshc: Run) -> None:
    assert meshc("import", str(corpus_file("online-boutique")), "-o", "out").status == 0
    text = Path("out/policies/default.mesh").read_text(encoding="utf-8")
    assert "access redis-cart {\n  allow cartservice\n}" in text
    assert "access emailservice {\n  allow checkoutservice\n}" in text
    assert "allow group callers-1" in text


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
