"""`meshc verify`, the proof in every `meshc compile`, and drift: from the outside."""

import io
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import meshc_istio
from meshc.ir import Mesh
from meshc.target import Emission, TargetOptions
from meshc_harness.running import Ran

PROGRAM = """namespace shop
service web in shop
service cart in shop { port 8080 http }
access cart {
  allow web to GET /items/**
  deny web to GET /items/secret
}
"""
FILE = Path("deploy/istio/shop/cart.yaml")

Run = Callable[..., Ran]


@pytest.fixture
def compiled(project: Path, meshc: Run) -> Path:
    (project / "policies" / "shop.mesh").write_text(PROGRAM, encoding="utf-8")
    assert meshc("compile", "--target", "istio").status == 0
    return project


def _edit(old: str, new: str) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    FILE.write_text(text.replace(old, new), encoding="utf-8")


def test_what_was_compiled_is_proven(compiled: Path, meshc: Run) -> None:
    for arguments in (("--target", "istio"), ("--target", "istio", "--out", "deploy")):
        ran = meshc("verify", *arguments)
        assert ran.status == 0
        assert "says what the program says, for every request" in ran.err
        assert "nothing else yet" not in ran.err
    assert "linkerd: nothing is proven" in meshc("compile", "--target", "linkerd", "--out", "other").err
    assert "proven" not in meshc("compile", "--target", "envoy", "--out", "other").err


def test_an_edited_file_is_found_with_its_line(compiled: Path, meshc: Run) -> None:
    _edit("/items/secret", "/items/secrets")
    ran = meshc("verify", "--target", "istio", "--out", "deploy")
    assert ran.status == 1
    assert "error[not-verified]: istio: the files let through what the program refuses, at `shop.cart:8080`" in ran.err
    assert "policies/shop.mesh:6:3" in ran.err
    # A rule starts where its item of `rules` does.
    lines = FILE.read_text(encoding="utf-8").splitlines()
    rules = [number for number, text in enumerate(lines, 1) if text == "  - from:"]
    assert len(rules) == 2
    assert all(f"({FILE}:{number})" in ran.err for number in rules)


def test_a_policy_that_was_taken_away_is_found(compiled: Path, meshc: Run) -> None:
    _edit("action: DENY", "action: AUDIT")
    ran = meshc("verify", "--target", "istio", "--out", "deploy")
    assert ran.status == 1
    assert "the files let through what the program refuses" in ran.err


def test_a_file_that_cannot_be_read_is_an_error(compiled: Path, meshc: Run) -> None:
    FILE.write_text("kind: [\n", encoding="utf-8")
    ran = meshc("verify", "--target", "istio", "--out", "deploy")
    assert ran.status == 1
    assert "error[configuration-invalid]" in ran.err
    assert f"{FILE}:" in ran.err


def test_a_folder_without_files_and_a_target_without_reader(compiled: Path, meshc: Run) -> None:
    assert meshc("verify", "--target", "istio", "--out", "nowhere").status == 2
    ran = meshc("verify", "--target", "linkerd")
    assert ran.status == 2
    assert "linkerd cannot be read back yet" in ran.err


def test_nothing_is_written_that_is_not_proven(compiled: Path, meshc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the emitter forgot every DENY policy."""

    def forgetful(mesh: Mesh, options: TargetOptions) -> Emission:
        emission = meshc_istio.TARGET.emit(mesh, options)
        documents = tuple(
            replace(one, resources=tuple(each for each in one.resources if "deny" not in str(each.get("metadata"))))
            for one in emission.documents
        )
        return replace(emission, documents=documents)

    before = FILE.read_text(encoding="utf-8")
    broken = replace(meshc_istio.TARGET, emit=forgetful)
    monkeypatch.setattr("meshc.cli.compiling.find_target", lambda _: broken)
    ran = meshc("compile", "--target", "istio")
    assert ran.status == 1
    assert "error[not-verified]" in ran.err
    assert "the files: allowed, by `allow shop.web to GET /items/**` (istio/shop/cart.yaml:" in ran.err
    assert FILE.read_text(encoding="utf-8") == before
    assert meshc("compile", "--target", "istio", "--no-verify").status == 0
    assert "DENY" not in FILE.read_text(encoding="utf-8")


def test_tests_and_decisions_by_way_of_compiled_files(
    compiled: Path, meshc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("policies/test.mesh").write_text(
        'test "t" { allow web GET cart /items/1 deny web GET cart /items/secret }\n', encoding="utf-8"
    )
    for target in ("envoy", "istio"):
        assert "2 passed, 0 failed" in meshc("test", "--via", target).out
        request = b'{"from": "web", "to": "cart:8080", "method": "GET", "path": "/items/secret"}\n'
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(request)))
        ran = meshc("decide", "--via", target)
        assert '"access": "deny"' in ran.out
        assert f'"rule": "{target}/shop/cart.yaml:' in ran.out
    assert meshc("test", "--via", "linkerd").status == 2
    assert meshc("test", "--via", "nothing").status == 2


# ---- drift ----------------------------------------------------------------------------------------------------------


def test_a_cluster_that_runs_the_program_does_not_differ(compiled: Path, meshc: Run) -> None:
    ran = meshc("diff", ".", "deploy/istio", "--fail-on", "opened,closed,weakened-mtls")
    assert ran.status == 0
    assert "nothing changed" in ran.out


def test_a_policy_of_somebody_else_is_drift(compiled: Path, meshc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    own = FILE.read_text(encoding="utf-8") + "\n---\n" + Path("deploy/istio/mesh.yaml").read_text(encoding="utf-8")
    other = (
        "\n---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        "metadata: {name: debug, namespace: istio-system}\nspec: {rules: [{to: [{operation: {methods: [PUT]}}]}]}\n"
    )
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((own + other).encode())))
    ran = meshc("diff", ".", "-", "--fail-on", "opened")
    assert ran.status == 1
    assert "opened: anyone to PUT" in ran.out
    assert "<stdin>:" in ran.out


def test_sidecars_that_drifted(compiled: Path, meshc: Run) -> None:
    assert meshc("compile", "--target", "envoy").status == 0
    assert "nothing changed" in meshc("diff", ".", "deploy/envoy", "--fail-on", "opened,closed,routing,settings").out
    sidecar = Path("deploy/envoy/shop/cart.yaml")
    sidecar.write_text(sidecar.read_text(encoding="utf-8").replace("/items/secret", "/items/x"), encoding="utf-8")
    ran = meshc("diff", ".", "deploy/envoy", "--fail-on", "opened")
    assert ran.status == 1
    assert "opened: shop.web to GET /items/secret" in ran.out
    assert meshc("verify", "--target", "envoy", "--out", "deploy").status == 1


def test_what_is_not_understood_fails_every_gate_that_it_may_touch(compiled: Path, meshc: Run) -> None:
    _edit("action: DENY", "action: CUSTOM")
    for gate in ("opened", "closed", "changed", "weakened-mtls"):
        ran = meshc("diff", ".", "deploy/istio", "--fail-on", gate)
        assert ran.status == 1
        assert "not understood" in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("deploy/istio", "deploy/istio"), "one side must be a program"),
        ((".", "linkerd.yaml"), "configuration of Linkerd cannot be read yet"),
        ((".", "empty.yaml"), "holds no configuration of Istio or Envoy"),
        ((".", "broken.yaml"), "cannot be read"),
    ],
)
def test_operands_that_cannot_be_compared(compiled: Path, meshc: Run, arguments: tuple[str, str], words: str) -> None:
    Path("linkerd.yaml").write_text("apiVersion: policy.linkerd.io/v1beta3\nkind: Server\n", encoding="utf-8")
    Path("empty.yaml").write_text("apiVersion: v1\nkind: Service\n", encoding="utf-8")
    Path("broken.yaml").write_text("a: [\n", encoding="utf-8")
    ran = meshc("diff", *arguments)
    assert ran.status == 2
    assert words in ran.err
