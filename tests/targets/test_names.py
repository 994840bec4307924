"""Names and files are stable: one edited rule changes one file and the manifest."""

from pathlib import Path

import pytest

from meshc.cli import main

PROGRAM = """
namespace shop
service web in shop
service cart in shop { port 8080 http }
service stock in shop { port 8080 http port 9090 grpc as rpc }
access cart { allow web to GET /items/{id} deny anyone to /internal/** }
access stock:8080 { allow cart to GET }
access stock:rpc { allow cart to rpc shop.Stock/* }
traffic stock:8080 { timeout 2s }
"""


def compiled(tmp_path: Path, text: str, target: str) -> dict[str, str]:
    program = tmp_path / "shop.mesh"
    program.write_text(text, encoding="utf-8")
    out = tmp_path / "out"
    assert main(["compile", "-q", str(program), "--target", target, "--out", str(out)]) == 0
    files = {
        path.relative_to(out).as_posix(): path.read_text(encoding="utf-8") for path in out.rglob("*") if path.is_file()
    }
    return {path: text for path, text in files.items() if not path.startswith(".")}


@pytest.mark.parametrize("target", ["istio", "linkerd"])
@pytest.mark.parametrize(
    "edit",
    [
        ("to GET /items/{id}", "to GET|HEAD /items/{id}"),
        ("deny anyone to /internal/**", "deny anyone to /internal/** deny anyone from 10.6.0.0/16"),
        ("allow cart to GET }", "allow cart, web to GET }"),
        ("timeout 2s", "timeout 3s"),
    ],
)
def test_one_edit_changes_one_file(tmp_path: Path, target: str, edit: tuple[str, str]) -> None:
    before = compiled(tmp_path, PROGRAM, target)
    after = compiled(tmp_path, PROGRAM.replace(*edit), target)
    assert before.keys() == after.keys()
    changed = {path for path in before if before[path] != after[path]}
    assert len(changed) == 2
    assert "manifest.json" in changed


@pytest.mark.parametrize("target", ["istio", "linkerd"])
def test_lines_shift_nothing_but_the_manifest(tmp_path: Path, target: str) -> None:
    before = compiled(tmp_path, PROGRAM, target)
    after = compiled(tmp_path, f"# A comment.\n\n{PROGRAM}", target)
    assert {path for path in before if before[path] != after[path]} == {"manifest.json"}


@pytest.mark.parametrize("target", ["istio", "linkerd"])
def test_what_is_gone_is_removed(tmp_path: Path, target: str) -> None:
    compiled(tmp_path, PROGRAM, target)
    less = "\n".join(line for line in PROGRAM.splitlines() if "stock" not in line)
    after = compiled(tmp_path, less, target)
    assert not [path for path in after if "stock" in path]
    assert "shop/stock.yaml" not in after[f"{target}/kustomization.yaml"]
