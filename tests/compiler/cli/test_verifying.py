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
from meshc_harness.compare import analyze_text
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
    assert "nothing else yet" not in meshc("compile", "--target", "linkerd", "--out", "other").err
    assert meshc("verify", "--target", "linkerd", "--out", "other").status == 0
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


def test_a_folder_without_files(compiled: Path, meshc: Run) -> None:
    assert meshc("verify", "--target", "istio", "--out", "nowhere").status == 2
    assert meshc("verify", "--target", "nothing").status == 2


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
    for target in ("envoy", "istio", "linkerd"):
        assert "2 passed, 0 failed" in meshc("test", "--via", target).out
        request = b'{"from": "web", "to": "cart:8080", "method": "GET", "path": "/items/secret"}\n'
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(request)))
        ran = meshc("decide", "--via", target)
        assert '"access": "deny"' in ran.out
        assert f'"rule": "{target}/shop/cart.yaml:' in ran.out
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
        ((".", "empty.yaml"), "holds no configuration of Istio, Linkerd or Envoy"),
        ((".", "broken.yaml"), "cannot be read"),
    ],
)
def test_operands_that_cannot_be_compared(compiled: Path, meshc: Run, arguments: tuple[str, str], words: str) -> None:
    Path("empty.yaml").write_text("apiVersion: v1\nkind: Service\n", encoding="utf-8")
    Path("broken.yaml").write_text("a: [\n", encoding="utf-8")
    ran = meshc("diff", *arguments)
    assert ran.status == 2
    assert words in ran.err


def test_what_is_not_looked_into_is_not_passed_over(compiled: Path, meshc: Run) -> None:
    elsewhere = compiled / "elsewhere"
    elsewhere.mkdir()
    Path("deploy/istio/more").symlink_to(elsewhere)
    ran = meshc("verify", "--target", "istio", "--out", "deploy")
    assert ran.status == 2
    assert "cannot read `deploy/istio/more`: a link to a folder, which is not followed" in ran.err
    ran = meshc("diff", "deploy/istio", "policies")
    assert ran.status == 2
    assert "a link to a folder" in ran.err


def test_a_kustomization_that_leaves_a_file_out_is_found(compiled: Path, meshc: Run) -> None:
    file = Path("deploy/istio/kustomization.yaml")
    file.write_text(file.read_text(encoding="utf-8").replace("- shop/cart.yaml\n", ""), encoding="utf-8")
    ran = meshc("verify", "--target", "istio", "--out", "deploy")
    assert ran.status == 1
    assert "is not applied: it is not among the resources" in ran.err
    ran = meshc("diff", "policies", "deploy/istio", "--fail-on", "opened")
    assert ran.status == 1


def test_explain_by_way_of_a_target_names_both_places(compiled: Path, meshc: Run) -> None:
    ran = meshc("explain", "--via", "istio", "web GET cart /items/secret")
    assert ran.status == 0
    assert "the program's" not in ran.err
    first, *lines = ran.out.splitlines()
    numbers = {
        number for number, text in enumerate(FILE.read_text(encoding="utf-8").splitlines(), 1) if text == "  - from:"
    }
    assert first in {f"denied 403 (istio/shop/cart.yaml:{one}, from policies/shop.mesh:6)" for one in numbers}
    shown = "\n".join(lines)
    assert any(
        f"allow shop.web to GET /items/** (not asked)  istio/shop/cart.yaml:{one}, from policies/shop.mesh:5" in shown
        for one in numbers
    )
    # What would let it in is still said of the program.
    assert "drop this deny  policies/shop.mesh:6" in shown


def test_explain_says_where_a_target_decides_otherwise(
    compiled: Path, meshc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = analyze_text(PROGRAM.replace("deny web to GET /items/secret", "")).mesh
    monkeypatch.setattr("meshc.cli.via.mesh_via", lambda *_: other)
    ran = meshc("explain", "--via", "istio", "web GET cart /items/secret")
    assert ran.out.startswith("allowed")
    assert "note: the program itself says: denied 403; `meshc verify` finds where the two differ" in ran.out


def test_explain_by_way_of_what_cannot_be_read_back(compiled: Path, meshc: Run) -> None:
    ran = meshc("explain", "--via", "nothing", "web GET cart /items/a")
    assert ran.status == 2
    # A target that cannot express the program has nothing to be read back.
    policies = compiled / "policies" / "shop.mesh"
    policies.write_text(PROGRAM + 'access cart { deny anyone when header "a" == "b" }\n', encoding="utf-8")
    ran = meshc("explain", "--via", "istio", "web GET cart /items/a")
    assert ran.status == 1
    assert "unsupported-by-target" in ran.err
