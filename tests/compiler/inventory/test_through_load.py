"""`inventory "…"` from a `.mesh` file on disk to a mesh: `meshc.load` reads the manifests and hands them to `meshc.inventory`."""

from datetime import date
from pathlib import Path

from meshc.frontend import Analysis, analyze
from meshc.load import Loaded, load

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  selector: {app: cart}
  ports:
  - {name: grpc, port: 7070, targetPort: api}
"""

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  template:
    metadata: {labels: {app: cart, version: v1}}
    spec:
      serviceAccountName: cart-runner
      containers:
      - ports: [{name: api, containerPort: 9070}]
        livenessProbe: {grpc: {port: 9070}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: load, namespace: shop}
spec:
  template:
    metadata: {labels: {app: load}}
    spec: {containers: [{name: main}]}
"""

PROGRAM = """\
mesh shop {}
inventory "k8s/*.yaml"
access cart { allow load }
"""


def loaded(root: Path, program: str, **manifests: str) -> Loaded:
    (root / "meshc.yaml").write_text("")
    (root / "k8s").mkdir()
    (root / "shop.mesh").write_text(program, encoding="utf-8")
    for name, text in manifests.items():
        (root / "k8s" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load(root / "shop.mesh")


def analyzed(program: Loaded) -> Analysis:
    return analyze(
        program.modules,
        program.inventory,
        program.comments,
        environment=None,
        today=date(2026, 1, 1),
        earlier=program.diagnostics,
    )


def test_manifests_become_workloads(tmp_path: Path) -> None:
    analysis = analyzed(loaded(tmp_path, PROGRAM, service=SERVICE, workloads=DEPLOYMENT))
    assert analysis.diagnostics == ()
    assert analysis.mesh is not None
    cart, caller = sorted(analysis.mesh.workloads, key=lambda one: one.name)
    assert (cart.identity, caller.identity) == (
        "spiffe://cluster.local/ns/shop/sa/cart-runner",
        "spiffe://cluster.local/ns/shop/sa/default",
    )
    assert [(port.number, port.protocol.value, port.target, port.name) for port in cart.ports] == [
        (7070, "grpc", 9070, "grpc")
    ]
    assert [(probe.method, probe.path, probe.port) for probe in cart.probes] == [("GRPC", None, 9070)]
    assert [(version.name, dict(version.labels)) for version in cart.versions] == [("v1", {"version": "v1"})]
    assert (caller.name, caller.ports) == ("load", ())


def test_the_program_overrides_the_inventory(tmp_path: Path) -> None:
    program = PROGRAM + "service cart in shop { port 7070 http target 9999 service-account chosen }\n"
    analysis = analyzed(loaded(tmp_path, program, service=SERVICE, workloads=DEPLOYMENT))
    assert analysis.mesh is not None, analysis.diagnostics
    cart = next(one for one in analysis.mesh.workloads if one.name == "cart")
    assert (cart.service_account, cart.ports[0].protocol.value, cart.ports[0].target) == ("chosen", "http", 9999)


def test_what_is_wrong_is_shown_in_the_manifest(tmp_path: Path) -> None:
    program = loaded(
        tmp_path, PROGRAM, broken="a: [\n", chart="metadata:\n  name: {{ .Values.name }}\n", service=SERVICE
    )
    errors = [one for one in program.diagnostics if one.name == "inventory-invalid"]
    assert [(one.span.path, one.span.line) for one in errors] == [("k8s/broken.yaml", 2), ("k8s/chart.yaml", 2)]
    assert "helm template" in "".join(errors[1].help)
    assert {"k8s/broken.yaml", "k8s/chart.yaml", "k8s/service.yaml"} <= set(program.sources)
    assert any(one.name.text == "cart" for one in program.inventory)
