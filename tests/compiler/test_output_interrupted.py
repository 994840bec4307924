"""Compiles that are killed, fail, or meet a folder that they may not write: the old files or the new, never a mixture."""

import errno
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from meshc.output import MANIFEST, OutputError, OutputFile, compare_output, write_output
from output_files import INFO, NEW, OLD, content

THIRD = [OutputFile(path="envoy/new/z.yaml", text="z: 3\n")]
STEPS = [
    (os, "open"),
    (os, "link"),
    (os, "fsync"),
    (Path, "replace"),
    (Path, "unlink"),
    (Path, "mkdir"),
    (Path, "rmdir"),
]
"""Everything that changes a folder."""


def interrupt(patch: pytest.MonkeyPatch, directory: Path, at: int, act: Callable[[], object]) -> list[str]:
    """Do something in place of the step `at`, counted from 0; the steps so far are in the result."""
    steps: list[str] = []

    def wrap(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **options: object) -> object:
            if any(str(directory) in str(one) for one in arguments) or name == "fsync":
                steps.append(name)
                if len(steps) == at + 1:
                    act()
            return real(*arguments, **options)

        return step

    for owner, name in STEPS:
        patch.setattr(owner, name, wrap(name, getattr(owner, name)))
    return steps


def mine(directory: Path) -> None:
    directory.mkdir()
    (directory / "mine.txt").write_text("mine")


@pytest.mark.parametrize("former", [OLD, []], ids=["over-an-old-compile", "first"])
@pytest.mark.parametrize("following", [NEW, THIRD], ids=["mended-by-the-same", "mended-by-another"])
def test_a_compile_killed_at_any_step_leaves_whole_files_and_is_noticed_and_mended(
    tmp_path: Path, former: list[OutputFile], following: list[OutputFile]
) -> None:
    old, new = ({file.path: file.text.encode() for file in files} for files in (former, NEW))
    for at in range(200):
        out = tmp_path / str(at)
        mine(out)
        if former:
            write_output(out, former, INFO)
        before = content(out)
        if (child := os.fork()) == 0:
            with pytest.MonkeyPatch.context() as patch:
                interrupt(patch, out, at, lambda: os.kill(os.getpid(), signal.SIGKILL))
                write_output(out, NEW, INFO)
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        found = content(out)
        for path in old.keys() | new.keys():
            assert found.get(path) in {old.get(path), new.get(path)}
        is_done = not compare_output(out, NEW, INFO).has_any
        if killed and not is_done and before.items() <= found.items() and old:
            # Nothing was renamed: the old compile is still all there, or its check says what the killed one has added.
            added = [path for path in new if path in found and path not in before]
            assert compare_output(out, former, INFO).stale == tuple(added)
        elif not is_done and old:
            assert compare_output(out, former, INFO).has_any
        write_output(out, following, INFO)
        assert set(content(out)) == {*(file.path for file in following), MANIFEST, "mine.txt"}
        assert not compare_output(out, following, INFO).has_any
        assert sorted(path.name for path in out.iterdir()) == ["envoy", MANIFEST, "mine.txt"]
        if not killed:
            return
    pytest.fail("the compile never ended")


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_compile_that_fails_at_any_step_changes_nothing(tmp_path: Path, reason: int) -> None:
    for at in range(200):
        out = tmp_path / str(at)
        mine(out)
        write_output(out, OLD, INFO)
        before = content(out)

        def fail(place: Path = out) -> None:
            raise OSError(reason, os.strerror(reason), str(place / "envoy"))

        with pytest.MonkeyPatch.context() as patch:
            steps = interrupt(patch, out, at, fail)
            said = None
            try:
                write_output(out, NEW, INFO)
            except OutputError as error:
                said = str(error)
        found = content(out)
        leftovers = [path for path in found if path.startswith(".meshc")]
        if said is not None:
            assert said == f"cannot write `{out / 'envoy'}`: {os.strerror(reason)}"
            assert {path: text for path, text in found.items() if path not in leftovers} == before
        else:
            assert not compare_output(out, NEW, INFO).has_any
        write_output(out, NEW, INFO)
        assert sorted(path.name for path in out.iterdir()) == ["envoy", MANIFEST, "mine.txt"]
        if len(steps) <= at:
            return
    pytest.fail("the compile never ended")


def test_what_cannot_be_undone_is_said_and_mended_by_the_next_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    mine(out)
    with monkeypatch.context() as patch:
        real = Path.replace
        count = []

        def replace(self: Path, target: Path) -> Path:
            count.append(target)
            if len(count) == 3:
                raise OSError(errno.EIO, "Input/output error", str(target))
            return real(self, target)

        def unlink(self: Path, *, missing_ok: bool = False) -> None:
            raise OSError(errno.EIO, "Input/output error", str(self))

        patch.setattr(Path, "replace", replace)
        patch.setattr(Path, "unlink", unlink)
        with pytest.raises(OutputError, match="nor put it back as it was"):
            write_output(out, NEW, INFO)
    assert compare_output(out, NEW, INFO).has_any
    write_output(out, NEW, INFO)
    assert set(content(out)) == {*(file.path for file in NEW), MANIFEST, "mine.txt"}


def test_a_read_only_folder_is_named_and_left_as_it_was() -> None:
    """Run as somebody who is not above permissions."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        base.chmod(0o777)
        out = base / "out"
        write_output(out, OLD, INFO)
        before = content(out)
        closed = out / "envoy" / "c"
        for place in (out, *out.rglob("*")):
            place.chmod(0o555 if place == closed else 0o777)
        read, write = os.pipe()
        if (child := os.fork()) == 0:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            try:
                write_output(out, NEW, INFO)
                os.write(write, b"written")
            except OutputError as error:
                os.write(write, str(error).encode())
            os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        with os.fdopen(read) as stream:
            said = stream.read()
        assert said == f"cannot write `{closed}`: Permission denied"
        assert content(out) == before
        closed.chmod(0o777)
