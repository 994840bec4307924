"""Files: what is on disk becomes a text, or one line that says why not."""

import os
from pathlib import Path

import pytest

from meshc.diagnostics import Diagnostic
from meshc.files import LARGEST_FILE, decode_source, read_source, reason
from meshc.source import SourceFile, Span


def refusal(file: Path, shown: str = "a.mesh", blame: Span | None = None) -> Diagnostic:
    read = read_source(file, shown, blame)
    assert isinstance(read, Diagnostic)
    return read


def test_a_text_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("é\r\n\tx".encode())
    assert read_source(tmp_path / "a", "a.mesh") == SourceFile("a.mesh", "é\r\n\tx")


def test_a_missing_file_is_blamed_on_what_names_it(tmp_path: Path) -> None:
    blame = Span("b.mesh", 3, 9, 2, 1)
    found = refusal(tmp_path / "none", blame=blame)
    assert (found.name, found.span) == ("unreadable-file", blame)
    assert found.message == "cannot read `a.mesh`: no such file or directory"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").message == "cannot read `a.mesh`: it is no regular file"
    assert refusal(tmp_path).message == "cannot read `a.mesh`: it is no regular file"


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)  # sparse: it takes no room on the disk
    assert refusal(tmp_path / "a").message == "`a.mesh` is larger than 32 MiB"


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    shown = os.fsdecode(b"\xff.mesh")
    (tmp_path / shown).write_text("")
    assert refusal(tmp_path / shown, shown).help == ("rename the file",)


@pytest.mark.parametrize(
    ("content", "line"), [(b"\xff", 1), (b"a\nb\n\xc3", 3), (b"\xc3\xa9\n\xed\xa0\x80", 2), (b"\xef\xbb", 1)]
)
def test_a_wrong_byte_has_its_line(content: bytes, line: int) -> None:
    found = decode_source(content, "a.mesh")
    assert isinstance(found, Diagnostic)
    assert (found.name, found.span.line) == ("invalid-encoding", line)


@pytest.mark.parametrize(
    "error", [OSError(2, "No such file or directory"), OSError(), ValueError("embedded null byte")]
)
def test_reasons_are_in_our_style(error: Exception) -> None:
    assert reason(error)[:1].islower()
    assert "Errno" not in reason(error)
