"""The golden cases, and what each target makes of them: through the same stages as `meshc compile`.

A case is a folder with a `policy.mesh`. Beside it is a folder for each target that can express the program, and for each of the
others `<target>.diagnostics.txt`, the errors that say why not.
"""

from collections.abc import Mapping
from pathlib import Path

from meshc.diagnostics import Severity
from meshc.diagnostics.render.style import Style
from meshc.diagnostics.render.text import render_text
from meshc.source import SourceFile
from meshc.targets import find_target
from meshc.yaml_printer import print_documents
from meshc_harness.compare import analyze_text

GOLDEN = Path(__file__).parent / "golden"
TARGETS = ("envoy", "istio", "linkerd")


def cases() -> list[str]:
    """The names of all cases."""
    return sorted(path.parent.name for path in GOLDEN.glob("*/policy.mesh"))


def program(case: str) -> str:
    """The text of a case."""
    return (GOLDEN / case / "policy.mesh").read_text(encoding="utf-8")


def compile_case(case: str, target: str) -> Mapping[str, str]:
    """The files that a case has for a target, by their paths in its folder."""
    text = program(case)
    analysis = analyze_text(text)
    assert analysis.mesh is not None, analysis.diagnostics
    emission = find_target(target).emit(analysis.mesh, {})
    errors = [one for one in emission.diagnostics if one.severity is Severity.ERROR]
    if errors:
        assert not emission.documents
        source = SourceFile(errors[0].span.path, text)
        return {f"{target}.diagnostics.txt": render_text(errors, {source.path: source}, Style())}
    return {f"{target}/{one.path}": print_documents(one.resources) for one in emission.documents}


def stored_case(case: str, target: str) -> Mapping[str, str]:
    """The files that are stored for a target, by their paths in the case's folder."""
    folder = GOLDEN / case
    files = [*(folder / target).rglob("*.yaml"), *folder.glob(f"{target}.diagnostics.txt")]
    return {file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8") for file in files}
