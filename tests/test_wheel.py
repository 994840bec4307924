"""The wheel: every file of every package is in it, and what the packages read at run time."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("compiler/meshc", "grammar/meshc_grammar", "targets/envoy/meshc_envoy", "proxy/meshc_proxy")
DATA = {
    "policies/std": "meshc/std",
    "docs/diagnostics": "meshc/pages/diagnostics",
    "docs/language": "meshc/pages/language",
}


def files(directory: Path) -> set[str]:
    """The files below a directory that belong to it, relative to its parent."""
    found = (path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(directory.parent).as_posix() for path in found}


@pytest.mark.slow
def test_nothing_is_missing_from_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("meshc-*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    expected = {name for package in PACKAGES for name in files(ROOT / package)}
    for folder, place in DATA.items():
        expected |= {f"{place}/{path.name}" for path in (ROOT / folder).iterdir()}
    assert not expected - packed


def test_git_knows_every_file_of_the_packages() -> None:
    """An ignore rule must not hide a source file: what git does not have, no clone and no wheel has."""
    command = ["git", "-C", str(ROOT), "status", "--ignored", "--porcelain", "--", *PACKAGES]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line for line in lines if line.startswith("!!") and "__pycache__" not in line] == []
