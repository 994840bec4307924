"""`meshc diff`: programs and revisions, gates, formats, and what is said of what cannot be compared."""

import json
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from meshc_harness.running import Ran

Meshc = Callable[..., Ran]

OLD = """namespace shop
service web in shop
service cart in shop { port 8080 http }
access cart { allow web to GET /items/{id} }
environment staging { traffic cart { timeout 1s } }
"""
NEW = OLD.replace("GET /items/{id}", "GET /items/**").replace("timeout 1s", "timeout 2s")
SAME = OLD.replace("{id}", "{item}")

SCHEMAS = [json.loads(one.read_text(encoding="utf-8")) for one in files("meshc").joinpath("schemas").iterdir()]
REGISTRY: Registry[object] = Registry().with_resources((one["$id"], Resource.from_contents(one)) for one in SCHEMAS)


def git(folder: Path, *arguments: str) -> None:
    identity = (
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "init.defaultBranch=main",
        "-c",
        "commit.gpgsign=false",
    )
    subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, check=True)


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two programs beside each other, and one that means the same as the first."""
    for name, text in (("old", OLD), ("new", NEW), ("same", SAME)):
        (tmp_path / f"{name}.mesh").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two commits; the file is renamed in between."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "meshc.yaml").write_text("policies: policies/\n", encoding="utf-8")
    (tmp_path / "policies" / "shop.mesh").write_text(OLD, encoding="utf-8")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "one")
    git(tmp_path, "mv", "policies/shop.mesh", "policies/cart.mesh")
    (tmp_path / "policies" / "cart.mesh").write_text(NEW, encoding="utf-8")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "two")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_two_programs(sides: Path, meshc: Meshc) -> None:
    ran = meshc("diff", "old.mesh", "new.mesh")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == (
        "shop.cart:8080  changed http port  new.mesh:3\n"
        "  + opened: shop.web to GET /items/** except /items/{id}\n"
        "      was 403: no allow rule fits  old.mesh:4\n"
        "      now allowed: allow shop.web to GET /items/**  new.mesh:4\n"
        "      $ curl --globoff --path-as-is http://cart.shop:8080/items  # as shop.web\n"
        "\n"
        "shop.cart:8080  changed http port, in environment `staging`  new.mesh:3\n"
        "  * timeout: 1s → 2s  old.mesh:5 → new.mesh:5\n"
        "\n"
        "1 of 1 port changed (without environment and in environment `staging`), 1 opened, 1 setting\n"
    )


def test_nothing_changed(sides: Path, meshc: Meshc) -> None:
    for gates in ((), ("--fail-on", "opened,closed,changed,routing,settings,weakened-mtls")):
        ran = meshc("diff", "old.mesh", "same.mesh", *gates)
        assert ran.status == 0
        assert ran.out == "nothing changed: 1 port compared (without environment and in environment `staging`)\n"


@pytest.mark.parametrize(
    ("gates", "status"),
    [
        ("opened", 1),
        ("closed", 0),
        ("closed,opened", 1),
        ("settings", 1),
        ("routing,weakened-mtls,changed", 0),
    ],
)
def test_gates(sides: Path, meshc: Meshc, gates: str, status: int) -> None:
    ran = meshc("diff", "old.mesh", "new.mesh", "--fail-on", gates)
    assert ran.status == status
    assert ("found what --fail-on names" in ran.err) is bool(status)
    assert ran.out


def test_an_unknown_gate(sides: Path, meshc: Meshc) -> None:
    ran = meshc("diff", "old.mesh", "new.mesh", "--fail-on", "open")
    assert (ran.status, ran.out) == (2, "")
    assert "--fail-on knows no `open`" in ran.err


def test_one_environment(sides: Path, meshc: Meshc) -> None:
    ran = meshc("diff", "old.mesh", "new.mesh", "--env", "staging")
    assert ran.out.count("changed http port") == 1
    assert "timeout: 1s → 2s" in ran.out
    wrong = meshc("diff", "old.mesh", "new.mesh", "--env", "stagin")
    assert wrong.status == 2
    assert "the old program has no environment `stagin`; did you mean `staging`?" in wrong.err


def test_environments_of_one_side(sides: Path, meshc: Meshc) -> None:
    text = OLD + "environment prod { access cart { allow anyone to GET /debug } }\n"
    (sides / "new.mesh").write_text(text, encoding="utf-8")
    ran = meshc("diff", "old.mesh", "new.mesh", "--fail-on", "opened")
    assert ran.status == 1
    assert "shop.cart:8080  changed http port, in environment `prod`" in ran.out
    assert "+ opened: anyone to GET /debug" in ran.out
    assert "environment `prod` is new; it was compared with the old program without environment" in ran.out
    back = meshc("diff", "new.mesh", "old.mesh")
    assert "environment `prod` is gone" in back.out
    quiet = OLD + "environment prod { }\n"
    (sides / "new.mesh").write_text(quiet, encoding="utf-8")
    assert "environment `prod` is new" in meshc("diff", "old.mesh", "new.mesh").out


# ---- revisions ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_revisions(repository: Path, meshc: Meshc) -> None:
    ran = meshc("diff", "git:HEAD~1", "git:HEAD", "--env", "staging")
    assert ran.status == 0, ran.err
    assert "was 403: no allow rule fits  HEAD~1:policies/shop.mesh:4\n" in ran.out
    assert "now allowed: allow shop.web to GET /items/**  HEAD:policies/cart.mesh:4\n" in ran.out
    assert "nothing changed" in meshc("diff", "git:HEAD", "git:main:policies").out


def test_a_revision_and_the_work_tree(repository: Path, meshc: Meshc) -> None:
    assert "nothing changed" in meshc("diff", "git:HEAD", ".").out
    (repository / "policies" / "cart.mesh").write_text(OLD, encoding="utf-8")
    ran = meshc("diff", "git:HEAD:./policies", "policies")
    assert "- closed: shop.web to GET /items/** except /items/{id}" in ran.out
    assert "HEAD:policies/cart.mesh:4" in ran.out
    assert "nothing changed" in meshc("diff", "git:HEAD~1", ".").out


def test_from_a_folder_of_the_repository(repository: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository / "policies")
    ran = meshc("diff", "git:HEAD~1", "git:HEAD")
    assert ran.status == 0, ran.err
    assert "HEAD~1:policies/shop.mesh:4" in ran.out
    assert meshc("diff", "git:HEAD:./cart.mesh", "cart.mesh").status == 0


def test_a_bare_repository(repository: Path, meshc: Meshc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(tmp_path / "bare.git"))
    monkeypatch.chdir(tmp_path / "bare.git")
    ran = meshc("diff", "git:HEAD~1", "git:HEAD")
    assert ran.status == 0, ran.err
    assert "opened" in ran.out


def test_a_revision_without_project_file(repository: Path, meshc: Meshc, tmp_path: Path) -> None:
    git(repository, "rm", "-q", "meshc.yaml")
    git(repository, "commit", "-q", "-m", "three")
    assert "nothing changed" in meshc("diff", "git:HEAD", "git:HEAD~1").out
    assert "nothing changed" in meshc("diff", "git:HEAD:policies", "git:HEAD~1").out


def test_a_revision_reads_nothing_above_itself(
    repository: Path, meshc: Meshc, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    above = tmp_path_factory.mktemp("above")
    (above / "meshc.yaml").write_text("policies: .\n", encoding="utf-8")
    (above / "secret.mesh").write_text("namespace secret\n", encoding="utf-8")
    monkeypatch.setattr("tempfile.tempdir", str(above))
    git(repository, "rm", "-q", "meshc.yaml")
    (repository / "policies" / "cart.mesh").write_text(f'import "../../secret.mesh"\n{NEW}', encoding="utf-8")
    git(repository, "commit", "-q", "-a", "-m", "hostile")
    ran = meshc("diff", "git:HEAD~1", "git:HEAD:policies")
    assert ran.status == 1
    assert "error[import-outside-root]" in ran.err


@pytest.mark.parametrize(
    ("operand", "message"),
    [
        ("git:HAED", "the repository has no revision `HAED`; did you mean `HEAD`?"),
        ("git:-p", "none starts with `-`"),
        ("git:HEAD:policy", "there is no `policy` at `HEAD`"),
        ("git:HEAD:meshc.yaml", "is no `.mesh` file"),
        ("deploy", "`deploy` holds no configuration of Istio, Linkerd or Envoy"),
        ("deploy/x.yaml", "`deploy/x.yaml` holds no configuration of Istio, Linkerd or Envoy"),
        ("nothing", "`nothing` does not exist"),
    ],
)
def test_what_cannot_be_read(repository: Path, meshc: Meshc, operand: str, message: str) -> None:
    (repository / "deploy").mkdir()
    (repository / "deploy" / "x.yaml").write_text("kind: X\n", encoding="utf-8")
    for arguments in ((operand, "."), (".", operand)):
        ran = meshc("diff", *arguments)
        assert (ran.status, ran.out) == (2, "")
        assert message in ran.err
        assert "/tmp" not in ran.err.replace(str(repository), "")


def test_no_place_of_this_machine_is_shown(repository: Path, meshc: Meshc) -> None:
    (repository / "policies" / "cart.mesh").write_text(
        'import "gone.mesh"\naccess cart { allow webb }\n', encoding="utf-8"
    )
    (repository / "meshc.yaml").write_text("polices: x\n", encoding="utf-8")
    git(repository, "commit", "-q", "-a", "-m", "broken")
    for operand in ("git:HEAD", "git:HEAD:policies"):
        ran = meshc("diff", operand, "git:HEAD~1")
        assert (ran.status, ran.out) == (1, "")
        assert "meshc-" not in ran.err
        assert "HEAD:" in ran.err
    assert "HEAD:policies/cart.mesh:1" in ran.err


def test_a_program_with_mistakes(sides: Path, meshc: Meshc) -> None:
    (sides / "new.mesh").write_text(NEW.replace("allow web", "allow webb"), encoding="utf-8")
    ran = meshc("diff", "old.mesh", "new.mesh", "--format", "json")
    assert (ran.status, ran.out) == (1, "")
    assert "error[unknown-service]" in ran.err
    assert "new.mesh:4" in ran.err


def test_what_expired_is_no_mistake_here(sides: Path, meshc: Meshc) -> None:
    (sides / "old.mesh").write_text(OLD.replace("{id} }", "{id} until 2020-01-01 }"), encoding="utf-8")
    assert "opened" in meshc("diff", "old.mesh", "new.mesh").out


# ---- formats --------------------------------------------------------------------------------------------------------


def test_json(sides: Path, meshc: Meshc) -> None:
    ran = meshc("diff", "old.mesh", "new.mesh", "--format", "json")
    found = json.loads(ran.out)
    schema = REGISTRY.contents("https://meshc.dev/schemas/difference.v1.json")
    Draft202012Validator(schema, registry=REGISTRY).validate(found)
    assert found["changes"] == ["opened", "settings"]
    assert found["environments"] == {"compared": [None, "staging"], "added": [], "removed": []}
    witness = found["subjects"][0]["regions"][0]["witness"]
    assert witness["request"]["from"] == {"identity": "spiffe://cluster.local/ns/shop/sa/web"}
    assert (witness["old"]["access"], witness["new"]["access"]) == ("deny", "allow")


@pytest.mark.parametrize(
    ("kind", "start"),
    [("markdown", "### meshc diff"), ("html", "<!doctype html>"), ("sarif", "{"), ("text", "shop.cart")],
)
def test_formats(sides: Path, meshc: Meshc, kind: str, start: str) -> None:
    ran = meshc("diff", "old.mesh", "new.mesh", "--format", kind)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(start)


@pytest.mark.slow
def test_everything_is_there_on_demand(sides: Path, meshc: Meshc) -> None:
    rules = " ".join(f'allow web to /{number} when header "x-{number}" == "1"' for number in range(14))
    (sides / "new.mesh").write_text(OLD.replace("allow web", f"{rules} allow web"), encoding="utf-8")
    assert "… and 4 more regions (--all shows them)" in meshc("diff", "old.mesh", "new.mesh").out
    assert "more regions" not in meshc("diff", "old.mesh", "new.mesh", "--all").out


def test_colour(sides: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[31m+ opened" in meshc("diff", "old.mesh", "new.mesh", "--color", "always").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in meshc("diff", "old.mesh", "new.mesh").out
