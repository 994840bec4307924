"""Projects: what `meshc.yaml` decides, what its mistakes look like, and what a command loads and reads."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from meshc.cli import watching
from meshc_harness.running import Ran

Meshc = Callable[..., Ran]

ENVIRONMENTS = "environment staging { access cart { allow web to POST /items } }\nenvironment prod { }\n"


def configure(project: Path, more: str = "", policies: str = "policies/") -> None:
    text = f"policies: {policies}\ntargets: [envoy]\nout: deploy/\n{more}"
    (project / "meshc.yaml").write_text(text, encoding="utf-8")


def test_all_environments_are_those_of_the_configuration(project: Path, meshc: Meshc) -> None:
    (project / "policies" / "env.mesh").write_text(ENVIRONMENTS, encoding="utf-8")
    configure(project, "environments: [prod]\n")
    assert meshc("compile", "--env", "all").status == 0
    assert [one.name for one in (project / "deploy").iterdir()] == ["prod"]


def test_what_a_dropped_environment_has_left(project: Path, meshc: Meshc) -> None:
    environments = project / "policies" / "env.mesh"
    environments.write_text(ENVIRONMENTS, encoding="utf-8")
    assert meshc("compile", "--env", "all").status == 0
    assert meshc("compile", "--env", "all", "--check").status == 0
    environments.write_text("environment prod { }\n", encoding="utf-8")
    (project / "deploy" / "mine").mkdir()
    (project / "deploy" / "mine" / "manifest.json").write_text("[" * 100_000, encoding="utf-8")
    drift = meshc("compile", "--env", "all", "--check")
    assert (drift.status, drift.out.splitlines()[0]) == (1, f"stale: {project / 'deploy' / 'staging'}")
    ran = meshc("compile", "--env", "all")
    assert ran.status == 0
    assert "/deploy/staging` is left from an environment that the program no longer has; remove it" in ran.err
    assert (project / "deploy" / "staging" / "envoy" / "shop" / "cart.yaml").is_file()


def test_an_environment_that_the_program_has_not(project: Path, meshc: Meshc) -> None:
    (project / "policies" / "env.mesh").write_text(ENVIRONMENTS, encoding="utf-8")
    configure(project, "environments: [prod, stagin]\n")
    for command in (("check",), ("compile",), ("compile", "--env", "all"), ("test",)):
        ran = meshc(*command)
        assert ran.status == 1, command
        assert "error[invalid-config]: the program has no environment `stagin`" in ran.err
        assert "--> meshc.yaml:4:22" in ran.err
        assert "did you mean `staging`?" in ran.err
    # A single file is not the whole program: its environments may be elsewhere.
    assert meshc("check", "policies/shop.mesh").status == 0


def test_mistakes_of_the_configuration_for_machines(project: Path, meshc: Meshc) -> None:
    (project / "meshc.yaml").write_text("polices: x\n", encoding="utf-8")
    ran = meshc("check", "--format", "json")
    assert (ran.status, ran.err) == (1, "")
    assert [(one["name"], one["file"]) for one in json.loads(ran.out)["diagnostics"]] == [
        ("invalid-config", "meshc.yaml")
    ]
    assert meshc("check", "--format", "github").out.startswith("::error file=meshc.yaml,line=1")


def test_a_configuration_that_cannot_be_read(project: Path, meshc: Meshc) -> None:
    (project / "meshc.yaml").write_bytes(b"policies: policies/\nout: \xff\n")
    ran = meshc("check")
    assert ran.status == 1
    assert "error[invalid-encoding]: `meshc.yaml` is not UTF-8: byte 0xff on line 2" in ran.err


def test_paths_from_a_folder_within_the_project(
    project: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (project / "policies" / "bad.mesh").write_text("access crat { allow web }\n", encoding="utf-8")
    monkeypatch.chdir(project / "policies")
    assert "--> bad.mesh:1:8" in meshc("check").err
    (project / "docs").mkdir()
    monkeypatch.chdir(project / "docs")
    assert "--> ../policies/bad.mesh:1:8" in meshc("check").err
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    assert f"--> {project}/policies/bad.mesh:1:8" in meshc("check", str(project)).err


def test_fmt_of_policies_in_one_file(project: Path, meshc: Meshc) -> None:
    configure(project, policies="policies/shop.mesh")
    (project / "policies" / "shop.mesh").write_text("namespace   shop\n", encoding="utf-8")
    ran = meshc("fmt", "--check")
    assert (ran.status, ran.err) == (1, "1 of 1 file would change\n")
    configure(project, policies="policies/gone.mesh")
    assert meshc("fmt").status == 2


def test_fmt_of_what_is_no_text(project: Path, meshc: Meshc) -> None:
    (project / "policies" / "a.mesh").write_bytes(b"\xff")
    os.mkfifo(project / "policies" / "b.mesh")
    (project / "policies" / ".c.mesh").write_text("junk", encoding="utf-8")
    ran = meshc("fmt", "--check")
    assert ran.status == 1
    assert "error[invalid-encoding]" in ran.err
    assert "it is no regular file" in ran.err
    assert "--> policies/a.mesh" in ran.err
    assert "of 3 files would change, 2 with mistakes left as they are" in ran.err


def test_fmt_leaves_nothing_behind_when_it_cannot_write(
    project: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    file = project / "policies" / "shop.mesh"
    file.write_text("namespace   shop\n", encoding="utf-8")
    monkeypatch.setattr(os, "fsync", full)
    ran = meshc("fmt")
    assert (ran.status, ran.err) == (2, "meshc: cannot write `policies/shop.mesh`: no space left on device\n")
    assert [one.name for one in file.parent.iterdir()] == ["shop.mesh"]
    assert file.read_text(encoding="utf-8") == "namespace   shop\n"


@pytest.mark.parametrize("command", ["check", "compile", "fmt", "test", "decide"])
def test_names_that_the_system_refuses(project: Path, meshc: Meshc, command: str) -> None:
    ran = meshc(command, "x" * 500 + ".mesh")
    assert ran.status == 2
    assert "file name too long" in ran.err
    assert "mistake in meshc" not in ran.err


@pytest.mark.parametrize(("module", "status"), [("re2", 2), ("meshc.nothing", 3)])
def test_a_module_that_is_not_there(
    project: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch, module: str, status: int
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.delenv("MESHC_DEBUG", raising=False)
    monkeypatch.setattr("meshc.cli.project.analyze", broken)
    ran = meshc("check")
    assert ran.status == status
    assert ("`re2`, which meshc needs, is not installed" in ran.err) == (status == 2)
    assert "Traceback" not in ran.err


def test_explain_without_a_request(project: Path, meshc: Meshc) -> None:
    for path in ("policies", "policies/shop.mesh"):
        ran = meshc("explain", path)
        assert ran.status == 2
        assert "explain what?" in ran.err


def test_a_small_check_imports_nothing_that_it_does_not_use(project: Path) -> None:
    """`meshc check` must start fast; each of these takes as long as the whole check."""
    slow = ("pydantic", "yaml", "jinja2", "lark", "asyncio", "importlib.metadata", "meshc.config", "meshc.output")
    code = (
        "import sys; from meshc.cli import main; status = main(['check', '-q', 'shop.mesh']);"
        f"print(status, [name for name in {slow!r} if name in sys.modules])"
    )
    (project / "meshc.yaml").unlink()
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=project / "policies", capture_output=True, text=True, check=True
    )
    assert ran.stdout == "0 []\n", ran.stderr


def test_watch_checks_again_after_a_change(project: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [
        lambda: (project / "policies" / "bad.mesh").write_text("access crat { allow web }\n", encoding="utf-8"),
        lambda: None,
        lambda: (project / "meshc.yaml").write_text("policies: gone/\n", encoding="utf-8"),
    ]

    def sleep(_: float) -> None:
        if not changes:
            raise KeyboardInterrupt
        changes.pop(0)()

    monkeypatch.setattr(watching.time, "sleep", sleep)
    monkeypatch.chdir(project / "policies")
    ran = meshc("check", "--watch")
    assert ran.status == 0
    looks = ran.err.split("watching for changes; Ctrl-C ends\n")
    assert [("no errors" in look, "unknown-service" in look, "`gone/`" in look) for look in looks[:-1]] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]


def test_watch_looks_at_the_project_and_not_at_hidden_folders(tmp_path: Path) -> None:
    for name in ("meshc.yaml", "policies/a.mesh", "k8s/b.yml", ".git/c.yaml", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "gone.mesh").symlink_to(tmp_path / "nowhere")
    stamp = watching.take_stamp(watching.watched_directory(tmp_path / "policies" / "a.mesh"))
    assert [Path(name).relative_to(tmp_path).as_posix() for name, _, _ in stamp] == [
        "k8s/b.yml",
        "meshc.yaml",
        "policies/a.mesh",
    ]
