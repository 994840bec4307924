"""`meshc diff` of two configurations of a mesh, from the outside."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from meshc_harness.running import Ran

PROGRAM = """namespace shop
service web in shop {ENDPOINT}
service cart in shop { port 8080 http{ENDPOINT} }
access cart {
  allow web to GET /items/**
  deny web to GET /items/secret
}
"""
MANIFESTS = """apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{port: 8080, name: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec: {template: {metadata: {labels: {app: cart}}, spec: {serviceAccountName: cart}}}
"""

Run = Callable[..., Ran]


@pytest.fixture
def compiled(project: Path, meshc: Run) -> Path:
    """The same program twice: in `old` and, with a shorter deny, in `new`; for Istio, and for Envoy below `envoy`."""
    policies = project / "policies" / "shop.mesh"
    policies.write_text(PROGRAM.replace("{ENDPOINT}", ""), encoding="utf-8")
    for folder in ("old", "new"):
        assert meshc("compile", "--target", "istio", "--out", folder).status == 0
    file = project / "new" / "istio" / "shop" / "cart.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("/items/secret", "/items/secrets"), encoding="utf-8")
    return project


def test_two_compiles_of_the_project_around(compiled: Path, meshc: Run) -> None:
    ran = meshc("diff", "old/istio", "new/istio", "--fail-on", "opened")
    assert ran.status == 1
    assert "+ opened: shop.web to GET /items/secret" in ran.out
    assert "old/istio/shop/cart.yaml:" in ran.out
    assert "new/istio/shop/cart.yaml:" in ran.out
    assert "the services are those of the project, `policies/shop.mesh`" in ran.err
    assert "compared is who may call" not in ran.err
    ran = meshc("diff", "old/istio", "old/istio", "--fail-on", "opened,closed,changed,weakened-mtls,routing,settings")
    assert (ran.status, ran.err.count("assuming that no header")) == (0, 0)
    assert "nothing changed" in ran.out.lower() or "no difference" in ran.out.lower()


def test_what_runs_beside_what_was_compiled(compiled: Path, meshc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    live = "".join(one.read_text(encoding="utf-8") + "---\n" for one in sorted(Path("new/istio").rglob("*.yaml")))
    live = live.replace("kind: Kustomization", "kind: Other").replace("kustomize.config.k8s.io", "other.example")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(live.encode())))
    ran = meshc("diff", "-", "old/istio", "--fail-on", "closed")
    assert ran.status == 1
    assert "- closed: shop.web to GET /items/secret" in ran.out
    assert meshc("diff", "-", "-").status == 2


def test_services_of_the_manifests(compiled: Path, meshc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = compiled / "outside"
    (outside / "old").mkdir(parents=True)
    (compiled / "old" / "istio" / "shop").rename(outside / "old" / "shop")
    (compiled / "new" / "istio" / "shop").rename(outside / "new")
    (compiled / "meshc.yaml").unlink()
    monkeypatch.chdir(outside)
    ran = meshc("diff", "old", "new")
    assert ran.status == 2
    assert "neither side has a Service, and no project is around here" in ran.err
    (outside / "new" / "manifests.yaml").write_text(MANIFESTS, encoding="utf-8")
    ran = meshc("diff", "old", "new", "--fail-on", "opened")
    assert ran.status == 1
    assert "to GET /items/secret" in ran.out
    assert "assuming that Istio normalizes paths" in ran.err
    (outside / "new" / "manifests.yaml").write_text(MANIFESTS.replace("8080", "nine"), encoding="utf-8")
    ran = meshc("diff", "old", "new")
    assert ran.status == 2
    assert "the services of `new` cannot be read" in ran.err


def test_what_is_not_understood_on_either_side_is_undecided(compiled: Path, meshc: Run) -> None:
    for folder in ("old", "new"):
        file = Path(folder, "istio", "shop", "web.yaml")
        file.write_text(
            "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: w, namespace: shop}\n",
            encoding="utf-8",
        )
    ran = meshc("diff", "old/istio", "new/istio", "--fail-on", "weakened-mtls")
    assert ran.status == 1
    assert "old/istio/shop/web.yaml:" in ran.err
    assert "new/istio/shop/web.yaml:" in ran.err


def test_an_environment_that_is_none(compiled: Path, meshc: Run) -> None:
    ran = meshc("diff", "old/istio", "new/istio", "--env", "prod")
    assert ran.status == 2
    assert "the project has no environment `prod`; it has none" in ran.err


def test_sidecars_of_envoy_and_another_mesh(compiled: Path, meshc: Run) -> None:
    policies = compiled / "policies" / "shop.mesh"
    text = PROGRAM.replace("{ENDPOINT}", ' endpoint "10.0.0.2:1"').replace("web in shop  endp", "web in shop { endp")
    text = text.replace('web in shop { endpoint "10.0.0.2:1"', 'web in shop { endpoint "10.0.0.3:1" }')
    policies.write_text(text, encoding="utf-8")
    assert meshc("compile", "--target", "envoy", "--out", "a").status == 0
    policies.write_text(text.replace("/items/secret", "/items/**"), encoding="utf-8")
    assert meshc("compile", "--target", "envoy", "--out", "b").status == 0
    policies.write_text(text, encoding="utf-8")
    ran = meshc("diff", "a/envoy", "b/envoy", "--fail-on", "opened")
    assert ran.status == 0
    assert "- closed: shop.web to GET /items/**" in ran.out
    # One compile for Istio and one for Envoy say the same of who may call, but for what Istio does not refuse.
    ran = meshc("diff", "old/istio", "a/envoy", "--fail-on", "opened,closed")
    assert (ran.status, ran.out.count("opened"), ran.out.count("closed")) == (0, 0, 0)
