"""Compiled files: written as a whole, pruned by the manifest, never through a link."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from meshc.output import MANIFEST, ManifestInfo, OutputError, OutputFile, compare_output, write_output
from meshc.source import Span

INFO = ManifestInfo(compiler="1", program="p", environment=None)
A = OutputFile(path="envoy/a/x.yaml", text="x: 1\n", sources=(Span("a.mesh", 0, 1, 3, 1),))
B = OutputFile(path="envoy/b/y.yaml", text="y: é\n")


def content(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def test_files_and_manifest_are_written(tmp_path: Path) -> None:
    written = write_output(tmp_path, [B, A], INFO)
    assert written.changed == ("envoy/a/x.yaml", "envoy/b/y.yaml")
    assert set(content(tmp_path)) == {"envoy/a/x.yaml", "envoy/b/y.yaml", MANIFEST}
    manifest = json.loads((tmp_path / MANIFEST).read_bytes())
    assert manifest["files"][0] == {
        "path": "envoy/a/x.yaml",
        "sha256": hashlib.sha256(b"x: 1\n").hexdigest(),
        "sources": ["a.mesh:3"],
    }


def test_the_order_of_files_has_no_effect(tmp_path: Path) -> None:
    write_output(tmp_path / "1", [A, B], INFO)
    write_output(tmp_path / "2", [B, A], INFO)
    assert content(tmp_path / "1") == content(tmp_path / "2")


def test_a_second_compile_changes_nothing(tmp_path: Path) -> None:
    write_output(tmp_path, [A, B], INFO)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert write_output(tmp_path, [A, B], INFO).changed == ()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.yaml")}.items() <= before.items()


def test_stale_files_are_removed_and_others_left(tmp_path: Path) -> None:
    write_output(tmp_path, [A, B], INFO)
    (tmp_path / "envoy/a/mine.txt").write_text("keep")
    assert write_output(tmp_path, [], INFO).removed == ("envoy/a/x.yaml", "envoy/b/y.yaml")
    assert set(content(tmp_path)) == {"envoy/a/mine.txt", MANIFEST}
    assert not (tmp_path / "envoy/b").exists()


def test_drift(tmp_path: Path) -> None:
    assert compare_output(tmp_path / "none", [A], INFO).missing == ("envoy/a/x.yaml", MANIFEST)
    assert not (tmp_path / "none").exists()
    write_output(tmp_path, [A, B], INFO)
    assert not compare_output(tmp_path, [A, B], INFO).has_any
    (tmp_path / B.path).write_text("edited")
    drift = compare_output(tmp_path, [B], INFO)
    assert (drift.missing, drift.different, drift.stale) == ((), (B.path, MANIFEST), (A.path,))


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "a//b", "", ".", "a\\b"])
def test_paths_stay_inside(tmp_path: Path, path: str) -> None:
    with pytest.raises(OutputError, match="no path inside"):
        write_output(tmp_path / "out", [OutputFile(path=path, text="")], INFO)


@pytest.mark.parametrize("link", ["envoy", "envoy/a", "envoy/a/x.yaml", MANIFEST, ".meshc.lock"])
def test_links_are_refused(tmp_path: Path, link: str) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("precious")
    (out / link).parent.mkdir(parents=True)
    (out / link).symlink_to(elsewhere / ("precious" if "." in link else ""))
    with pytest.raises(OutputError, match="symbolic link"):
        write_output(out, [A], INFO)
    assert content(elsewhere) == {"precious": b"precious"}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"version": 1, "files": 3}', '{"version": 9, "files": []}', "[" * 100_000],
)
def test_a_manifest_of_somebody_else_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(OutputError, match="no manifest of meshc"):
        write_output(tmp_path, [A], INFO)
    assert content(tmp_path) == {MANIFEST: text.encode()}


def test_a_manifest_cannot_remove_what_is_outside(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / MANIFEST).write_text(json.dumps({"version": 1, "files": [{"path": "../precious"}]}))
    with pytest.raises(OutputError, match="no path inside"):
        write_output(out, [A], INFO)
    assert (tmp_path / "precious").exists()


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_output(tmp_path, [A], INFO)
    before = content(tmp_path)
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    changed = OutputFile(path=A.path, text="x: 2\n")
    with pytest.raises(OutputError, match="No space left"):
        write_output(tmp_path, [changed, B], INFO)
    assert content(tmp_path) == before


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_output(tmp_path / "file" / "out", [A], INFO)


def test_two_compiles_at_once(tmp_path: Path) -> None:
    import fcntl

    descriptor = os.open(tmp_path / ".meshc.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(OutputError, match="another compile"):
        write_output(tmp_path, [A], INFO)
    os.close(descriptor)
    write_output(tmp_path, [A], INFO)


KILLED = """
import os, signal, sys
from pathlib import Path
from meshc.output import *
replaced = []
real = Path.replace
def replace(self, target):
    if len(replaced) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    replaced.append(target)
    return real(self, target)
Path.replace = replace
info = ManifestInfo(compiler="1", program="p", environment=None)
write_output(Path(sys.argv[1]), [OutputFile(path="envoy/a/x.yaml", text="x: 2"), OutputFile(path="envoy/b/y.yaml", text="y: 2")], info)
"""


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_killed_compile_leaves_whole_files_and_is_noticed(tmp_path: Path, renames: int) -> None:
    write_output(tmp_path, [A, B], INFO)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(renames)], check=False)
    assert done.returncode == -signal.SIGKILL
    found = content(tmp_path)
    assert found[A.path] in {b"x: 1\n", b"x: 2"}
    assert found[B.path] in {"y: é\n".encode(), b"y: 2"}
    new = [OutputFile(path=A.path, text="x: 2"), OutputFile(path=B.path, text="y: 2")]
    assert compare_output(tmp_path, new, INFO).has_any
    write_output(tmp_path, new, INFO)
    assert set(content(tmp_path)) == {A.path, B.path, MANIFEST}
