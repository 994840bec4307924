"""Loading: which files make a program, and what imports may reach."""

import os
from pathlib import Path

import pytest

from meshc.files import LARGEST_FILE
from meshc.frontend import analyze
from meshc.load import Loaded, LoadError, load, standard_library
from meshc_harness.compare import TODAY

SHOP = "namespace shop\nservice web in shop\nservice cart in shop { port 8080 http }\naccess cart { allow web }\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def names(loaded: Loaded) -> list[str]:
    return [one.name for one in loaded.diagnostics]


def errors(loaded: Loaded) -> list[str]:
    analysis = analyze(
        loaded.modules, loaded.inventory, loaded.comments, environment=None, today=TODAY, earlier=loaded.diagnostics
    )
    return [one.name for one in analysis.diagnostics if one.severity.value == "error"]


def test_a_directory_is_a_program(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"a.mesh": SHOP, "b/c.mesh": "group g = web\n", ".hidden/d.mesh": "junk", "b/.e.mesh": "junk", "f.txt": ""},
    )
    loaded = load(tmp_path)
    assert list(loaded.modules) == ["a.mesh", "b/c.mesh"]
    assert not errors(loaded)


def test_a_file_is_a_program(tmp_path: Path) -> None:
    write(tmp_path, {"a.mesh": SHOP, "b.mesh": "junk"})
    assert list(load(tmp_path / "a.mesh").modules) == ["a.mesh"]


def test_paths_are_relative_to_the_project(tmp_path: Path) -> None:
    write(tmp_path, {"meshc.yaml": "", "policies/deep/a.mesh": SHOP})
    assert list(load(tmp_path / "policies").modules) == ["policies/deep/a.mesh"]


def test_no_program(tmp_path: Path) -> None:
    for path, part in ((tmp_path / "none", "does not exist"), (tmp_path, "no `.mesh` file")):
        with pytest.raises(LoadError, match=part):
            load(path)
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(LoadError, match=r"no `\.mesh` file"):
        load(tmp_path / "x.txt")


def test_a_directory_called_like_a_file(tmp_path: Path) -> None:
    write(tmp_path, {"x.mesh/a.mesh": SHOP})
    assert list(load(tmp_path).modules) == ["x.mesh/a.mesh"]


def test_imports_are_relative_and_cycles_harmless(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "main.mesh": 'import "lib/a.mesh"\nimport "lib/a.mesh"\n'
            + SHOP
            + "access cart { deny anyone from $nets }\n",
            "lib/a.mesh": 'import "b.mesh"\nlet nets = 10.0.0.0/8\n',
            "lib/b.mesh": 'import "../main.mesh"\nimport "b.mesh"\n',
        },
    )
    loaded = load(tmp_path / "main.mesh")
    assert list(loaded.modules) == ["lib/a.mesh", "lib/b.mesh", "main.mesh"]
    assert not errors(loaded)


def test_an_alias_keeps_names_apart(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "main.mesh": 'import "lib.mesh" as lib\nlet nets = 11.0.0.0/8\n'
            + SHOP
            + "access cart { deny anyone from $lib.nets deny anyone from $nets allow group lib.callers }\n",
            "lib.mesh": "let nets = 10.0.0.0/8\nlet unused = 1s\ngroup callers = web\n",
        },
    )
    loaded = load(tmp_path / "main.mesh")
    assert not errors(loaded)
    write(tmp_path, {"main.mesh": 'import "lib.mesh" as lib\n' + SHOP + "access cart { deny anyone from $nets }\n"})
    assert errors(load(tmp_path / "main.mesh")) == ["unknown-variable"]


def test_the_standard_library(tmp_path: Path) -> None:
    text = 'import "std/networks.mesh" as nets\nimport "std/resilience.mesh"\n' + SHOP
    text += "access cart { deny anyone from $nets.loopback }\ntraffic cart uses quick { }\n"
    write(tmp_path, {"main.mesh": text})
    loaded = load(tmp_path)
    assert set(loaded.modules) == {"main.mesh", "<std>/networks.mesh", "<std>/resilience.mesh"}
    assert not errors(loaded)
    assert loaded.diagnostics == ()
    for file in standard_library().glob("*.mesh"):
        assert load(file).diagnostics == ()


def test_a_folder_called_std_is_not_the_library(tmp_path: Path) -> None:
    text = 'import "../std/networks.mesh" as own\nimport "std/networks.mesh" as nets\n' + SHOP
    text += "access cart { deny anyone from $own.office deny anyone from $nets.loopback }\n"
    files = {"meshc.yaml": "", "policies/a.mesh": text, "std/networks.mesh": "let office = 10.0.0.0/8\n"}
    loaded = load(write(tmp_path, files) / "policies")
    assert set(loaded.modules) == {"policies/a.mesh", "std/networks.mesh", "<std>/networks.mesh"}
    assert not errors(loaded)


@pytest.mark.parametrize(
    ("imported", "name"),
    [
        ("../outside.mesh", "import-outside-root"),
        ("/etc/passwd", "import-outside-root"),
        ("link.mesh", "import-outside-root"),
        ("nothing.mesh", "import-not-found"),
        ("std/nothing.mesh", "import-not-found"),
        ("std/../../outside.mesh", "import-outside-root"),
        ("https://evil.example/x.mesh", "import-not-found"),
        ("dir", "import-not-found"),
        ("dir.mesh", "import-not-found"),
        ("notes.txt", "import-not-found"),
        ("a\\\\b.mesh", "import-not-found"),
        ("a\\u{0}.mesh", "import-not-found"),
        ("x" * 500 + ".mesh", "import-not-found"),
        ("@ROOT@/common.mesh", "import-not-found"),
        ("", "import-not-found"),
    ],
)
def test_an_import_that_leads_nowhere_good(tmp_path: Path, imported: str, name: str) -> None:
    root = tmp_path / "root"
    write(
        tmp_path,
        {
            "outside.mesh": "let a = 1s",
            "root/meshc.yaml": "",
            "root/main.mesh": f'import "{imported.replace("@ROOT@", root.as_posix())}"\n',
            "root/common.mesh": "",
            "root/notes.txt": "",
            "root/dir/x": "",
            "root/dir.mesh/x": "",
        },
    )
    (root / "link.mesh").symlink_to(tmp_path / "outside.mesh")
    found = load(root / "main.mesh").diagnostics
    assert [(one.name, one.span.line) for one in found] == [(name, 1)]


def test_a_misspelt_import_is_suggested(tmp_path: Path) -> None:
    write(tmp_path, {"main.mesh": 'import "comon.mesh"\n', "common.mesh": ""})
    assert load(tmp_path / "main.mesh").diagnostics[0].help == ("did you mean `common.mesh`?",)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.mesh").write_bytes(b"namespace a\nservice x\xff in a\n")
    found = load(tmp_path).diagnostics
    assert [(one.name, one.span.line) for one in found] == [("invalid-encoding", 2)]
    (tmp_path / "a.mesh").unlink()
    os.mkfifo(tmp_path / "b.mesh")
    (tmp_path / "c.mesh").symlink_to(tmp_path / "gone.mesh")
    assert names(load(tmp_path)) == ["unreadable-file", "unreadable-file"]


def test_names_that_no_output_could_spell(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.mesh")).write_text(SHOP)
    found = load(tmp_path).diagnostics
    assert [one.name for one in found] == ["unreadable-file"]
    assert "not UTF-8" in found[0].message


def test_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "a.mesh").symlink_to(tmp_path / "a.mesh")
    for program in (tmp_path, tmp_path / "a.mesh"):
        found = load(program).diagnostics
        assert [one.name for one in found] == ["unreadable-file"]
        assert "too many levels of symbolic links" in found[0].message


def test_a_name_that_the_system_refuses() -> None:
    with pytest.raises(LoadError, match="file name too long"):
        load(Path("x" * 500 + ".mesh"))


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "a.mesh").open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)  # sparse: it takes no room on the disk
    assert names(load(tmp_path)) == ["unreadable-file"]


@pytest.mark.parametrize("pattern", ["***", "a**b", "k8s/**.yaml", "x" * 500, ""])
def test_patterns_that_match_nothing_are_reported_once(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, {"main.mesh": f'inventory "{pattern}"\n', "k8s/a.yaml": "", "axb": ""})
    found = load(tmp_path / "main.mesh").diagnostics
    assert len(found) == 1
    assert "Errno" not in found[0].message


def test_inventory_patterns(tmp_path: Path) -> None:
    write(tmp_path, {"meshc.yaml": "", "main.mesh": 'inventory "k8s/*.yaml"\ninventory "/etc/*"\ninventory "../*"\n'})
    assert names(load(tmp_path / "main.mesh"))[:2] == ["inventory-empty", "import-outside-root"]


def test_a_link_in_a_directory_is_not_followed_in_circles(tmp_path: Path) -> None:
    write(tmp_path, {"a/x.mesh": SHOP})
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert list(load(tmp_path).modules) == ["a/x.mesh"]
