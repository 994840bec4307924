"""The grammar has no conflict, its tables are lark's, and its cache is safe."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import meshc_grammar
from meshc_grammar import cache
from meshc_grammar.tables import json_to_tables, tables_to_json

RESERVED = {"mesh", "namespace", "group", "identity", "anyone", "authenticated"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory of our own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "meshc"


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*"))


def test_the_grammar_has_no_conflict() -> None:
    meshc_grammar.load(strict=True)


def test_only_reserved_words_can_stand_where_names_can() -> None:
    """A name is never mistaken for a keyword: where the lexer takes names, the only keywords it takes are the reserved words."""
    keywords = {kind for row in meshc_grammar.tables().actions if "NAME" in row for kind in row if kind[0].islower()}
    assert keywords == RESERVED


def test_tables_survive_json() -> None:
    tables = meshc_grammar.tables()
    assert json_to_tables(tables_to_json(tables, "k"), "k") == tables
    with pytest.raises(ValueError, match="another grammar"):
        json_to_tables(tables_to_json(tables, "k"), "other")


def test_tables_are_cached_privately(home: Path) -> None:
    built = meshc_grammar.tables()
    (file,) = files(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert cache.read_tables(meshc_grammar.grammar_text()) == built
    assert cache.read_tables(meshc_grammar.grammar_text() + "\n// changed") is None


def test_a_damaged_cache_is_built_anew(home: Path) -> None:
    rules = meshc_grammar.tables().rules
    (file,) = files(home)
    for damage in (b"", b"{", b"null", b"[]", b'{"key": 1}', b"\xff\xfe", file.read_bytes()[:-2]):
        file.write_bytes(damage)
        assert cache.read_tables(meshc_grammar.grammar_text()) is None
    assert meshc_grammar.tables().rules == rules
    assert cache.read_tables(meshc_grammar.grammar_text()) is not None


def test_a_directory_that_others_can_write_is_not_trusted(home: Path) -> None:
    meshc_grammar.tables()
    home.chmod(0o777)
    assert cache.read_tables(meshc_grammar.grammar_text()) is None
    (file,) = files(home)
    file.unlink()
    meshc_grammar.tables()
    assert files(home) == []


def test_an_unusable_cache_directory_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocker))
    assert meshc_grammar.tables().rules


def test_a_full_disk_leaves_no_litter(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    meshc_grammar.tables()
    assert files(home) == []


def test_a_relative_cache_home_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    meshc_grammar.tables()
    assert not (tmp_path / "relative").exists()
    assert len(files(tmp_path / "home" / ".cache" / "meshc")) == 1


@pytest.mark.usefixtures("home")
def test_a_start_with_a_cache_imports_no_parser_generator() -> None:
    meshc_grammar.tables()
    program = "import sys, meshc_grammar; meshc_grammar.tables(); print('lark' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"
