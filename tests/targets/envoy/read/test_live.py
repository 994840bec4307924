"""What real Envoys say of themselves: their config dumps read as the files that they were started with."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from forked import run_forked
from meshc.cli import main
from meshc.difference.compare import Comparer
from meshc.difference.model import Side
from meshc.engine.authority import Authority
from meshc.engine.network import Network
from meshc.engine.processes import find_envoy
from meshc.frontend import analyze
from meshc.ir import Mesh
from meshc.load import load
from meshc.reading import Reading, bare, objects_of_source
from meshc.source import SourceFile
from meshc_envoy import TARGET
from meshc_envoy.read import expressed, read
from meshc_harness.compare import TODAY

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[4] / "policies" / "examples" / "bookinfo"
ADMIN = "http://127.0.0.1:15000/config_dump?include_eds"


def _mesh() -> Mesh:
    loaded = load(EXAMPLE)
    found = analyze(
        loaded.modules, loaded.inventory, loaded.comments, environment=None, today=TODAY, earlier=loaded.diagnostics
    )
    assert found.mesh is not None
    return found.mesh


def _secrets(mesh: Mesh, folder: Path) -> None:
    """One certificate for all sidecars: nobody calls anybody here."""
    authority = Authority.create(mesh.trust_domain)
    found = authority.issue_workload(mesh.workloads[0].identity, folder, "own")
    found.chain.rename(folder / "cert.pem")
    found.key.rename(folder / "key.pem")
    for domain in mesh.trust_domains:
        (folder / f"{domain}.pem").write_bytes(authority.bundle)


def _dump(file: Path, out: Path) -> None:
    """Start an Envoy with a file and keep what it says of itself."""
    command = [str(find_envoy().path), "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"]
    errors = out.with_suffix(".err")
    with errors.open("wb") as log, subprocess.Popen(command, stderr=log) as envoy:
        try:
            for _ in range(150):
                assert envoy.poll() is None, errors.read_text(encoding="utf-8")
                try:
                    with urllib.request.urlopen(ADMIN, timeout=5) as answer:
                        out.write_bytes(answer.read())
                        return
                except OSError:
                    time.sleep(0.1)
        finally:
            envoy.terminate()
    pytest.fail("envoy does not answer")


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The folder of secrets, and that of dumps of all sidecars of the example."""
    folder = tmp_path_factory.mktemp("dumps")
    secrets, files, found = folder / "secrets", folder / "files", folder / "found"
    for one in (secrets, files, found):
        one.mkdir()
    mesh = _mesh()
    _secrets(mesh, secrets)
    documents = TARGET.emit(mesh, {"tls-directory": str(secrets)}).documents
    names = [one.path.replace("/", "-").removesuffix(".yaml") for one in documents]
    for name, one in zip(names, documents, strict=True):
        text = json.dumps(one.resources[0], default=dict)
        (files / f"{name}.json").write_text(text, encoding="utf-8")

    def run(_: Network) -> None:
        for name in names:
            _dump(files / f"{name}.json", found / f"{name}.json")

    run_forked(run, folder / "failure.txt")
    for one in found.glob("*.err"):
        one.unlink()
    return {"secrets": str(secrets), "found": found, "files": files, "mesh": mesh}


def _read(dumps: Mapping[str, Any]) -> Reading:
    objects = [
        one
        for path in sorted(dumps["found"].glob("*.json"))
        for one in objects_of_source(SourceFile(path.name, path.read_text(encoding="utf-8")))[0]
    ]
    return read(objects, bare(dumps["mesh"]), {"tls-directory": dumps["secrets"]})


def test_dumps_read_as_the_program(dumps: Mapping[str, Any]) -> None:
    reading = _read(dumps)
    assert not reading.unknown
    assert {one.text for one in reading.assumptions} <= set(TARGET.assumes({}))
    difference = Comparer().compare(Side(mesh=expressed(dumps["mesh"], {})), Side(mesh=reading.mesh))
    assert not difference.subjects


def test_drift_of_dumps(dumps: Mapping[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No drift of what runs; drift of one rule less, with the place in the dump."""
    assert main(["diff", str(EXAMPLE), str(dumps["found"]), "--fail-on", "opened,closed,changed,routing,settings"]) == 0
    capsys.readouterr()
    live = tmp_path / "live"
    live.mkdir()
    for path in dumps["found"].glob("*.json"):
        text = path.read_text(encoding="utf-8")
        (live / path.name).write_text(text.replace('"GET"', '"PUT"'), encoding="utf-8")
    assert main(["diff", str(EXAMPLE), str(live), "--fail-on", "opened,closed,changed"]) == 1
    assert ".json:" in capsys.readouterr().out


def test_dumps_are_imported(dumps: Mapping[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without manifests, and equal."""
    out = tmp_path / "imported"
    assert main(["import", "--from", "envoy", str(dumps["found"]), "-o", str(out)]) == 0
    assert "equal" in capsys.readouterr().out
    assert main(["check", str(out)]) == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('.HttpConnectionManager"', '.HttpConnectionManagerx"'),
        ('.UpstreamTlsContext"', '.UpstreamTlsContextx"'),
        ('.HttpProtocolOptions",', '.HttpProtocolOptionsx",'),
        ('"cluster": "application/', '"cluster": "applicationx/'),
        ("4294967295", "4294967296"),
        ('"error_level": ', '"error_level": 1, "x": '),
    ],
)
def test_what_is_said_to_be_refused_is(dumps: Mapping[str, Any], tmp_path: Path, old: str, new: str) -> None:
    """Reasons that values go unseen: Envoy itself takes no such file. What is not edited, it takes."""
    file = tmp_path / "edited.json"
    text = (dumps["files"] / "default-reviews.json").read_text(encoding="utf-8")
    command = [str(find_envoy().path), "--mode", "validate", "-l", "off", "-c", str(file)]
    file.write_text(text, encoding="utf-8")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
