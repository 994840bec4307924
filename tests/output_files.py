"""Compiled files for tests of how they are written."""

from pathlib import Path

from meshc.output import ManifestInfo, OutputFile
from meshc.source import Span

INFO = ManifestInfo(compiler="1", program="p", environment=None)
A = OutputFile(path="envoy/a/x.yaml", text="x: 1\n", sources=(Span("a.mesh", 0, 1, 3, 1),))
B = OutputFile(path="envoy/b/y.yaml", text="y: é\n")
OLD = [A, B, OutputFile(path="envoy/c/stale.yaml", text="stale")]
NEW = [OutputFile(path=A.path, text="x: 2\n"), B, OutputFile(path="envoy/new/z.yaml", text="z: 1\n")]


def content(directory: Path) -> dict[str, bytes]:
    """What is in all files of a folder, by path."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }
