"""Every command as a user runs it: what it prints where, and how it exits."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from meshc._version import __version__
from meshc_harness.running import Ran

Meshc = Callable[..., Ran]


def test_check_is_quiet_about_a_good_program(project: Path, meshc: Meshc) -> None:
    ran = meshc("check")
    assert (ran.status, ran.out, ran.err) == (0, "", "checked 1 file: no errors\n")
    assert meshc("check", "-q").err == ""


def test_check_shows_every_mistake_on_standard_error(project: Path, meshc: Meshc) -> None:
    (project / "policies" / "bad.mesh").write_text("access crat { allow wep }\nservice x in shopp\n", encoding="utf-8")
    ran = meshc("check")
    assert ran.status == 1
    assert ran.out == ""
    assert "error[unknown-service]: service `crat` is not declared" in ran.err
    assert "did you mean `cart`?" in ran.err
    assert "--> policies/bad.mesh:1:8" in ran.err
    assert "error[unknown-namespace]" in ran.err


def test_paths_are_relative_to_the_working_directory(
    project: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "policies" / "bad.mesh").write_text("access crat { allow web }\n", encoding="utf-8")
    monkeypatch.chdir(project.parent)
    assert f"--> {project.name}/policies/bad.mesh:1:8" in meshc("check", project.name).err


def test_check_as_json_and_github(project: Path, meshc: Meshc) -> None:
    (project / "policies" / "bad.mesh").write_text("access crat { allow web }\n", encoding="utf-8")
    found = json.loads(meshc("check", "--format", "json").out)
    assert [one["name"] for one in found["diagnostics"] if one["severity"] == "error"] == ["unknown-service"]
    assert "::error file=policies/bad.mesh,line=1" in meshc("check", "--format", "github").out


def test_check_asks_the_targets(project: Path, meshc: Meshc) -> None:
    (project / "policies" / "more.mesh").write_text(
        "traffic cart { fault delay 1s for 1% when source ip in (10.0.0.0/8) }\n", encoding="utf-8"
    )
    ran = meshc("check")
    assert ran.status == 1
    assert "error[unsupported-by-target]" in ran.err
    assert "--> policies/more.mesh:1:16" in ran.err
    (project / "meshc.yaml").write_text("policies: policies/\n", encoding="utf-8")
    assert meshc("check").status == 0
    assert meshc("check", "--target", "envoy").status == 1


def test_check_covers_every_environment(project: Path, meshc: Meshc) -> None:
    (project / "policies" / "env.mesh").write_text(
        "environment staging { access cart { allow weeb } }\n", encoding="utf-8"
    )
    ran = meshc("check")
    assert ran.status == 1
    assert "in environment `staging`" in ran.err
    assert meshc("check", "--env", "staging").status == 1
    wrong = meshc("check", "--env", "stagin")
    assert wrong.status == 2
    assert "did you mean `staging`?" in wrong.err


def test_what_an_environment_alone_uses_is_not_unused(project: Path, meshc: Meshc) -> None:
    text = "let nets = 10.0.0.0/8\nenvironment prod { access cart { allow web from $nets } }\n"
    (project / "policies" / "env.mesh").write_text(text, encoding="utf-8")
    assert "unused-declaration" not in meshc("check").err


def test_a_project_is_found_from_below(project: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "policies")
    assert meshc("check").status == 0


def test_no_project(tmp_path: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = meshc("check")
    assert ran.status == 2
    assert "no `meshc.yaml` here or above" in ran.err
    assert meshc("check", "nowhere").status == 2
    assert "there is no `.mesh` file" in meshc("check", ".").err


def test_a_mistake_in_the_configuration(project: Path, meshc: Meshc) -> None:
    (project / "meshc.yaml").write_text("polices: policies/\n", encoding="utf-8")
    ran = meshc("check")
    assert ran.status == 1
    assert "error[invalid-config]" in ran.err
    assert "did you mean `policies`?" in ran.err


def test_compile_writes_checks_and_prunes(project: Path, meshc: Meshc) -> None:
    assert meshc("compile", "--check").status == 1
    assert not (project / "deploy").exists()
    assert meshc("compile").status == 0
    assert (project / "deploy/envoy/shop/cart.yaml").is_file()
    assert meshc("compile", "--check").status == 0
    (project / "deploy/envoy/shop/cart.yaml").write_text("edited", encoding="utf-8")
    drift = meshc("compile", "--check")
    assert (drift.status, drift.out) == (1, f"differs: {project / 'deploy/envoy/shop/cart.yaml'}\n")


def test_compile_writes_nothing_for_a_bad_program(project: Path, meshc: Meshc) -> None:
    (project / "policies" / "bad.mesh").write_text("access crat { allow web }\n", encoding="utf-8")
    assert meshc("compile").status == 1
    assert not (project / "deploy").exists()


def test_compile_for_every_environment(project: Path, meshc: Meshc) -> None:
    assert meshc("compile", "--env", "all").status == 2
    text = "environment staging { access cart { allow web to POST /items } }\nenvironment prod { }\n"
    (project / "policies" / "env.mesh").write_text(text, encoding="utf-8")
    assert meshc("compile", "--env", "all").status == 0
    staging = (project / "deploy/staging/envoy/shop/cart.yaml").read_text(encoding="utf-8")
    prod = (project / "deploy/prod/envoy/shop/cart.yaml").read_text(encoding="utf-8")
    assert "POST" in staging
    assert "POST" not in prod


def test_compile_without_targets_or_place(project: Path, meshc: Meshc) -> None:
    (project / "meshc.yaml").write_text("policies: policies/\n", encoding="utf-8")
    assert "no target" in meshc("compile").err
    assert "there is no target `envoi`" in meshc("compile", "--target", "envoi", "--out", "x").err
    assert meshc("compile", "policies/shop.mesh", "--target", "envoy", "--out", "out").status == 0


def test_the_configuration_reaches_the_target(project: Path, meshc: Meshc) -> None:
    config = "policies: policies/\ntargets: [envoy]\nout: deploy/\nenvoy:\n  tls-directory: /run/tls\n"
    (project / "meshc.yaml").write_text(config, encoding="utf-8")
    assert meshc("compile").status == 0
    assert "/run/tls/cert.pem" in (project / "deploy/envoy/shop/cart.yaml").read_text(encoding="utf-8")
    (project / "meshc.yaml").write_text(
        config.replace("tls-directory: /run/tls", "certificates: sds"), encoding="utf-8"
    )
    assert meshc("compile").status == 0
    assert "cert.pem" not in (project / "deploy/envoy/shop/cart.yaml").read_text(encoding="utf-8")


def test_two_compiles_are_equal_to_the_byte(project: Path) -> None:
    """Whatever the hash seed, the locale and the folder."""
    found = []
    for seed, locale in (("1", "C"), ("2", "C.UTF-8")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale}
        out = project / seed
        command = [sys.executable, "-m", "meshc", "compile", "--out", str(out)]
        subprocess.run(command, check=True, env=environment, cwd=project, capture_output=True)
        found.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert found[0] == found[1]


def test_fmt(project: Path, meshc: Meshc) -> None:
    file = project / "policies" / "shop.mesh"
    assert meshc("fmt").status == 0
    assert meshc("fmt", "--check").status == 0
    file.write_text(file.read_text(encoding="utf-8").replace("access cart {", "access cart{  "), encoding="utf-8")
    check = meshc("fmt", "--check")
    assert check.status == 1
    assert "would change" in check.out
    difference = meshc("fmt", "--diff", "policies")
    assert (difference.status, "+access cart {" in difference.out) == (1, True)
    assert meshc("fmt").status == 0
    assert meshc("fmt", "--check").status == 0
    file.write_text("access {", encoding="utf-8")
    assert meshc("fmt").status == 1
    assert file.read_text(encoding="utf-8") == "access {"


def test_fmt_of_standard_input(meshc: Meshc, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"namespace   a"))
    monkeypatch.setattr(sys, "stdin", stdin)
    ran = meshc("fmt", "-")
    assert (ran.status, ran.out) == (0, "namespace a\n")


def test_test_in_the_model(project: Path, meshc: Meshc) -> None:
    ran = meshc("test")
    assert (ran.status, ran.out) == (0, "✓ items (2 cases)\n2 passed, 0 failed\n")
    (project / "policies" / "t.mesh").write_text('test "wrong" { deny web GET cart /items/1 }\n', encoding="utf-8")
    failed = meshc("test")
    assert failed.status == 1
    assert "✗ policies/t.mesh:1: web GET cart /items/1" in failed.out
    assert "expected deny, found allow, by policies/shop.mesh:4" in failed.out


def test_test_reports_for_machines(project: Path, meshc: Meshc) -> None:
    (project / "policies" / "t.mesh").write_text('test "wr<ong" { deny web GET cart /items/1 }\n', encoding="utf-8")
    report = json.loads(meshc("test", "--format", "json").out)
    assert (report["passed"], report["failed"]) == (2, 1)
    suites = ET.fromstring(meshc("test", "--format", "junit").out)
    assert [suite.get("failures") for suite in suites] == ["0", "1"]


def test_test_on_real_envoys(project: Path, meshc: Meshc) -> None:
    ran = meshc("test", "--engine", "envoy")
    assert (ran.status, ran.out) == (0, "✓ items (2 cases)\n2 passed, 0 failed\n")


def test_environments_tests_run_in_their_environment(project: Path, meshc: Meshc) -> None:
    text = 'environment open { access cart { allow web } test "open" { allow web POST cart / } }\n'
    (project / "policies" / "env.mesh").write_text(text, encoding="utf-8")
    ran = meshc("test")
    assert ran.status == 1
    assert "✗ items [open]" in ran.out
    assert "✓ open [open]" in ran.out


def test_decide(project: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        {"from": "web", "to": "cart", "method": "GET", "path": "/items/1"},
        {"from": None, "to": "shop.cart:8080", "method": "GET", "path": "/items/1"},
    ]
    text = (
        "\n".join(json.dumps(line) for line in lines)
        + '\n\n{"from": "wep", "to": "cart", "method": "GET", "path": "/"}\n\xff\n'
    )
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode("latin-1"))))
    ran = meshc("decide")
    assert ran.status == 1
    answers = [json.loads(line) for line in ran.out.splitlines()]
    assert [answer.get("access") for answer in answers] == ["allow", "deny", None, None]
    assert "no service is called `wep`" in answers[2]["error"]
    assert "line 4: no service is called `wep`; did you mean `web`?" in ran.err
    assert "line 5: the line is not UTF-8" in ran.err


def test_decide_on_real_envoys(project: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch) -> None:
    line = b'{"from": "web", "to": "cart", "method": "GET", "path": "/items/1", "source_ip": "10.1.2.3"}\n'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line)))
    ran = meshc("decide", "--engine", "envoy")
    assert json.loads(ran.out) == {"access": "allow", "status": None, "served_by": "shop.cart"}


def test_explain(project: Path, meshc: Meshc) -> None:
    ran = meshc("explain", "web POST cart /items/1")
    assert ran.status == 0
    assert ran.out.startswith("denied 403")
    assert "method: wants GET; is POST" in ran.out
    assert meshc("explain", "policies", "web", "GET", "cart", "/items/1").out.startswith("allowed")
    assert (
        json.loads(meshc("explain", "--format", "json", "web GET cart /items/1").out)["decision"]["access"] == "allow"
    )
    assert meshc("explain", '{"from": "web", "to": "cart", "method": "GET", "path": "/items/1"}').out.startswith(
        "allowed"
    )


def test_explain_of_a_request_that_is_none(project: Path, meshc: Meshc) -> None:
    ran = meshc("explain", "wep GET cart /items/1")
    assert ran.status == 1
    assert "did you mean `web`?" in ran.err
    assert meshc("explain", "web GET").status == 1
    assert meshc("explain", "{").status == 2


def test_init(tmp_path: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert meshc("init", "shop").status == 0
    monkeypatch.chdir(tmp_path / "shop")
    assert meshc("check").err == "checked 1 file: no errors\n"
    assert meshc("fmt", "--check").status == 0
    assert meshc("test").status == 0
    assert meshc("compile").status == 0
    again = meshc("init")
    assert again.status == 2
    assert "exists already; nothing was written" in again.err


def test_targets(meshc: Meshc) -> None:
    assert "port http " in meshc("targets").out
    table = json.loads(meshc("targets", "envoy", "--format", "json").out)
    assert {row["support"] for row in table["targets"][0]["features"]} >= {"exact", "impossible"}
    assert meshc("targets", "envoi").status == 2


def test_docs(meshc: Meshc) -> None:
    assert "shared-identity" in meshc("docs").out
    assert meshc("docs", "shared-identity").out.startswith("# ")
    assert "did you mean `shared-identity`?" in meshc("docs", "shared-identiy").err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, meshc: Meshc) -> None:
    out = meshc("completion", shell).out
    assert "compile" in out
    assert "engine" in out


def test_help_has_an_example_for_every_command(meshc: Meshc) -> None:
    from meshc.cli.completion import command_options

    assert meshc("--version").out == f"meshc {__version__}\n"
    for command in command_options():
        ran = meshc(command, "--help")
        assert ran.status == 0
        assert "example:\n  " in ran.out


@pytest.mark.parametrize("arguments", [(), ("chekc",), ("check", "--frmat", "json"), ("check", "--format", "yaml")])
def test_a_wrong_command_line(arguments: tuple[str, ...], meshc: Meshc) -> None:
    ran = meshc(*arguments)
    assert ran.status == 2
    assert ran.err.startswith("meshc: ")
    assert "Traceback" not in ran.err


def test_a_fault_of_ours_says_what_to_report(project: Path, meshc: Meshc, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.delenv("MESHC_DEBUG", raising=False)
    monkeypatch.setattr("meshc.cli.project.analyze", broken)
    ran = meshc("check")
    assert ran.status == 3
    assert "ZeroDivisionError: boom" in ran.err
    assert "please report it" in ran.err
    assert "Traceback" not in ran.err


def test_ctrl_c_and_a_closed_pipe_end_quietly(project: Path) -> None:
    command = [sys.executable, "-m", "meshc", "decide"]
    process = subprocess.Popen(
        command, cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b'{"from": "web", "to": "cart", "method": "GET", "path": "/items/1"}\n')
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert (process.returncode, err) == (130, b"")
    piped = subprocess.run(
        f"{sys.executable} -m meshc docs | head -1", shell=True, cwd=project, capture_output=True, check=True
    )
    assert piped.stderr == b""


def test_a_program_without_tests_says_so(project: Path, meshc: Meshc) -> None:
    (project / "policies" / "shop.mesh").write_text("namespace shop\nservice web in shop\n", encoding="utf-8")
    for engine in ("model", "envoy"):
        ran = meshc("test", "--engine", engine)
        assert (ran.status, ran.out) == (0, 'no tests: write `test "…" { allow … }`\n')


def test_a_request_is_shown_as_it_is_written(project: Path, meshc: Meshc) -> None:
    text = 'test "wrong" {\n  deny web GET cart /items/1 # one\n    with header "x-a" "a  # b",\n      header "x-b" "c"\n}\n'
    (project / "policies" / "t.mesh").write_text(text, encoding="utf-8")
    assert 'web GET cart /items/1 with header "x-a" "a  # b", header "x-b" "c"\n' in meshc("test").out


@pytest.mark.parametrize(("format_", "start"), [("sarif", '{\n  "$schema"'), ("junit", "<?xml")])
def test_check_for_machines(project: Path, meshc: Meshc, format_: str, start: str) -> None:
    good = meshc("check", "--format", format_)
    assert (good.status, good.err) == (0, "")
    assert good.out.startswith(start)
    (project / "policies" / "bad.mesh").write_text("access crat { allow web }", encoding="utf-8")
    bad = meshc("check", "--format", format_)
    assert (bad.status, bad.err) == (1, "")
    assert "unknown-service" in bad.out
    assert "policies/bad.mesh" in bad.out
    (project / "meshc.yaml").write_text("polices: policies/\n", encoding="utf-8")
    assert "invalid-config" in meshc("check", "--format", format_).out
