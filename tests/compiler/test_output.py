"""Compiled files: written as a whole, pruned by the manifest, never through a link."""

import errno
import fcntl
import hashlib
import json
import os
from importlib import resources
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from meshc.output import MANIFEST, ManifestInfo, OutputError, OutputFile, compare_output, write_output
from meshc.source import BUILTIN, Span
from output_files import INFO, A, B, content


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


@pytest.mark.parametrize("link", ["envoy", "envoy/a", "envoy/a/x.yaml", MANIFEST, ".meshc.lock", ".meshc-staging"])
def test_links_are_refused(tmp_path: Path, link: str) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("precious")
    (out / link).parent.mkdir(parents=True)
    (out / link).symlink_to(elsewhere / ("precious" if "." in link[1:] else ""))
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
    descriptor = os.open(tmp_path / ".meshc.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(OutputError, match="another compile is writing to"):
        write_output(tmp_path, [A], INFO)
    assert set(content(tmp_path)) == {".meshc.lock"}
    os.close(descriptor)
    write_output(tmp_path, [A], INFO)


def test_many_compiles_at_once_leave_one_of_them(tmp_path: Path) -> None:
    """Whatever compiles run together, each succeeds or says that another one is at work, and one is there as a whole."""
    outcomes = []
    for number in range(8):
        if (child := os.fork()) == 0:
            files = [OutputFile(path=f"envoy/a/{index}.yaml", text=f"x: {number}\n") for index in range(20)]
            try:
                write_output(tmp_path, files, INFO)
            except OutputError as error:
                os._exit(1 if "another compile" in str(error) else 2)
            except BaseException:  # noqa: BLE001
                os._exit(3)
            os._exit(0)
        outcomes.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in outcomes]
    assert set(codes) <= {0, 1}
    assert 0 in codes
    found = content(tmp_path)
    assert len({found[f"envoy/a/{index}.yaml"] for index in range(20)}) == 1
    assert len(found) == 21


def test_a_file_that_no_manifest_lists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / A.path).parent.mkdir(parents=True)
    (tmp_path / A.path).write_text("somebody's own")
    with pytest.raises(OutputError, match="in the way: no manifest lists it"):
        write_output(tmp_path, [A, B], INFO)
    assert content(tmp_path) == {A.path: b"somebody's own"}
    (tmp_path / A.path).write_text(A.text)
    write_output(tmp_path, [A, B], INFO)


@pytest.mark.parametrize(("place", "kind"), [("envoy", "folder"), ("envoy/a", "folder"), ("envoy/a/x.yaml", "file")])
def test_what_is_in_the_way_is_named(tmp_path: Path, place: str, kind: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        (tmp_path / place).write_text("")
    else:
        (tmp_path / place).mkdir()
    with pytest.raises(OutputError, match=f"needs a {kind} there"):
        write_output(tmp_path, [A], INFO)


def test_permissions_are_those_of_the_umask(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        write_output(tmp_path, [A], INFO)
    finally:
        os.umask(former)
    assert (tmp_path / A.path).stat().st_mode & 0o777 == 0o640
    assert (tmp_path / A.path).parent.stat().st_mode & 0o777 == 0o750


def test_a_folder_that_could_not_be_written_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        write_output(tmp_path / "out", [A], INFO)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("paths", [("envoy/x.yaml", "envoy/x.yaml"), (MANIFEST,)])
def test_names_that_are_taken_are_refused(tmp_path: Path, paths: tuple[str, ...]) -> None:
    with pytest.raises(OutputError, match=r"two files|manifest's own name"):
        write_output(tmp_path, [OutputFile(path=path, text="") for path in paths], INFO)


def test_a_manifest_of_a_newer_meshc_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{"version": 2}')
    with pytest.raises(OutputError, match="a newer one wrote it"):
        write_output(tmp_path, [A], INFO)
    with pytest.raises(OutputError, match="a newer one wrote it"):
        compare_output(tmp_path, [A], INFO)


@pytest.mark.parametrize("environment", [None, "staging"])
def test_the_manifest_keeps_its_schema(tmp_path: Path, environment: str | None) -> None:
    schema = json.loads((resources.files("meshc") / "schemas" / "manifest.schema.json").read_text(encoding="utf-8"))
    info = ManifestInfo(compiler="0.1", program="d" * 64, environment=environment)
    builtin = OutputFile(path="envoy/mesh.yaml", text="", sources=(BUILTIN, Span("b.mesh", 9, 10, 2, 1)))
    write_output(tmp_path, [A, B, builtin], info)
    manifest = json.loads((tmp_path / MANIFEST).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(manifest)
    assert manifest["environment"] == environment
    assert [file["sources"] for file in manifest["files"]] == [["a.mesh:3"], [], ["b.mesh:2"]]
    for path in ("/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a"):
        manifest["files"][0]["path"] = path
        assert not Draft202012Validator(schema).is_valid(manifest)
